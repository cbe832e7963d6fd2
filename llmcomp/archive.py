"""Archives: many small files in one blob, so that they share its header and each other's context.

In: files, by name. Out: a blob whose first segment lists them and needs no model to be read
(`llmcomp.table`); and from such a blob its members, one alone or all of them into a directory.

    files -> by suffix, then name -> table, kept without the model ------> blob
                                  -> contents, joined -> segments as ever --^

What is kept of a file: its name, its bytes, and whether it is a program. Empty directories, links,
owners and times are not. Nothing that a table says can make extraction write outside the directory
it was given, through a link in it, or over a file that is there; where a file system would take two
names for one, or not take one, nothing is extracted (`llmcomp.places`).
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from llmcomp.codec import as_bytes, as_file, plain_table
from llmcomp.container import PIECE_BYTES
from llmcomp.errors import FormatError, LLMCompError
from llmcomp.models.base import LanguageModel
from llmcomp.pace import Pace
from llmcomp.places import require_names, require_place, settle_all
from llmcomp.ranges import SegmentIndex, copying_range
from llmcomp.steps import Steps, run
from llmcomp.stream import BlobCompressor, Target, limited
from llmcomp.table import Member, pack_table, read_table

__all__ = ["Archive", "Entry", "archiving", "compress_files", "find_entries", "is_archive"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that is to be put into an archive.

    Attributes:
        name: its name there, as `llmcomp.table` allows.
        content: its bytes, or where on the disk they are.
        executable: whether it is a program.
    """

    name: str
    content: bytes | Path
    executable: bool = False

    def size(self) -> int:
        """Counts its bytes."""
        if isinstance(self.content, Path):
            return self.content.stat().st_size
        return len(as_bytes(self.content))

    def open(self) -> IO[bytes]:
        """Opens it for reading."""
        if isinstance(self.content, Path):
            return self.content.open("rb")
        return io.BytesIO(self.content)


def compress_files(files: Iterable[tuple[str, bytes]], **options: Any) -> bytes:
    """Puts files into an archive in one go.

    Args:
        files: names and contents, in any order.
        **options: as in `llmcomp.codec.compress`.

    Returns:
        A .llmc blob; `Archive` reads it.

    Raises:
        TypeError: if contents are not bytes.
        ValueError: as `archiving` does.
        ModelError: if the model is not here.
    """
    target = io.BytesIO()
    run(archiving([Entry(name, content) for name, content in files], target, **options))
    return target.getvalue()


def archiving(entries: Iterable[Entry], target: Target, **options: Any) -> Steps[BlobCompressor]:
    """Puts files into an archive, step by step and in bounded memory.

    Args:
        entries: the files. They are ordered by suffix and name, so that what is alike is near and
            the same files always give the same blob.
        target: open for writing.
        **options: as in `llmcomp.stream.BlobCompressor`.

    Yields:
        `Progress`, in bytes.

    Returns:
        The compressor, with its bill.

    Raises:
        TypeError: if contents are not bytes.
        ValueError: if the format refuses a name, or an option has no such value.
        LLMCompError: if a file changes its size meanwhile.
    """
    ordered = sorted(entries, key=lambda entry: (PurePosixPath(entry.name).suffix, entry.name))
    sizes = [entry.size() for entry in ordered]
    files = [(e.name, size, e.executable) for e, size in zip(ordered, sizes, strict=True)]
    compressor = BlobCompressor(table=pack_table(files), total=sum(sizes), **options)
    return _archiving(ordered, sizes, target, compressor)


def _archiving(
    entries: Sequence[Entry], sizes: Sequence[int], target: Target, compressor: BlobCompressor
) -> Steps[BlobCompressor]:
    for entry, size in zip(entries, sizes, strict=True):
        due = size
        with entry.open() as file:
            while due >= 0 and (piece := file.read(PIECE_BYTES)):
                due -= len(piece)
                target.write((yield from compressor.feed(piece)))
        if due:
            raise LLMCompError(f"{entry.name!a} changed its size while it was read; try again")
    target.write((yield from compressor.finish()))
    return compressor


def find_entries(
    paths: Iterable[Path], leave_out: Path | None = None
) -> tuple[list[Entry], list[str]]:
    """Finds the files that an archive of paths is to hold.

    A path below the current directory keeps its name as given; another one goes by its last part.
    A link that is named is followed; links inside directories, and whatever is neither a file nor
    a directory, are skipped.

    Args:
        paths: files, and directories that stand for all that is in them.
        leave_out: a file to skip: the archive itself, where it lies among the others.

    Returns:
        The files, and a note about each thing that was skipped.

    Raises:
        OSError: if one is not there or cannot be looked at.
    """
    entries: list[Entry] = []
    notes: list[str] = []
    for path in paths:
        for found, name in _walk(path, _name_of(path)):
            mode = (found.stat() if found == path else found.lstat()).st_mode
            if not stat.S_ISREG(mode):
                what = "a link" if stat.S_ISLNK(mode) else "no regular file"
                notes.append(f"{str(found)!a} is {what} and was skipped")
            elif leave_out is not None and leave_out.exists() and found.samefile(leave_out):
                notes.append(f"{str(found)!a} is the archive itself and was skipped")
            else:
                entries.append(Entry(name, found, executable=bool(mode & stat.S_IXUSR)))
    return entries, notes


def _name_of(path: Path) -> str:
    """Says what a path that was given is called in an archive; nothing if it is ``.``."""
    normal = Path(os.path.normpath(path))
    if normal.is_absolute() or ".." in normal.parts:
        normal = Path(Path(os.path.abspath(path)).name)  # noqa: PTH100 - resolve() follows links
    return "/".join(normal.parts)


