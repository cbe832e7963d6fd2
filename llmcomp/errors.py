"""Every error llmcomp raises about data, in one tree, and what it warns of.

A message says what was found, what was wanted and what to do, in one line. Wrong arguments are
the caller's mistake and raise ``TypeError`` or ``ValueError`` as everywhere in Python.
"""

from __future__ import annotations

__all__ = [
    "DamagedError",
    "FormatError",
    "LLMCompError",
    "LLMCompWarning",
    "MismatchError",
    "ModelError",
    "VersionError",
    "printable",
]


class LLMCompError(Exception):
    """Base of every error about data; catch this one to catch them all."""


class FormatError(LLMCompError):
    """The bytes are not a .llmc blob, or one whose fields contradict the format."""


class VersionError(FormatError):
    """The blob uses a format version, profile or method newer than this release knows."""


class DamagedError(LLMCompError):
    """The blob was cut, a CRC-32 over what is stored fails, or xz data contradict themselves."""


class MismatchError(LLMCompError):
    """The blob is intact but decoding gave other bytes: the two models' numbers differ."""


class ModelError(LLMCompError):
    """The model is unknown here, is not installed, or is not the one the blob was made with."""


class LLMCompWarning(UserWarning):
    """Something that may go wrong later; Python's `warnings` say what becomes of it."""


def printable(text: str) -> str:
    r"""Spells out what is not to be printed in text from elsewhere, so that it stays in its line.

    >>> printable("two\nlines, or ends of \u202elines")
    'two\\nlines, or ends of \\u202elines'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
