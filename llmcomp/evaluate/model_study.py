"""What the embedded model's arithmetic costs and gains: the figures of docs/model.md.

In: the shipped model and the documented texts. Out: Markdown.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from llmcomp.bill import readable_bytes
from llmcomp.codec import Compressed, compressing
from llmcomp.evaluate import print_figures, start
from llmcomp.evaluate.baselines import sizes
from llmcomp.evaluate.bench import corpus
from llmcomp.evaluate.speed import CHUNK_BYTES
from llmcomp.models import ASSETS, resolve
from llmcomp.models.base import Tokens
from llmcomp.models.grid import HEAD_GRIDS
from llmcomp.models.snapped import SnappedModel
from llmcomp.steps import Steps, run

__all__ = ["adjusted", "alone", "measurements", "recipes"]

_OTHERS = ("xz", "zstd", "brotli", "ppmd")
_BEGINNINGS = (10_000, 50_000, 200_000)  # of enwik8
_STEPS = 30
_POSITION = 900  # at which a step is timed: most of a window's keys and values are read


def measurements() -> Mapping[str, Callable[[], str]]:
    """Names the figures and what measures each."""
    return {
        "alone": partial(alone, "embedded"),
        "adjusted": partial(adjusted, "embedded"),
        "start": start.main,
        "recipes": recipes,
        "frontier": partial(_trained, "frontier"),
        "mix": partial(_trained, "mix"),
    }


def alone(model: str) -> str:
    """Compresses texts with the model alone, every byte of the blob counted: a Markdown table.

    Args:
        model: registry name.
    """
    lines = [
        "| text | bytes | " + " | ".join(_OTHERS) + " | model alone | against the best of them |",
        "|---|---:|" + "---:|" * (len(_OTHERS) + 2),
    ]
    for place, (name, data) in enumerate(corpus()):
        others = sizes(data)
        best = min(others[other] for other in _OTHERS)
        ways = [("", None), (f", in chunks of {CHUNK_BYTES:,}", CHUNK_BYTES)]
        for what, lane_bytes in ways if place == 0 else ways[:1]:
            found = len(run(_alone(data, model, lane_bytes)).blob)
            cells = [f"{others[other] / len(data):.4f}" for other in _OTHERS]
            cells += [f"**{found / len(data):.4f}**", f"{100 * (found / best - 1):+.1f} %"]
            lines.append(f"| {name}{what} | {len(data):,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def adjusted(model: str) -> str:
    """Compresses longer and longer beginnings of enwik8, the model counted: a Markdown table.

    Args:
        model: registry name.
    """
    lines = [
        "| enwik8, first bytes | xz | llmcomp | with 2 bytes a parameter | with the model's files "
        "| pays against xz from |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for n_bytes in _BEGINNINGS:
        ((_, data),) = corpus([("enwik8", "bench/enwik6", n_bytes)])
        bill = run(compressing(data, model=model, methods=("lm",), verify=False)).bill
        xz_bytes = sizes(data)["xz"]
        by_parameters, by_files = bill.adjusted_rates
        lines.append(
            f"| {n_bytes:,} | {xz_bytes / n_bytes:.4f} | {bill.rate:.4f} | {by_parameters:,.3f} "
            f"| {by_files:,.3f} | {readable_bytes(bill.break_even_bytes(xz_bytes))} |"
        )
    return "\n".join(lines)


def _alone(data: bytes, model: str, lane_bytes: int | None) -> Steps[Compressed]:
    return compressing(
        data, model=model, methods=("lm",), lane_bytes=lane_bytes, online=False, verify=False
    )


def recipes() -> str:
    """Codes texts under every recipe's grids, and times steps in turn: a Markdown table."""
    with tempfile.TemporaryDirectory() as folder:
        models = {recipe: _under(recipe, Path(folder)) for recipe in HEAD_GRIDS}
        texts = [(name, data) for name, data in corpus() if len(data) >= 49_000][:6]
        found = {
            recipe: [_bits_per_byte(model, data) for _, data in texts]
            for recipe, model in models.items()
        }
        times = _step_ms(models)
    lines = [
        "| recipe | " + " | ".join(name for name, _ in texts) + " | 1 lane | 16 lanes |",
        "|---:|" + "---:|" * (len(texts) + 2),
    ]
    for recipe in models:
        cells = [f"{bits:.5f}" for bits in found[recipe]]
        cells += [f"{times[recipe, lanes]:.2f} ms" for lanes in (1, 16)]
        lines.append(f"| {recipe} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _under(recipe: int, folder: Path) -> SnappedModel:
    """Loads the embedded model's weights under a recipe."""
    name = resolve("embedded")
    directory = folder / str(recipe)
    shutil.copytree(ASSETS / name, directory)
    path = directory / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {"llmcomp_recipe": recipe}
    path.write_text(json.dumps(config), encoding="utf-8")
    return SnappedModel(directory, name=name, number=0)


def _bits_per_byte(model: SnappedModel, data: bytes) -> float:
    """Ideal bits per byte of a text, in whole windows without overlap."""
    tokens = model.tokenizer.encode(data)
    width = model.context_length - 1
    bits = 0.0
    for first in range(0, len(tokens), width):
        part = tokens[first : first + width]
        row: Tokens = np.concatenate([[model.start_token], part[:-1]])
        for _, at, logits in model.score(row[None]):
            wanted = part[at : at + len(logits)]
            relative = logits - logits.max(axis=1, keepdims=True)
            nats = np.log(np.exp(relative).sum(axis=1)) - relative[np.arange(len(wanted)), wanted]
            bits += float(nats.sum()) / np.log(2.0)
    return bits / len(data)


def _step_ms(models: Mapping[int, SnappedModel]) -> dict[tuple[int, int], float]:
    """Least milliseconds of a step by recipe and lanes; recipes take turns."""
    spent: dict[tuple[int, int], float] = {}
    for lanes in (1, 16):
        rows = np.zeros((lanes, _POSITION), np.int64)
        sessions = {
            recipe: model.begin(rows, _POSITION + _STEPS)[0] for recipe, model in models.items()
        }
        for _ in range(_STEPS):
            for recipe, session in sessions.items():
                begun = time.perf_counter()
                session.step(rows[:, 0])
                now = 1e3 * (time.perf_counter() - begun)
                spent[recipe, lanes] = min(now, spent.get((recipe, lanes), now))
    return spent


def _trained(what: str) -> str:
    """Trains the arms that were not trained on this machine yet, for hours if need be."""
    command = [sys.executable, "-m", "llmcomp.train", what]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return "\n".join(line for line in done.stdout.splitlines() if line.startswith("|"))


if __name__ == "__main__":
    print_figures(measurements(), sys.argv[1:])
