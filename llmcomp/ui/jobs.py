"""What all jobs of the page share: input, limits, progress, files to download.

In: what a visitor typed or dropped. Out: its bytes, ``Working`` values, paths of files that are
deleted after an hour. Knows nothing of gradio, nor of what the jobs do.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from llmcomp.errors import LLMCompError
from llmcomp.steps import Progress
from llmcomp.ui.words import Words

__all__ = [
    "MAX_INPUT_BYTES",
    "MODELS",
    "SECONDS_BETWEEN_YIELDS",
    "InputError",
    "Working",
    "encoded",
    "input_bytes",
    "reporting",
    "require",
    "speaking_name",
    "stash",
]

MODELS = ("embedded", "nano")

MAX_INPUT_BYTES = 200_000
"""A minute of work on the slowest machine the page is meant for."""

SECONDS_BETWEEN_YIELDS = 0.1

_NAME_LENGTH = 32
_KEPT_S = 3600.0

_T = TypeVar("_T")
_Y = TypeVar("_Y")


class InputError(LLMCompError):
    """What was typed or dropped cannot be worked on; the message says what to do.

    Attributes:
        key: what it says, as a key of ``words``, so that a page can say it in another language;
            empty if there is no such key.
        values: what is to be filled in.
    """

    key = ""
    values: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def of(cls, key: str, **values: Any) -> InputError:
        """Makes an error of a key of ``words``; its own message is English."""
        error = cls(Words("en")(key, **values))
        error.key, error.values = key, values
        return error


@dataclass(frozen=True, slots=True)
class Working:
    """A job under way.

    Attributes:
        stage: ``train``, ``encode``, ``verify`` or ``decode``.
        done: bytes finished.
        total: bytes in all.
        elapsed_s: seconds since this stage began.
    """

    stage: str
    done: int
    total: int
    elapsed_s: float


def stash(name: str, data: bytes) -> str:
    """Writes bytes under a speaking name in a folder of their own and returns the path.

    The folder is deleted after an hour, as the page promises.
    """
    folder = tempfile.mkdtemp(prefix="llmcomp-")
    path = Path(folder) / name
    path.write_bytes(data)
    # the page copies what it serves and forgets its copy by itself
    forget = threading.Timer(_KEPT_S, shutil.rmtree, (folder,), {"ignore_errors": True})
    forget.daemon = True
    forget.start()
    return str(path)


def reporting(
    job: Generator[Progress | _Y, None, _T],
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Working | _Y, None, _T]:
    """Passes progress on, at most ten times a second, and everything else at once.

    Returns:
        What the job returns.
    """
    stage, began, last = "", clock(), float("-inf")
    try:
        while True:
            progress = next(job)
            if not isinstance(progress, Progress):
                yield progress
                continue
            now = clock()
            if progress.stage != stage:
                stage, began, last = progress.stage, now, float("-inf")
            if now - last >= SECONDS_BETWEEN_YIELDS:
                last = now
                yield Working(stage, progress.done, progress.total, now - began)
    except StopIteration as end:
        result: _T = end.value
        return result
    finally:
        job.close()


def require(value: object, known: Collection[object]) -> None:
    """Checks a choice that a page of ours would not get wrong, but a program may.

    Raises:
        InputError: if it is not one of those known.
    """
    if value not in known:
        raise InputError(
            f"{value!r} is not a choice here; choose one of {', '.join(map(str, known))}"
        )


def input_bytes(text: str, path: str | None, limit: int = MAX_INPUT_BYTES) -> bytes:
    """Returns a file's bytes, or a text's if there is no file.

    Raises:
        InputError: if there are none, or more than ``limit``.
    """
    data = Path(path).read_bytes() if path else encoded(text)
    if not data:
        raise InputError.of("nothing_to_compress")
    if len(data) > limit:
        raise InputError.of("too_many_bytes", n=len(data), limit=limit)
    return data


def encoded(text: str) -> bytes:
    """Returns a text as UTF-8.

    Raises:
        InputError: if it holds half a character, as a program's text may.
    """
    try:
        return (text or "").encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError.of("half_character", n=error.start) from error


def speaking_name(text: str, path: str | None) -> str:
    """Makes a file name, without its ending, of a path or of a text's first words."""
    source = Path(path).name if path else text[: 4 * _NAME_LENGTH]
    words = re.findall(r"[^\W_]+", source)
    kept = "-".join(words)[:_NAME_LENGTH].strip("-")
    return kept or "text"
