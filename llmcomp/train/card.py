"""The model card: what the shipped weights are, from the facts in their ``release.json``.

In: release files. Out: Markdown. Knows nothing of torch or of runs; every number comes from the
files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llmcomp.train.recipe import TrainError

__all__ = ["model_card", "write_card"]

# prefix of the source's name -> what it is, its licence, whom it comes from
SOURCES = (
    (
        "wiki_en",
        "English Wikipedia articles as plain text, article ids above 20,000",
        "CC BY-SA",
        "Wikipedia contributors; WikiExtractor run published in jason-feng/wikiVisual",
    ),
    (
        "enwik8",
        "enwik8 (wiki markup), bytes 1,000,000-3,654,398 only",
        "CC BY-SA 3.0 / GFDL",
        "Wikipedia contributors; Matt Mahoney's enwik8, from a public copy of its beginning",
    ),
    (
        "books_en",
        "classic English books",
        "public domain, per the collection's README",
        "a collection of classic books on GitHub",
    ),
    (
        "code_",
        "Python, C/C++, JavaScript/TypeScript/Svelte, Rust/Go/other, Markdown documentation, "
        "HTML/XML, JSON",
        "Apache-2.0, MIT, BSD",
        "permissively licensed public repositories",
    ),
    (
        "ru_literature",
        "Russian literature",
        "public domain, per the collection's README",
        "a GitHub collection",
    ),
    (
        "zh",
        "classical Chinese texts; a sample of Chinese Wikipedia (last 1.9 MB)",
        "MIT; CC BY-SA",
        "GitHub collections; Wikipedia contributors",
    ),
    (
        "udhr",
        "Universal Declaration of Human Rights in 388 languages",
        "public domain",
        "nltk_data",
    ),
    ("us_speeches", "US speeches", "public domain", "nltk_data"),
)

INTRODUCTION = """\
# Model card of the weights in this folder

Small causal language models made for lossless text compression with llmcomp: the model gives the
next token's probability, an arithmetic coder turns probabilities into bits. They are no assistants:
nobody should ask them for facts, and they repeat the biases of their texts.

`embedded-N` is a transformer over byte-level BPE tokens; `nano-N` is a byte-level one, small enough
for JavaScript in a browser. `N` counts releases. A compressed file names its release, so a release
never changes.
"""

LICENCE = """\
## Licence of the weights

CC BY-SA 4.0. Part of the training text is CC BY-SA (Wikipedia, enwik8; version 3.0 of that licence
lets adaptations go under a later version). Whether weights are an
adaptation of their training text is not settled; offering them under the text's own terms is
safe either way: whoever shares the weights or a modification of them names the sources in the
table above and keeps the licence. The other sources (public domain, Apache-2.0, MIT, BSD) allow
that. The code that trains and runs the models is under the project's licence, not this one.
"""

USE = """\
## Loading

```python
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

model = AutoModelForCausalLM.from_pretrained("assets/{embedded}")
tokenizer = PreTrainedTokenizerFast(tokenizer_file="assets/{embedded}/tokenizer.json")
```

Byte models have no `tokenizer.json`: a token id is a byte. Every window must begin with the start
token, the token of byte 0 (`start_token` in `release.json`, `bos_token_id` in `config.json`); the
models never saw a window without it. Context: 1024 positions, the start token included.
"""

SNAPPING = """\
## Snapped weights