def _walk(path: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Lists all that is not a directory at or below a path, with its name in an archive."""
    if not path.is_dir():
        yield path, name
        return
    for child in sorted(path.iterdir()):
        below = f"{name}/{child.name}" if name else child.name
        if child.is_symlink():
            yield child, below
        else:
            yield from _walk(child, below)


def is_archive(file: IO[bytes]) -> bool:
    """Tells whether the blob at a seekable file's present position is an archive.

    Raises:
        LLMCompError: if it is no blob, or cut within its first segment.
    """
    start = file.tell()
    try:
        return SegmentIndex(file).first().head.table
    finally:
        file.seek(start)


class Archive:
    """Reads an archive's members; its table is read at once and needs no model.

    Args:
        source: a blob, or a seekable file that holds one from its present position on.
        model: as in `llmcomp.codec.decompressing`.

    Attributes:
        members: what it holds, in the order of their contents.

    Raises:
        TypeError: if ``source`` is neither bytes nor a file.
        FormatError: if it is no archive, or its table contradicts the format.
        DamagedError: if it is cut, or the table's checksum fails.
    """

    def __init__(
        self, source: bytes | IO[bytes], *, model: str | LanguageModel | None = None
    ) -> None:
        self._index = SegmentIndex(as_file(source), model=model)
        first = self._index.first()
        if not first.head.table:
            raise FormatError("the blob is no archive but one text; decompress it as such")
        table = plain_table(self._index.load(first))
        self._contents_start = len(table)
        self._stop = self._index.length()
        self.members: Sequence[Member] = read_table(table, self._stop - len(table))

    def member(self, name: str) -> Member:
        """Finds a member.

        Raises:
            ValueError: if there is none of that name.
        """
        for member in self.members:
            if member.name == name:
                return member
        raise ValueError(f"no file {name!a} in the archive; `info` lists its {len(self.members)}")

    def read(self, name: str) -> bytes:
        """Gives a member's bytes; decodes no more lanes than it has to.

        Raises:
            ValueError: if there is none of that name.
            LLMCompError: as `llmcomp.ranges.read_range` does.
        """
        target = io.BytesIO()
        run(self.copying(name, target))
        return target.getvalue()

    def copying(
        self, name: str, target: Target, start: int | None = None, stop: int | None = None
    ) -> Steps[int]:
        """Writes bytes ``[start, stop)`` of a member to a file, step by step.

        Args:
            name: the member's.
            target: open for writing.
            start: as in a slice of its contents.
            stop: as there.

        Yields:
            `Progress`, in bytes of one segment at a time.

        Returns:
            How many bytes were written.

        Raises:
            ValueError: if there is none of that name.
            LLMCompError: as `llmcomp.ranges.read_range` does.
        """
        member = self.member(name)
        begin, end, _ = slice(start, stop).indices(member.size)
        first = member.start + begin
        return copying_range(self._index, target, first, max(first, member.start + end))

    def extract(self, directory: str | Path, *, force: bool = False) -> None:
        """Writes all members below a directory in one go; see `extracting`."""
        run(self.extracting(directory, force=force))

    def extracting(
        self, directory: str | Path, *, force: bool = False, max_seconds: float | None = None
    ) -> Steps[None]:
        """Writes all members below a directory, step by step.

        Members are decoded and checked in a temporary directory, and moved to their places when all
        of them are whole: an archive that turns out to be damaged leaves nothing behind. From then
        on nothing is thrown away: what cannot be moved is kept in a new directory beside.

        Args:
            directory: made if it is not there; may itself be a link.
            force: overwrite files that are there.
            max_seconds: refuse as soon as the estimate says that it would take longer.

        Yields:
            `Progress`, in plain bytes.

        Raises:
            ValueError: if a member's place is taken, or lies behind a link; nothing was written.
            LLMCompError: as `llmcomp.codec.decompressing` does; also if it would take too long, or
                if the file system there does not keep the members' names, or not apart.
            OSError: if it cannot be written, and `FileExistsError` if a place was taken meanwhile;
                once all is decoded the message says where the files are kept that were not moved.
            KeyboardInterrupt: likewise.
        """
        directory = Path(directory)
        names = [member.name for member in self.members]
        for name in names:
            require_place(directory, name, force=force)
        there = next(p for p in (directory, *directory.parents) if p.exists())
        stage = Path(tempfile.mkdtemp(dir=there, prefix=".llmcomp-"))
        try:
            require_names(names, stage)
            staged = [stage / name for name in names]
            for file in staged:
                file.parent.mkdir(parents=True, exist_ok=True)
            yield from limited(self._staging(staged), Pace(("decode",)), max_seconds)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
        settle_all(stage, names, directory, force=force)

    def _staging(self, files: Sequence[Path]) -> Steps[None]:
        """Decodes every segment and writes each member's part of it to its file."""
        at, index = self._contents_start, 0
        total = self._stop - at
        while (place := self._index.find(at)) is not None:
            segment = self._index.load(place)
            done = at - self._contents_start
            plain, _ = yield from place.decoder.decode(segment, place.index, done, total)
            while index < len(files) and self.members[index].start < place.stop:
                member = self.members[index]
                begin = max(0, member.start - place.start)
                _append(files[index], plain[begin : member.stop - place.start])
                if member.stop > place.stop:
                    break
                index += 1
            at = place.stop
        for member, file in zip(self.members, files, strict=True):
            if not member.size:
                file.touch()
            if member.executable:
                mode = file.stat().st_mode
                file.chmod(mode | (mode & 0o444) >> 2)  # run by whom the umask lets read it


def _append(path: Path, data: bytes) -> None:
    """Writes on at a file's end, down to the disk: it will be renamed."""
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
