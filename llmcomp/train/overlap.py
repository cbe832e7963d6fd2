"""How much of the held-out text stands in the training text, piece by piece.

In: a recipe and ``LLMCOMP_DATA``. Out: for each held-out file, how many of its random pieces occur
literally in what the recipe trains on. Pieces of 50 bytes are long enough that a hit means a copy
or a set phrase; a slice with many hits is no held-out text.
"""

from __future__ import annotations

import lzma
import random

from llmcomp.train.data import MEGABYTE, data_dir, validation_files
from llmcomp.train.recipe import Recipe

__all__ = ["overlap"]

PIECES = 100
PIECE_BYTES = 50


def overlap(recipe: Recipe, n_bytes: int = 50_000, seed: int = 1) -> dict[str, int]:
    """Counts the pieces of each held-out slice that training text holds.

    Args:
        recipe: names the sources and how much of each is used.
        n_bytes: of each held-out file, from its beginning.
        seed: of the choice of pieces.

    Returns:
        Hits of 100 by slice: the validation files and, where it is, the beginning of enwik8.
    """
    slices = dict(validation_files())
    enwik = data_dir() / "bench" / "enwik6"
    if enwik.is_file():
        slices["enwik8"] = enwik
    rng = random.Random(seed)
    pieces = {}
    for name, path in slices.items():
        with path.open("rb") as file:
            text = file.read(n_bytes)
        last = max(0, len(text) - PIECE_BYTES)
        places = [rng.randint(0, last) for _ in range(PIECES)]
        pieces[name] = {at: text[at : at + PIECE_BYTES] for at in places}
    found: dict[str, set[int]] = {name: set() for name in pieces}
    for source in recipe.sources:
        with lzma.open(data_dir() / "train" / f"{source.name}.txt.xz") as file:
            used = file.read(int(source.cap_mb * MEGABYTE))
        for name, places_of in pieces.items():
            found[name] |= {at for at, piece in places_of.items() if piece in used}
    return {name: round(100 * len(hits) / len(pieces[name])) for name, hits in found.items()}
