"""Margins that were measured, by model and dtype, and kept beside the code.

In: what ``calibrate --store`` measured. Out: the margin a model is not to go below. A model that is
loaded measures a margin by itself, over a few tokens on one machine; what is stored here covers
other machines and long texts as well.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["MARGINS_FILE", "read_margins", "store_margin", "stored_margin"]

MARGINS_FILE = Path(__file__).with_name("margins.json")


def read_margins() -> dict[str, dict[str, Any]]:
    """Reads all of them: by ``owner/name@commit``, then by dtype, exponent and places."""
    found: dict[str, dict[str, Any]] = json.loads(MARGINS_FILE.read_text(encoding="utf-8"))
    return found


def stored_margin(source: str, dtype: str) -> float:
    """The margin that was measured for a model, 0 if none was."""
    known = read_margins().get(source, {}).get(dtype)
    return 2.0 ** -known["exponent"] if known else 0.0


def store_margin(source: str, dtype: str, exponent: int, place: str) -> None:
    """Keeps a margin of ``2**-exponent``; of several places the widest counts.

    Args:
        source: ``owner/name@commit``.
        dtype: what the model computed in.
        exponent: of the margin that was measured.
        place: where, in words.
    """
    found = read_margins()
    known = found.setdefault(source, {}).setdefault(dtype, {"exponent": exponent, "measured": []})
    known["exponent"] = min(known["exponent"], exponent)
    known["measured"] = sorted({*known["measured"], f"{place}: 2^-{exponent}"})
    text = json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False)
    MARGINS_FILE.write_text(text + "\n", encoding="utf-8")
