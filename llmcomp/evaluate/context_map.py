"""What lanes, windows and overlaps cost, as a map: sizes over schedules and numbers of lanes.

In: a model and texts. Out: tables, and a picture of them. Knows nothing of presets.

A cell is what the segment takes of a file, every byte of it, with online help: payloads, lengths
and checksums.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from llmcomp.container import Lane, Method, Segment
from llmcomp.lanes import encode
from llmcomp.models.base import LanguageModel, Tokens
from llmcomp.schedule import Schedule, cut_evenly
from llmcomp.steps import run

__all__ = ["SizeMap", "as_svg", "as_table", "measure"]

_CELL_PX = 52, 26  # width and height
_LABEL_PX, _TITLE_PX, _GAP_PX = 84, 48, 28
# from no loss to `_DEAREST` percent: one hue from light to dark, text in what contrasts with it
_COLOURS = ("#E8F1FA", "#CFE3F4", "#9CC7E6", "#F6C879", "#F09A4A", "#D9702B")
_STEPS = 0.25, 0.5, 1.0, 2.0, 4.0  # percent; the colours stand between them


@dataclass(frozen=True, slots=True)
class SizeMap:
    """One text's sizes.

    Attributes:
        name: of the text.
        raw_bytes: its length.
        schedules: of the rows.
        lane_counts: of the columns.
        sizes: bytes of the segment, by row and column.
    """

    name: str
    raw_bytes: int
    schedules: Sequence[Schedule]
    lane_counts: Sequence[int]
    sizes: Sequence[Sequence[int]]

    @property
    def least(self) -> int:
        """The smallest of all."""
        return min(min(row) for row in self.sizes)

    def loss(self, row: int, column: int) -> float:
        """Percent by which a cell is larger than the smallest."""
        return 100 * (self.sizes[row][column] / self.least - 1)


def measure(
    model: LanguageModel,
    name: str,
    data: bytes,
    schedules: Sequence[Schedule],
    lane_counts: Sequence[int],
) -> SizeMap:
    """Encodes a text, at most a segment of it, at every place of the map."""
    tokens = model.tokenizer.encode(data)
    known: dict[Any, int] = {}  # schedules differ only where a lane does not fit into a window
    sizes: list[list[int]] = []
    for schedule in schedules:
        sizes.append([])
        for n_lanes in lane_counts:
            lanes = [tokens[part] for part in cut_evenly(len(tokens), n_lanes)]
            windows = tuple(tuple(schedule.windows(len(lane))) for lane in lanes)
            if windows not in known:
                known[windows] = _size(model, data, schedule, lanes)
            sizes[-1].append(known[windows])
    return SizeMap(name, len(data), schedules, lane_counts, sizes)


def _size(model: LanguageModel, data: bytes, schedule: Schedule, lanes: Sequence[Tokens]) -> int:
    """Bytes of the segment."""
    coded = run(encode(model, lanes, schedule, online=True))
    framed = [
        Lane(len(model.tokenizer.decode(lane)), found.payload)
        for lane, found in zip(lanes, coded, strict=True)
    ]
    segment = Segment(Method.LM, framed, zlib.crc32(data), helped=coded[0].helped)
    return len(segment.pack(b"", 0, last=True))


def as_table(maps: Sequence[SizeMap]) -> str:
    """Renders maps as a Markdown table: the smallest size in bytes, and the losses in percent."""
    counts = sorted({n for found in maps for n in found.lane_counts})
    lines = [
        "| text | window | overlap | " + " | ".join(f"{n} lanes" for n in counts) + " |",
        "|---|---:|---:|" + "---:|" * len(counts),
    ]
    lines[0] = lines[0].replace("| 1 lanes |", "| 1 lane |")
    for found in maps:
        for row, schedule in enumerate(found.schedules):
            cells = []
            for n in counts:
                if n not in found.lane_counts:
                    cells.append("")
                    continue
                column = found.lane_counts.index(n)
                smallest = found.sizes[row][column] == found.least
                loss = f"+{found.loss(row, column):.2f} %"
                cells.append(f"**{found.least:,} B**" if smallest else loss)
            lines.append(
                f"| {found.name}, {found.raw_bytes:,} B | {schedule.window} | {schedule.overlap} | "
                + " | ".join(cells)
                + " |"
            )
    return "\n".join(lines)


def as_svg(maps: Sequence[SizeMap], columns: int) -> str:
    """Draws maps side by side, ``columns`` in a row.

    The picture stands on any page: words are drawn in a colour that reads on white and on black.
    """
    width = max(_width(found) for found in maps)
    height = max(_height(found) for found in maps)
    n_rows = -(-len(maps) // columns)
    total = columns * (width + _GAP_PX) - _GAP_PX, n_rows * (height + _GAP_PX) - _GAP_PX
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total[0]} {total[1]}" '
        f'width="{total[0]}" height="{total[1]}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12">',
        "<title>How much larger a file gets, in percent, by lanes, windows and overlaps</title>",
        "<style>.w{fill:#57606a}@media(prefers-color-scheme:dark){.w{fill:#a8b3bf}}</style>",
    ]
    for place, found in enumerate(maps):
        x, y = place % columns * (width + _GAP_PX), place // columns * (height + _GAP_PX)
        parts += [f'<g transform="translate({x},{y})">', *_drawn(found), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _drawn(found: SizeMap) -> list[str]:
    """One map with its title, its labels and its cells."""
    wide, high = _CELL_PX
    title = escape(f"{found.name}, {found.raw_bytes:,} bytes")
    parts = [f'<text class="w" x="0" y="13" font-weight="600">{title}</text>']
    for column, n in enumerate(found.lane_counts):
        x = _LABEL_PX + (column + 0.5) * wide
        word = "1 lane" if n == 1 else str(n)
        parts.append(
            f'<text class="w" x="{x}" y="{_TITLE_PX - 8}" text-anchor="middle">{word}</text>'
        )
    for row, schedule in enumerate(found.schedules):
        y = _TITLE_PX + row * high
        parts.append(
            f'<text class="w" x="{_LABEL_PX - 8}" y="{y + 17}" text-anchor="end">'
            f"{schedule.window} / {schedule.overlap}</text>"
        )
        for column in range(len(found.lane_counts)):
            loss = found.loss(row, column)
            colour = _COLOURS[sum(loss >= step for step in _STEPS)]
            x = _LABEL_PX + column * wide
            smallest = found.sizes[row][column] == found.least
            parts.append(
                f'<rect x="{x + 1}" y="{y + 1}" width="{wide - 2}" height="{high - 2}" rx="3" '
                f'fill="{colour}"/>'
                f'<text x="{x + wide / 2}" y="{y + 17}" text-anchor="middle" fill="#14202b"'
                + (' font-weight="700">best' if smallest else f">{loss:.2f}")
                + "</text>"
            )
    return parts


def _width(found: SizeMap) -> int:
    return _LABEL_PX + len(found.lane_counts) * _CELL_PX[0]


def _height(found: SizeMap) -> int:
    return _TITLE_PX + len(found.schedules) * _CELL_PX[1]
