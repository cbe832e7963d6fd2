"""Where files may be put on a disk: names that a file system keeps, and places that are free.

In: paths and names. Out: nothing, or a refusal in one line, before anything is written. What took
long to make is never thrown away because its place was taken meanwhile: it gets a name beside it.
Knows nothing of what the files hold.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmcomp.errors import LLMCompError
from llmcomp.table import find_clash, shortened

__all__ = [
    "Habits",
    "beside",
    "new_file_mode",
    "probe",
    "put",
    "require_names",
    "require_place",
    "settle",
    "settle_all",
]

_MAX_NAME_BYTES = 255  # of one part of a path, on every common file system
_LONGEST_SUFFIX = 40  # of a name beside another, in characters
_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    port + digit for port in ("COM", "LPT") for digit in "0123456789¹²³"
}
_FORBIDDEN = frozenset('<>:"|?*')
_WAYS = {"ignores_case": "ignores case", "ignores_forms": "composes letters in its own way"}
_COMPOSED, _DECOMPOSED = "\u00e9", "e\u0301"


@dataclass(frozen=True, slots=True)
class Habits:
    """Which names a file system takes for one, and which it does not take.

    Attributes:
        ignores_case: ``A`` and ``a`` are one file.
        ignores_forms: so are the composed and the decomposed form of a letter.
        as_windows: names have to be those that Windows allows.
    """

    ignores_case: bool = False
    ignores_forms: bool = False
    as_windows: bool = False

    def fold(self, name: str) -> str:
        """Gives what all names of one file have in common."""
        if self.ignores_case and self.ignores_forms:  # folding can bring letters out of order
            name = unicodedata.normalize("NFD", name)
        folded = name.casefold() if self.ignores_case else name
        return unicodedata.normalize("NFC", folded) if self.ignores_forms else folded

    def fault(self, name: str) -> str:
        """Says what Windows has against a name, if that matters; nothing if it takes it."""
        for part in name.split("/") if self.as_windows else ():
            if part[-1] in ". ":
                return "it ends in a dot or a space"
            if _FORBIDDEN & set(part):
                return f"it holds one of {' '.join(sorted(_FORBIDDEN))}"
            if part.partition(".")[0].rstrip(" ").upper() in _DEVICES:
                return "it belongs to a device"
        return ""


def probe(directory: Path) -> Habits:
    """Finds out a file system's habits by making files in a directory, which are gone afterwards.

    Raises:
        OSError: if nothing can be written there.
    """
    with tempfile.TemporaryDirectory(dir=directory, prefix=".llmcomp-") as own:
        here = Path(own)
        return Habits(
            ignores_case=_made(here / "case") and (here / "CASE").exists(),
            ignores_forms=_made(here / _COMPOSED) and (here / _DECOMPOSED).exists(),
            as_windows=not _made(here / "what?"),
        )


def _made(path: Path) -> bool:
    try:
        path.touch()
    except OSError:
        return False
    return True


def require_names(names: Sequence[str], directory: Path) -> None:
    """Checks that a file system keeps an archive's names, all of them and apart.

    Args:
        names: with ``/`` between parts.
        directory: an empty one there.

    Raises:
        LLMCompError: if it does not.
        OSError: if nothing can be written there.
    """
    habits = probe(directory)
    instead = "extract into another, or single files (cat --member NAME)"
    clash = find_clash(names, habits.fold)
    if clash is not None:
        one, other = map(shortened, clash)
        why = _why(clash, habits)
        raise LLMCompError(f"{one} and {other} clash on this file system, which {why}; {instead}")
    for name in names:
        fault = habits.fault(name) or _fault_there(name, directory)
        if fault:
            raise LLMCompError(
                f"{shortened(name)} is no name to this file system: {fault}; {instead}"
            )


def _why(clash: Sequence[str], habits: Habits) -> str:
    """Says which habit makes two names clash; all of them if none does alone."""
    ways = {
        what: Habits(**{habit: True}) for habit, what in _WAYS.items() if getattr(habits, habit)
    }
    alone = (what for what, habit in ways.items() if find_clash(clash, habit.fold))
    return next(alone, " and ".join(ways))


def _fault_there(name: str, directory: Path) -> str:
    """Says what a file system has against a name that it is asked about; nothing if it takes it."""
    for path in (name, *name.split("/")):
        try:
            (directory / path).lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            return error.strerror or str(error)
    return ""


def require_place(directory: Path, name: str, *, force: bool) -> None:
    """Checks that a file can be put below a directory without touching anything else.

    Raises:
        ValueError: if there is one already, or something that is none, or a link on the way.
    """
    path = directory
    *parents, last = name.split("/")
    for part in parents:
        path /= part
        if not os.path.lexists(path):
            return
        if path.is_symlink() or not path.is_dir():
            raise ValueError(f"{str(path)!a} is in the way: no directory, or a link to one")
    path /= last
    if not os.path.lexists(path):  # unlike `Path`, no error for a name that is too long
        return
    if path.is_symlink() or not path.is_file():
        raise ValueError(f"{str(path)!a} is in the way and no regular file; move it away")
    if not force:
        raise ValueError(f"{str(path)!a} exists; use -f to overwrite it, or another directory")


def put(finished: Path, target: Path, *, force: bool) -> None:
    """Renames a file, all at once; over another one only if that is wanted.

    Raises:
        OSError: if it cannot be done, `FileExistsError` if the name is taken; the file stays, and
            what has the name, if anything.
    """
    if force:
        finished.replace(target)
        return
    try:
        os.link(finished, target)  # unlike renaming, this refuses a name that is taken
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        target.touch(exist_ok=False)
        try:
            finished.replace(target)
        except OSError:
            target.unlink()
            raise
    else:
        finished.unlink()


def settle(finished: Path, target: Path, *, force: bool) -> None:
    """Renames the file that a long job has made, or keeps it beside its place if that is taken.

    Raises:
        OSError: if it is kept elsewhere; the message says where.
    """
    try:
        put(finished, target, force=force)
    except OSError as error:
        kept = finished
        with contextlib.suppress(OSError):  # where nothing can be written it stays where it is
            kept = beside(target, lambda free: put(finished, free, force=False))
        raise type(error)(
            f"{target} cannot be written: {error.strerror}; the result is kept as {kept}"
        ) from None


def settle_all(
    finished: Path, names: Sequence[str], directory: Path, *, force: bool = False
) -> None:
    """Moves the files that a long job has made below a directory, or keeps those left beside it.

    Args:
        finished: a directory that holds them, by the same names; it is gone afterwards, but for
            what cannot be moved at all.
        names: with ``/`` between parts.
        directory: made if it is not there.
        force: overwrite files that are there.

    Raises:
        OSError: if some are kept elsewhere; the message says where. `FileExistsError` if a place
            was taken.
        KeyboardInterrupt: likewise.
    """
    path = directory
    try:
        path.mkdir(parents=True, exist_ok=True)
        for name in names:  # before the first is moved
            require_place(directory, name, force=force)
        for name in names:
            require_place(directory, name, force=force)
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            put(finished / name, path, force=force)
    except (ValueError, OSError, KeyboardInterrupt) as error:
        kept = finished
        with contextlib.suppress(ValueError, OSError):  # they may have to stay where they are
            mode = new_file_mode()
            finished.chmod(mode | (mode & 0o444) >> 2)  # entered by whom the umask lets read it
            kept = beside(directory.resolve(), lambda free: _rename(finished, free))
        count = sum(os.path.lexists(kept / name) for name in names)
        where = f"{count:,} file(s) are kept in {kept}"
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(f"stopped; {where}") from None
        if isinstance(error, ValueError):
            raise FileExistsError(f"{error}; {where}") from None
        raise type(error)(f"{path} cannot be written: {error.strerror}; {where}") from None
    shutil.rmtree(finished)


def _rename(directory: Path, free: Path) -> None:
    """Renames a directory if nothing has the name; over an empty directory at the worst."""
    if os.path.lexists(free):
        raise FileExistsError
    directory.rename(free)


def beside(path: Path, claim: Callable[[Path], object]) -> Path:
    """Finds a free name beside a path: ``notes-1.txt`` beside ``notes.txt``.

    Args:
        path: the one that is taken.
        claim: takes a name, or raises `FileExistsError` if somebody else has.

    Returns:
        The name that was claimed.

    Raises:
        OSError: if none can be.
    """
    number = 0
    while True:
        number += 1
        stem, ending = path.stem, f"-{number}{path.suffix[:_LONGEST_SUFFIX]}"
        while len(os.fsencode(stem + ending)) > _MAX_NAME_BYTES:
            stem = stem[:-1]
        free = path.with_name(stem + ending)
        try:
            claim(free)
        except FileExistsError:
            continue
        return free


def new_file_mode() -> int:
    """What an ordinary new file gets; a temporary one is private."""
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