Each weight, those of the norms too, is rounded to a multiple of 2^-14 that float16 holds exactly
(`snap_weights` in `llmcomp/models/grid.py`). With activations on such grids as well, sums of
products are exact in float64, so every machine computes the same probabilities. The table gives the
price of that: bits per byte before and after the rounding of the weights.
"""


def model_card(release_jsons: list[Path]) -> str:
    """Renders the card of some releases.

    Args:
        release_jsons: paths of their ``release.json``, in the order of the card.

    Returns:
        Markdown.

    Raises:
        TrainError: if there is none, or one names a source whose licence is not known here.
    """
    if not release_jsons:
        raise TrainError("no release.json found; run `release` first")
    releases = [json.loads(path.read_text(encoding="utf-8")) for path in release_jsons]
    prefixes = tuple(prefix for prefix, *_ in SOURCES)
    for facts in releases:
        unknown = [name for name in facts["sources"] if not name.startswith(prefixes)]
        if unknown:
            raise TrainError(f"card.py knows no licence of the sources {unknown}; add them there")
    embedded = [facts["name"] for facts in releases if facts["tokenizer"] == "bpe"]
    sections = [
        INTRODUCTION,
        _releases_table(releases),
        _held_out_table(releases),
        _learning_curves(releases),
        _data_table(releases),
        _kept_out(releases),
        LICENCE,
        USE.format(embedded=embedded[-1] if embedded else "embedded-1"),
        SNAPPING,
        _training(releases),
    ]
    return "\n".join(sections)


def write_card(assets: Path) -> Path:
    """Writes ``MODEL_CARD.md`` about all releases in a folder; returns its path."""
    found = sorted(assets.glob("*/release.json"), key=lambda path: _order(path.parent.name))
    path = assets / "MODEL_CARD.md"
    path.write_text(model_card(found), encoding="utf-8")
    return path


def _order(name: str) -> tuple[str, int]:
    """Sorts ``nano-10`` after ``nano-9``."""
    recipe, _, number = name.rpartition("-")
    return recipe, int(number) if number.isdecimal() else 0


def _table(header: list[str], rows: list[list[str]]) -> str:
    """Renders a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _releases_table(releases: list[dict[str, Any]]) -> str:
    """What each release is."""
    rows = []
    for facts in releases:
        config = facts["config"]
        shape = (
            f"{facts['architecture']}, {config['num_hidden_layers']} layers, "
            f"hidden {config['hidden_size']}, {config['num_attention_heads']} heads of "
            f"{config['head_dim']}, SwiGLU {config['intermediate_size']}, tied embeddings"
        )
        tokens = "bytes" if facts["tokenizer"] == "bytes" else f"BPE, {config['vocab_size']:,}"
        rows.append([
            facts["name"],
            facts["date"],
            f"{facts['n_parameters']:,}",
            shape,
            tokens,
            f"{facts['tokens_seen'] / 1e6:,.1f} M in {facts['steps']:,} steps",
            f"{facts['wall_hours']:.2f} h on {facts['device']}",
        ])
    header = ["release", "date", "parameters", "architecture", "tokens", "trained on", "time"]
    return "## Releases\n\n" + _table(header, rows)


def _held_out_table(releases: list[dict[str, Any]]) -> str:
    """Bits per byte, float and snapped, by slice."""
    kinds = (("float32", "float"), ("snapped", "snapped"))
    header = ["held out"] + [f"{facts['name']}, {text}" for facts in releases for _, text in kinds]
    columns = [facts["held_out_bits_per_byte"][key] for facts in releases for key, _ in kinds]
    slices = list(dict.fromkeys(name for column in columns for name in column))
    rows = [
        [name, *(f"{column[name]:.3f}" if name in column else "–" for column in columns)]
        for name in slices
    ]
    sizes = sorted({facts["held_out_first_bytes"] for facts in releases})
    note = (
        f"Bits per byte of the first {' or '.join(f'{size:,}' for size in sizes)} bytes of each "
        "validation file, in windows of the start token and 1,023 tokens, without overlap. "
        "Lower is better; 8 is no compression. The size of the model is not counted.\n"
    )
    return "## Held-out bits per byte\n\n" + note + "\n" + _table(header, rows)


def _data_table(releases: list[dict[str, Any]]) -> str:
    """Sources, licences, attribution and amounts."""
    rows = []
    for prefix, content, licence, attribution in SOURCES:
        amounts = []
        for facts in releases:
            used = [value for name, value in facts["sources"].items() if name.startswith(prefix)]
            share = sum(value["share"] for value in used)
            drawn = sum(value["tokens_drawn"] for value in used)
            amounts.append(f"{100 * share:.1f} %, {drawn / 1e6:.2f} M")
        rows.append([content, licence, attribution, *amounts])
    header = ["text", "licence", "from", *(f"{facts['name']}: share, tokens" for facts in releases)]
    return "## Training data\n\n" + _table(header, rows)


