"""What all jobs of the page share: input, limits, progress, files to download.

In: what a visitor typed or dropped. Out: its bytes, ``Working`` values, paths of files that are
deleted after an hour. Knows nothing of gradio, nor of what the jobs do.
"""

from __future__ import annotations

import functools
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

from llmcomp.errors import LLMCompError
from llmcomp.space.hardware import here
from llmcomp.space.limits import LimitError, limits_of
from llmcomp.space.offer import SHIPPED
from llmcomp.steps import Progress
from llmcomp.ui.words import Words

__all__ = [
    "LIMITS",
    "MAX_INPUT_BYTES",
    "MODELS",
    "PLACE",
    "SECONDS_BETWEEN_YIELDS",
    "InputError",
    "Underway",
    "Working",
    "encoded",
    "input_bytes",
    "limited",
    "reporting",
    "require",
    "speaking_name",
    "stash",
]

PLACE = here()
"""Where the page runs: what machine, and whether strangers use it."""

LIMITS = limits_of(PLACE.hardware)

MODELS = SHIPPED
"""The models that work everywhere and are always offered."""

MAX_INPUT_BYTES = LIMITS.input_bytes

SECONDS_BETWEEN_YIELDS = 0.1

_NAME_LENGTH = 32
_KEPT_S = 3600.0

_T = TypeVar("_T")
_Y = TypeVar("_Y")
_P = ParamSpec("_P")


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


class Underway:
    """What a job tells of its progress: more of its work follows."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Working(Underway):
    """A job under way.

    Attributes:
        stage: ``wait`` (for the GPU), ``load``, ``train``, ``encode``, ``verify`` or ``decode``.
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

    Raises:
        LimitError: if what waits to be downloaded takes all the disk there is for it.
    """
    _disk.take(len(data))
    folder = tempfile.mkdtemp(prefix="llmcomp-")
    path = Path(folder) / name
    path.write_bytes(data)
    # the page copies what it serves and forgets its copy by itself
    forget = threading.Timer(_KEPT_S, _forget, (folder, len(data)))
    forget.daemon = True
    forget.start()
    return str(path)


def _forget(folder: str, n_bytes: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _disk.give_back(n_bytes)


class _Disk:
    """Counts the bytes of files that wait to be downloaded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0

    def take(self, n_bytes: int) -> None:
        with self._lock:
            self.require(n_bytes)
            self._taken += n_bytes

    def require(self, n_bytes: int) -> None:
        if self._taken + n_bytes > LIMITS.disk_bytes:
            raise LimitError(
                f"{self._taken:,} bytes wait to be downloaded, and there is room for "
                f"{LIMITS.disk_bytes:,}; try again in an hour"
            )

    def give_back(self, n_bytes: int) -> None:
        with self._lock:
            self._taken -= n_bytes


_disk = _Disk()


def limited(
    work: Callable[_P, Generator[_Y, None, None]],
) -> Callable[_P, Generator[_Y, None, None]]:
    """Stops a visitor's job, whatever it consists of, when it has taken as long as a job may.

    Raises:
        LimitError: from the job, at the first step of its work after that.
    """

    @functools.wraps(work)
    def within(*args: _P.args, **options: _P.kwargs) -> Generator[_Y, None, None]:
        until = time.monotonic() + LIMITS.seconds
        job = work(*args, **options)
        try:
            for value in job:
                if isinstance(value, Underway) and time.monotonic() > until:
                    raise LimitError(
                        f"this took longer than the {LIMITS.seconds:,} s that a job may take here, "
                        "and was stopped: take a shorter text, or the command line"
                    )
                yield value
        finally:
            job.close()

    return within


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
    _disk.require(0)  # before any work, not after it
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
