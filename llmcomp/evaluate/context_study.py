"""What context and online help are worth: the figures of docs/context.md.

In: the shipped model and the documented texts. Out: Markdown.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial

from llmcomp.codec import compressing
from llmcomp.evaluate import context_map, print_figures
from llmcomp.evaluate.bench import corpus
from llmcomp.models import ASSETS, load_model
from llmcomp.schedule import Schedule
from llmcomp.steps import run

__all__ = ["help_gains", "measurements", "size_maps"]

MAP = ASSETS.parent / "docs/context-map.svg"
"""Where the picture of `size_maps` stands."""

_KINDS = (
    ("English prose", "val/books_en.txt"),
    ("Python", "val/code_py.txt"),
    ("Russian", "val/ru_literature.txt"),
)
_SHORT, _LONG = 50_000, 500_000
_SCHEDULES = (
    Schedule(256, 64),
    Schedule(512, 128),
    Schedule(1024, 0),
    Schedule(1024, 256),
    Schedule(1024, 512),
)
_SHORT_LANES, _LONG_LANES = (1, 4, 8, 16, 32, 64), (1, 8, 16)

_LONGER = (
    ("English prose", "val/books_en.txt", 300_000),
    ("English Wikipedia", "val/wiki_en.txt", 300_000),
    ("enwik8", "bench/enwik6", 300_000),
    ("Python", "val/code_py.txt", 300_000),
    ("C and C++", "val/code_c_cpp.txt", 164_000),
    ("Markdown", "val/code_markdown_docs.txt", 89_000),
    ("Russian", "val/ru_literature.txt", 300_000),
)
_LOG_LINES = 1500


def measurements() -> Mapping[str, Callable[[], str]]:
    """Names the figures and what measures each."""
    return {"online": help_gains, "lanes": size_maps}


def help_gains(model: str = "embedded") -> str:
    """Codes texts with and without online help: a Markdown table, every byte of the blobs counted.

    Args:
        model: registry name.
    """
    texts = [(name.split(",")[0], data) for name, data in corpus() + corpus(_LONGER)]
    texts.append(("a web server's log", _log(_LOG_LINES)))
    lines = ["| text | bytes | model alone | with online help | |", "|---|---:|---:|---:|---:|"]
    for name, data in texts:
        job = partial(compressing, data, model=model, methods=("lm",), verify=False)
        helped, alone = (len(run(job(online=online)).blob) for online in (True, False))
        lines.append(
            f"| {name} | {len(data):,} | {alone / len(data):.4f} | {helped / len(data):.4f} "
            f"| {100 * (helped / alone - 1):+.1f} % |"
        )
    return "\n".join(lines)


def size_maps(model: str = "embedded") -> str:
    """Encodes three kinds of text under many schedules, draws that to `MAP` and tells the sizes.

    Args:
        model: registry name.
    """
    loaded, maps = load_model(model), []
    for kinds, length, schedules, lane_counts in (
        (_KINDS, _SHORT, _SCHEDULES, _SHORT_LANES),
        (_KINDS[:1], _LONG, _SCHEDULES[3:4], _LONG_LANES),  # minutes a cell
    ):
        for name, data in corpus([(name, path, length) for name, path in kinds]):
            maps.append(context_map.measure(loaded, name, data, schedules, lane_counts))
    MAP.write_text(context_map.as_svg(maps, columns=len(_KINDS)), encoding="utf-8")
    return context_map.as_table(maps)


def _log(n_lines: int) -> bytes:
    """Makes up a log: times that go on, few addresses and paths, sizes at random."""
    lines, state, second = [], 1, 0
    for _ in range(n_lines):
        state = state * 48_271 % 0x7FFFFFFF
        second += state % 4
        path = ("index.html", "api/items", "login", "static/app.js", "search?q=tree")[state % 5]
        lines.append(
            f"10.0.{state // 7 % 3}.{state // 3 % 40} - - [04/Mar/2026:{second // 3600 + 6:02d}:"
            f'{second // 60 % 60:02d}:{second % 60:02d} +0000] "GET /{path} HTTP/1.1" '
            f"{(200, 200, 200, 304, 404)[state // 11 % 5]} {state % 9000}\n"
        )
    return "".join(lines).encode()


if __name__ == "__main__":
    print_figures(measurements(), sys.argv[1:])
