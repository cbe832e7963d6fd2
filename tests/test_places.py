"""Names that a file system keeps, and places that are free: nothing is written over, or lost."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from fakes import FakeModel

import llmcomp
from llmcomp import places
from llmcomp.archive import Archive
from llmcomp.cli import main
from llmcomp.errors import LLMCompError
from llmcomp.places import Habits, beside, probe, put, require_names, settle

MAC = Habits(ignores_case=True, ignores_forms=True)
WINDOWS = Habits(ignores_case=True, as_windows=True)


@pytest.fixture
def files(tmp_path):
    finished, target = tmp_path / "finished", tmp_path / "notes.txt"
    finished.write_bytes(b"ours")
    return finished, target


# --- names ------------------------------------------------------------------------------------


def test_a_file_system_is_asked_what_it_does_with_names(tmp_path):
    habits = probe(tmp_path)
    assert list(tmp_path.iterdir()) == []
    for ignored, names in (
        (habits.ignores_case, ("name", "NAME")),
        (habits.ignores_forms, ("\u00fc", "u\u0308")),
    ):
        for name in names:
            (tmp_path / name).write_text(name, encoding="utf-8")
        kept = {name: (tmp_path / name).read_text(encoding="utf-8") for name in names}
        assert (kept[names[0]] == names[0]) is not ignored
    if not habits.as_windows:
        (tmp_path / 'a:b"c').touch()
        assert tmp_path / 'a:b"c' in tmp_path.iterdir()


def test_what_a_file_system_does_is_told_apart(tmp_path, monkeypatch):
    """The answers of others: made here of names that are there already, or cannot be made."""

    def on_a_mac(path: Path) -> bool:
        for other in (path, path.with_name(path.name.upper()), path.with_name("e\u0301")):
            other.touch()
        return True

    with monkeypatch.context() as patched:
        patched.setattr(places, "_made", on_a_mac)
        assert probe(tmp_path) == MAC
    monkeypatch.setattr(places, "_made", lambda path: "?" not in path.name and not path.touch())
    assert probe(tmp_path).as_windows


@pytest.mark.parametrize(
    ("names", "habits", "message"),
    [
        (("README", "readme"), MAC, r"'README' and 'readme' clash .*, which ignores case; extract"),
        (("a/b/c", "A/B/C"), MAC, "clash"),
        (("A", "a/b"), MAC, "'A' and 'a/b' clash"),
        (("Straße", "STRASSE"), MAC, "clash"),
        (("\u00e9", "e\u0301"), MAC, "which composes letters in its own way; extract"),
        (("\u00c9", "e\u0301"), MAC, "ignores case and composes letters in its own way; extract"),
        (("\u00e9", "e\u0301"), Habits(ignores_forms=True), "composes letters in its own way"),
        (("con",), WINDOWS, "'con' is no name to this file system: it belongs to a device; extr"),
        (("a/NUL.tar.gz",), WINDOWS, "belongs to a device"),
        (("lpt1 .txt/x",), WINDOWS, "belongs to a device"),
        (("com²",), WINDOWS, "belongs to a device"),
        (("a./b",), WINDOWS, "ends in a dot or a space"),
        (("a ",), WINDOWS, "ends in a dot or a space"),
        (("what?",), WINDOWS, r'it holds one of " \* : < > \? \|'),
        (("a/b:c",), WINDOWS, "it holds one of"),
        (("x" * 256,), Habits(), "x… is no name .*: File name too long; extract"),
        (("a/" + "x" * 256,), Habits(), "File name too long"),
    ],
)
def test_names_that_would_not_survive_are_refused_before_anything_is_written(
    names, habits, message, tmp_path, monkeypatch
):
    message = message.replace("x…", r"x\\u2026'")
    model = FakeModel()
    blob = llmcomp.compress_files([(name, b"text " * 9) for name in names], model=model)
    model.calls = 0
    monkeypatch.setattr(places, "probe", lambda directory: habits)
    with pytest.raises(LLMCompError, match=message) as caught:
        Archive(blob, model=model).extract(tmp_path / "new")
    assert "\n" not in str(caught.value)
    assert model.calls == 0
    assert list(tmp_path.iterdir()) == []
    # as the message says, single files can be had
    assert Archive(blob, model=model).read(names[-1]) == b"text " * 9


@pytest.mark.parametrize(
    ("names", "habits"),
    [
        (("a/x", "A/y", "b"), MAC),  # directories may be one: both files are kept
        (("ss", "s", "é/e", "e/é"), MAC),
        (("console.txt", "nul/.x", ".con", "com10", "a.b.c", "lptx")[::2], WINDOWS),
        (("CON", "con", "a:b", "end.", "\u00e9", "e\u0301"), Habits()),
        (("README", "readme"), Habits(ignores_forms=True)),
        (("\u00e9", "e\u0301"), WINDOWS),  # which only ignores case
    ],
)
def test_names_that_survive_are_let_through(names, habits, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "probe", lambda directory: habits)
    require_names(names, tmp_path)


@pytest.mark.parametrize("name", ["n" * 300, "n" * 300 + "/a", "a/" + "n" * 300])
@pytest.mark.parametrize("force", [False, True])
def test_names_that_are_too_long_are_refused_in_a_directory_that_is_there(name, force, tmp_path):
    (tmp_path / "a").mkdir()
    archive = Archive(llmcomp.compress_files([(name, b"text")]))
    with pytest.raises(LLMCompError, match="is no name to this file system: File name too long"):
        archive.extract(tmp_path, force=force)
    assert list(tmp_path.rglob("*")) == [tmp_path / "a"]


def test_the_command_line_says_so_in_one_line(tmp_path, monkeypatch, capsys):
    blob = tmp_path / "all.llmc"
    blob.write_bytes(llmcomp.compress_files([("README", b"1"), ("readme", b"2")]))
    monkeypatch.setattr(places, "probe", lambda directory: MAC)
    assert main(["decompress", str(blob), "-C", str(tmp_path / "new")]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "'README' and 'readme' clash" in said
    assert list(tmp_path.iterdir()) == [blob]


# --- places -----------------------------------------------------------------------------------


def test_a_finished_file_gets_its_name(files):
    finished, target = files
    settle(finished, target, force=False)
    assert target.read_bytes() == b"ours"
    assert not finished.exists()


@pytest.mark.parametrize("links", [True, False])
def test_a_name_that_is_taken_is_not_written_over(files, links, monkeypatch):
    finished, target = files
    if not links:

        def no_links(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", no_links)
    target.write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        put(finished, target, force=False)
    assert (finished.read_bytes(), target.read_bytes()) == (b"ours", b"theirs")
    put(finished, target, force=True)
    assert target.read_bytes() == b"ours"
    target.rename(finished)
    put(finished, target, force=False)
    assert target.read_bytes() == b"ours"
    assert not finished.exists()


@pytest.mark.parametrize("error", [OSError(18, "Invalid cross-device link"), PermissionError()])
def test_a_file_that_cannot_be_renamed_leaves_no_empty_one(files, error, monkeypatch):
    """Between file systems, among others."""
    finished, target = files

    def refused(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, "link", refused)
    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(OSError) as caught:
        put(finished, target, force=False)
    assert caught.value is error
    assert {path.name: path.read_bytes() for path in target.parent.iterdir()} == {
        "finished": b"ours"
    }


def test_what_cannot_have_its_name_is_kept_beside(files):
    finished, target = files
    target.write_bytes(b"theirs")
    (target.parent / "notes-1.txt").write_bytes(b"theirs, too")
    with pytest.raises(FileExistsError, match=r"notes\.txt cannot be .*kept as .*notes-2\.txt"):
        settle(finished, target, force=False)
    assert {path.name: path.read_bytes() for path in target.parent.iterdir()} == {
        "notes.txt": b"theirs",
        "notes-1.txt": b"theirs, too",
        "notes-2.txt": b"ours",
    }


@pytest.mark.parametrize("force", [False, True])
def test_a_directory_in_its_place_is_no_reason_to_lose_it(files, force):
    finished, target = files
    target.mkdir()
    with pytest.raises(OSError, match=r"kept as .*notes-1\.txt"):
        settle(finished, target, force=force)
    assert (target.parent / "notes-1.txt").read_bytes() == b"ours"


def test_where_nothing_can_be_written_it_stays_where_it_is(files, monkeypatch):
    finished, target = files

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(places, "put", refused)
    with pytest.raises(PermissionError, match="Permission denied; the result is kept as") as caught:
        settle(finished, target, force=False)
    assert str(caught.value).endswith(str(finished))
    assert finished.read_bytes() == b"ours"


@pytest.mark.parametrize(
    ("name", "free"),
    [
        ("notes", "notes-1"),
        ("notes.txt.llmc", "notes.txt-1.llmc"),
        (".hidden", ".hidden-1"),
        ("n" * 255, "n" * 253 + "-1"),
        ("л" * 126 + ".tx", "л" * 125 + "-1.tx"),
        ("a." + "t" * 253, "a-1." + "t" * 39),
    ],
)
def test_names_beside_are_free_and_not_too_long(tmp_path, name, free):
    (tmp_path / name).touch()
    assert beside(tmp_path / name, lambda path: path.touch(exist_ok=False)).name == free


def test_a_whole_job_ends_beside_a_file_made_meanwhile(tmp_path, monkeypatch, capsys):
    from llmcomp import stream

    source, target = tmp_path / "in.txt", tmp_path / "in.txt.llmc"
    source.write_bytes(b"The quick brown fox. " * 9)
    honest = stream.compressing_stream

    def slow(*arguments):
        result = yield from honest(*arguments)
        target.write_bytes(b"theirs")
        return result

    monkeypatch.setattr(stream, "compressing_stream", slow)
    words = ["compress", str(source), "--model", str(Path(__file__).parent / "models/tiny")]
    assert main(words) == 1
    said = capsys.readouterr().err
    kept = tmp_path / "in.txt-1.llmc"
    assert (
        said == f"llmcomp: {target} cannot be written: File exists; the result is kept as {kept}\n"
    )
    assert target.read_bytes() == b"theirs"
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o666 & ~umask
    assert main(["decompress", str(kept), *words[2:]]) == 0
    assert (tmp_path / "in.txt-1").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("force", [False, True])
def test_an_archive_whose_places_were_taken_meanwhile_is_kept_beside(tmp_path, force):
    directory = tmp_path / "out"
    directory.mkdir()
    files = {"a/b": b"text", "c": b"more"}
    steps = Archive(llmcomp.compress_files(files.items())).extracting(directory, force=force)
    next(steps)
    (directory / "a").write_bytes(b"theirs")
    (tmp_path / "out-1").touch()
    with pytest.raises(FileExistsError, match=r"in the way.*; 2 file\(s\) are kept .*out-2$"):
        list(steps)
    assert (directory / "a").read_bytes() == b"theirs"
    assert list(directory.iterdir()) == [directory / "a"]
    kept = tmp_path / "out-2"
    assert {name: (kept / name).read_bytes() for name in files} == files
    assert stat.S_IMODE(kept.stat().st_mode) == stat.S_IMODE(directory.stat().st_mode)


class Disk:
    """A disk that stops taking files after the first, so long as it is asked to."""

    def __init__(self, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error, self.puts, self.honest = error, 0, put
        monkeypatch.setattr(places, "put", self.put)

    def put(self, *paths: Path, force: bool) -> None:
        self.puts += 1
        if self.puts > 1:
            raise self.error
        self.honest(*paths, force=force)


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FULL, "b cannot be written: No space left on device; 2 file(s) are kept in "),
        (PermissionError(13, "Permission denied"), "b cannot be written: Permission denied; 2 "),
        (KeyboardInterrupt(), "stopped; 2 file(s) are kept in "),
    ],
)
@pytest.mark.parametrize("renames", [True, False])
def test_what_was_decoded_is_never_lost(error, message, renames, tmp_path, monkeypatch):
    """However many files are in their places, and whether the others can be moved at all."""
    directory = tmp_path / "out"
    directory.mkdir()
    files = {"a": b"text", "b": b"more", "c/d": b"most"}
    archive = Archive(llmcomp.compress_files(files.items()))
    Disk(error, monkeypatch)
    if not renames:
        monkeypatch.setattr(Path, "rename", lambda *_: Path("/no/such/file").stat())
    with pytest.raises(type(error)) as caught:
        archive.extract(directory)
    assert type(caught.value) is type(error)
    assert message in str(caught.value)
    kept = Path(str(caught.value).partition(" are kept in ")[2])
    assert (kept == tmp_path / "out-1") is renames
    assert {name: (kept / name).read_bytes() for name in ("b", "c/d")} == {
        "b": b"more",
        "c/d": b"most",
    }
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(path.read_bytes() for path in found) == sorted(files.values())


def test_the_command_line_says_where_files_are_kept_after_an_interrupt(
    tmp_path, monkeypatch, capsys
):
    blob = tmp_path / "all.llmc"
    blob.write_bytes(llmcomp.compress_files([("a", b"1"), ("b", b"2")]))
    Disk(KeyboardInterrupt(), monkeypatch)
    assert main(["decompress", str(blob), "-C", str(tmp_path / "new")]) == 130
    kept = tmp_path / "new-1"
    assert capsys.readouterr().err == f"llmcomp: stopped; 1 file(s) are kept in {kept}\n"
    assert (kept / "b").read_bytes() == b"2"


def test_beside_a_root_there_is_nothing(tmp_path, monkeypatch):
    """So what cannot be moved stays where it is."""
    name = tmp_path.name
    (tmp_path / name).write_bytes(b"ours")
    Disk(FULL, monkeypatch).puts = 1
    with pytest.raises(OSError, match=rf"1 file\(s\) are kept in {tmp_path}$"):
        places.settle_all(tmp_path, [name], Path("/"))
    assert (tmp_path / name).read_bytes() == b"ours"


def test_a_directory_that_becomes_a_file_does_not_lose_an_archive(tmp_path):
    steps = Archive(llmcomp.compress_files([("a", b"text")])).extracting(tmp_path / "out")
    next(steps)
    (tmp_path / "out").write_bytes(b"theirs")
    with pytest.raises(FileExistsError, match=r"out cannot be .*: File exists; 1 .* kept .*out-1$"):
        list(steps)
    assert (tmp_path / "out-1/a").read_bytes() == b"text"
    assert (tmp_path / "out").read_bytes() == b"theirs"
