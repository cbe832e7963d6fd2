"""Rates, as the README and the docs print them; what `llmcomp bench` measures.

Sizes are exact and need no repetition.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from llmcomp.bill import readable_bytes
from llmcomp.codec import compressing
from llmcomp.container import unpack
from llmcomp.errors import LLMCompError
from llmcomp.evaluate import speed
from llmcomp.evaluate.baselines import sizes
from llmcomp.evaluate.speed import CHUNK_BYTES
from llmcomp.models import load_model
from llmcomp.schedule import PRESETS
from llmcomp.steps import run

BASELINES = ("gzip", "bz2", "xz", "zstd", "brotli", "ppmd")
CORPUS = (
    ("enwik8, first 50,000 bytes", "bench/enwik6", 50_000),
    ("alice29.txt", "bench/canterbury/alice29.txt", None),
    ("asyoulik.txt", "bench/canterbury/asyoulik.txt", None),
    ("cp.html", "bench/canterbury/cp.html", None),
    ("fields.c", "bench/canterbury/fields.c", None),
    ("xargs.1", "bench/canterbury/xargs.1", None),
    ("English prose, 50 kB", "val/books_en.txt", 50_000),
    ("English Wikipedia, 50 kB", "val/wiki_en.txt", 50_000),
    ("Python, 50 kB", "val/code_py.txt", 50_000),
    ("Russian, 50 kB", "val/ru_literature.txt", 50_000),
    ("Chinese, 50 kB", "val/zh_wikipedia.txt", 50_000),
)
"""(name, file under ``$LLMCOMP_DATA``, bytes taken): held out from training, see the model card."""


def data_directory() -> Path:
    """Finds the measuring texts.

    Raises:
        LLMCompError: if ``$LLMCOMP_DATA`` does not name a directory.
    """
    named = os.environ.get("LLMCOMP_DATA", "")
    if not named or not Path(named).is_dir():
        raise LLMCompError(
            f"LLMCOMP_DATA is {named!r}; set it to the directory of the measuring texts, "
            "or name files to bench"
        )
    return Path(named)


def corpus(
    listed: Sequence[tuple[str, str, int | None]] = CORPUS,
) -> list[tuple[str, bytes]]:
    """Reads texts, by default the documented ones, each cut back to a whole character.

    Args:
        listed: as in `CORPUS`.
    """
    root, texts = data_directory(), []
    for name, path, limit in listed:
        data = (root / path).read_bytes()[:limit]
        texts.append((name, data if name.startswith("enwik8") else _whole_characters(data)))
    return texts


def rates(name: str, data: bytes, model: str, *, chunked: bool = False) -> dict[str, Any]:
    """Measures one text: every baseline's size and llmcomp's, every byte of the file counted.

    Args:
        name: what to call it.
        data: the text.
        model: registry name.
        chunked: cut it every 2,000 bytes, each coded alone, as system 000 does.

    Returns:
        ``name``, ``raw``, sizes in bytes by compressor and of llmcomp without online help
        (``alone``), llmcomp's bill in numbers, and rates with the model counted at 2 bytes a
        parameter (``adjusted``) and with its files.
    """
    lane_bytes = CHUNK_BYTES if chunked else None
    job = partial(compressing, data, model=model, methods=("lm",), lane_bytes=lane_bytes)
    alone = run(job(online=False, verify=False))
    result = run(job())
    bill, others = result.bill, sizes(data)
    adjusted, adjusted_files = bill.adjusted_rates
    break_even = bill.break_even_bytes(others["xz"])
    return {
        "name": f"{name}, in chunks of {CHUNK_BYTES:,}" if chunked else name,
        "raw": len(data),
        **others,
        "alone": len(alone.blob),
        "llmcomp": len(result.blob),
        "overhead": bill.overhead,
        "framing": (bill.header_bits + bill.lengths_bits + bill.checksum_bits) / 8,
        "bits_per_byte": bill.bits_per_byte,
        "adjusted": adjusted,
        "adjusted_files": adjusted_files,
        "break_even": break_even if math.isfinite(break_even) else None,
    }


def preset_rates(name: str, data: bytes, model: str) -> dict[str, Any]:
    """Measures one text at every preset: blob bytes / raw bytes, the model's method forced."""
    row: dict[str, Any] = {"name": name, "raw": len(data)}
    for preset in PRESETS:
        job = compressing(data, model=model, preset=preset, methods=("lm",), verify=False)
        result = run(job)
        lanes = sum(len(frame.segment.lanes) for frame in unpack(result.blob).frames)
        row[preset] = {"rate": result.bill.rate, "lanes": lanes}
    return row


def report(files: Sequence[str], model: str, what: str, *, as_json: bool) -> str:
    """Runs the bench the command line asks for and renders it.

    Args:
        files: texts to measure; the documented corpus if empty.
        model: registry name, or an exported directory.
        what: ``rates``, ``presets`` or ``speed``.
        as_json: JSON in place of a Markdown table.
    """
    texts = [(Path(f).name, Path(f).read_bytes()) for f in files] or corpus()
    if what == "speed":
        return speed.report(load_model(model), texts[0][1], as_json=as_json)
    if what == "presets":
        rows = [preset_rates(*text, model) for text in (texts if files else texts[:2])]
        table = preset_table
    else:
        rows = [rates(*text, model) for text in texts]
        if not files:
            rows.insert(1, rates(*texts[0], model, chunked=True))
        table = rate_table
    return json.dumps(rows) if as_json else table(rows)


def rate_table(rows: Sequence[dict[str, Any]]) -> str:
    """Renders rates (compressed bytes / raw bytes) as a Markdown table."""
    lines = [
        "| text | bytes | "
        + " | ".join(BASELINES)
        + " | model alone | **llmcomp** | over ideal | framing | adjusted | pays from |",
        "|---|---:|" + "---:|" * (len(BASELINES) + 6),
    ]
    for row in rows:
        cells = [f"{row[name] / row['raw']:.4f}" for name in (*BASELINES, "alone")]
        cells += [
            f"**{row['llmcomp'] / row['raw']:.4f}**",
            f"{100 * row['overhead']:.3f} %",
            f"{row['framing']:.0f} B",
            f"{row['adjusted']:,.0f}",
            readable_bytes(row["break_even"] or math.inf),
        ]
        lines.append(f"| {row['name']} | {row['raw']:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def preset_table(rows: Sequence[dict[str, Any]]) -> str:
    """Renders rates by preset as a Markdown table."""
    lines = [
        "| text | bytes | " + " | ".join(f"`{preset}`" for preset in PRESETS) + " |",
        "|---|---:|" + "---:|" * len(PRESETS),
    ]
    for row in rows:
        cells = [f"{row[p]['rate']:.4f} ({row[p]['lanes']} lanes)" for p in PRESETS]
        lines.append(f"| {row['name']} | {row['raw']:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _whole_characters(data: bytes) -> bytes:
    return data.decode("utf-8", errors="ignore").encode()