def _kept_out(releases: list[dict[str, Any]]) -> str:
    """What was not trained on, and what was although one might not think so."""
    items = dict.fromkeys(item for facts in releases for item in facts["kept_out"])
    return (
        "## Kept out of training\n\n"
        + "".join(f"- {item}\n" for item in items)
        + "\nNot kept out: other plays of Shakespeare and the novels of Dickens are in the English "
        "books, so numbers on tiny Shakespeare are held out by its lines only, not by its author.\n"
        + "".join(_dropped(facts) for facts in releases)
    )


def _dropped(facts: dict[str, Any]) -> str:
    """How much was cut out of the text that a release was trained on."""
    sources = facts["sources"].values()
    if not all("n_dropped" in source for source in sources):
        return ""  # a release from before anything was cut
    n_bytes = sum(source["n_bytes"] for source in sources)
    n_dropped = sum(source["n_dropped"] for source in sources)
    return (
        f"\n{facts['name']}: {n_dropped:,} of {n_bytes:,} bytes of text were cut "
        f"({n_dropped / n_bytes:.2%}; by source: `python -m llmcomp.train dedup --recipe "
        f"{facts['recipe']}`, and docs/model.md).\n"
    )


def _learning_curves(releases: list[dict[str, Any]]) -> str:
    """Held-out bits per byte over training tokens, before any decay."""
    text = (
        "## Learning curves\n\nHeld-out bits per byte while the learning rate is constant, mean of "
        "the validation slices (of each its first {} bytes), by million training tokens. The "
        "decay before a release takes the last step down to the table above.\n"
    )
    found = []
    for facts in releases:
        curve = _thinned(facts.get("learning_curve", []))
        if curve:
            header = [facts["name"], *(f"{tokens / 1e6:.1f} M" for tokens, _ in curve)]
            rows = [["bits per byte", *(f"{bits:.3f}" for _, bits in curve)]]
            found.append(_table(header, rows))
    if not found:
        return ""
    sizes = sorted({facts["validate_bytes"] for facts in releases if "validate_bytes" in facts})
    return "\n".join([text.format(" or ".join(f"{size:,}" for size in sizes)), *found])


def _thinned(curve: list[list[float]], factor: float = 1.4) -> list[list[float]]:
    """Returns points of a curve whose tokens grow by a factor, and the last one."""
    kept: list[list[float]] = []
    for point in curve:
        if not kept or point[0] >= factor * kept[-1][0]:
            kept.append(point)
    return kept if not curve or kept[-1] is curve[-1] else [*kept, curve[-1]]


def _training(releases: list[dict[str, Any]]) -> str:
    """How the weights were made, with command lines."""
    lines = ["## Training\n"]
    for facts in releases:
        rates = facts["optimizer"]
        start = f", first weights from {facts['warm_start']}" if facts["warm_start"] else ""
        lines.append(
            f"- {facts['name']}: trained on {facts['device']}, Muon (learning rate "
            f"{rates['muon_lr']:g}) for the matrices and AdamW ({rates['adam_lr']:g}) for "
            "embedding and norms, constant learning rate, then a linear decay over "
            f"{facts['decay_steps']:,} steps{start}."
        )
    recipes = list(dict.fromkeys(facts["recipe"] for facts in releases))
    newest = {facts["recipe"]: facts["name"] for facts in releases}
    lines.append("\n```sh\nexport LLMCOMP_DATA=...   # folder with train/ and val/")
    for recipe in recipes:
        lines.append(f"python -m llmcomp.train train --recipe {recipe} --background")
        lines.append(
            f"python -m llmcomp.train release --recipe {recipe} --out assets/{newest[recipe]}"
        )
        lines.append(f"python -m llmcomp.train evaluate --model assets/{newest[recipe]}")
    lines.append("python -m llmcomp.train card\n```\n")
    return "\n".join(lines)
