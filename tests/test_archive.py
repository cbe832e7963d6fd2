"""Archives: what goes in comes out, and nothing that a table says gets past its directory."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from conftest import ROOT
from fakes import FakeModel
from hypothesis import given
from hypothesis import strategies as st

import llmcomp
from llmcomp import archive as archives
from llmcomp.archive import Archive, Entry, archiving, find_entries
from llmcomp.cli import main
from llmcomp.container import SEGMENT_BYTES, Header, Lane, Method, Segment, pack, unpack, varint
from llmcomp.errors import DamagedError, FormatError, LLMCompError
from llmcomp.schedule import SCHEDULES
from llmcomp.steering.kinds import NoSteering, TextSteering
from llmcomp.steps import run
from llmcomp.stream import BlobDecompressor
from llmcomp.table import check_names, pack_table, read_table

TINY = str(ROOT / "tests/models/tiny")
MODEL = FakeModel()
FILES = {
    "notes/one.txt": b"The quick brown fox jumps over the lazy dog.\n" * 4,
    "notes/two.txt": "春眠不觉晓; die Füchse schlafen.\n".encode() * 4,
    "notes/empty.txt": b"",
    "read me": b"",
    "шаблон/год 2026.md": "# Лиса\n".encode() * 9,
    "run.sh": b"#!/bin/sh\necho the dog sleeps\n",
}

parts = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=8)
names = st.lists(parts, min_size=1, max_size=4).map("/".join)
trees = st.dictionaries(names, st.binary(max_size=80), max_size=12).filter(
    lambda tree: not check_names(list(tree))
)


def made(files=FILES, **options) -> bytes:
    return llmcomp.compress_files(files.items(), model=MODEL, **options)


def forged(table: bytes, contents: bytes = b"") -> bytes:
    """An archive whose checksums hold, whatever its table says."""
    plain = [table, contents] if contents else [table]
    segments = [
        Segment(Method.STORED, [Lane(len(part), part)], zlib.crc32(part), table=not index)
        for index, part in enumerate(plain)
    ]
    return pack(Header(0, b"\0\0", SCHEDULES[2]), segments)


def rows(*members: tuple[bytes, int]) -> bytes:
    """A table of names and sizes that nobody has checked."""
    names = b"".join(name + b"\0" for name, _ in members)
    return varint(len(members)) + names + b"".join(varint(size << 1) for _, size in members)


def everything_in(directory: Path) -> dict[str, bytes]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


@given(trees)
def test_what_goes_in_comes_out(tree):
    blob = made(tree)
    assert made(dict(reversed(tree.items()))) == blob, "the order must not matter"
    archive = Archive(blob, model=MODEL)
    assert {m.name: archive.read(m.name) for m in archive.members} == tree
    assert llmcomp.get_info(blob).members == archive.members
    for member in archive.members:
        assert llmcomp.read_range(blob, member.start, member.stop, model=MODEL) == tree[member.name]


@given(st.lists(st.tuples(names, st.integers(0, 1 << 40), st.booleans()), max_size=20))
def test_tables_say_what_was_put_in(files):
    if check_names([name for name, _, _ in files]):
        with pytest.raises(ValueError, match="the name"):
            pack_table(files)
        return
    members = read_table(pack_table(files), sum(size for _, size, _ in files))
    assert [(m.name, m.size, m.executable) for m in members] == files


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"methods": ("lm",)},
        {"methods": ("stored",)},
        {"lane_bytes": 50, "methods": ("lm",)},
        {"profile": "tolerant"},
        {"profile": "replay", "lanes": 3},
        {"preset": "fast", "verify": False},
    ],
)
def test_every_way_of_compressing_makes_archives(options, tmp_path):
    archive = Archive(made(**options), model=MODEL)
    archive.extract(tmp_path)
    assert everything_in(tmp_path) == FILES
    assert {name: archive.read(name) for name in FILES} == FILES


@pytest.mark.parametrize(
    "steer", ["none", TextSteering(b"fox"), (TextSteering(b"The fox"), NoSteering())]
)
@pytest.mark.parametrize("files", [FILES, {}])
def test_archives_can_be_steered_and_are_billed_to_the_bit(tiny, steer, files):
    target = io.BytesIO()
    entries = [Entry(name, content) for name, content in files.items()]
    job = archiving(entries, target, model=tiny, methods=("lm", "stored"), steer=steer)
    bill = run(job).bill
    blob = target.getvalue()
    assert sum(bits for _, bits in bill.rows()) == pytest.approx(8 * len(blob), abs=1e-6)
    assert bill.total_bytes == len(blob)
    assert bill.raw_bytes == sum(map(len, files.values()))
    if files:
        assert dict(bill.rows())["names and sizes of files"] > 8 * sum(map(len, "год"))
    archive = Archive(blob, model=tiny)
    assert {m.name: archive.read(m.name) for m in archive.members} == files


def test_an_archive_of_nothing_and_one_of_empty_files(tmp_path):
    nothing = made({})
    assert len(nothing) == len(unpack(nothing).header.pack()) + 2 + 1 + 8
    assert Archive(nothing).members == []
    Archive(nothing).extract(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    empty = made({"b": b"", "a/b": b""})
    assert [frame.segment.table for frame in unpack(empty).frames] == [True]
    Archive(empty).extract(tmp_path)
    assert everything_in(tmp_path) == {"b": b"", "a/b": b""}


def test_many_small_files_share_what_one_pays_for():
    files = {f"logs/day {day}.txt": b"%d foxes, no dogs\n" % day for day in range(200)}
    blob = made(files)
    assert len(blob) < sum(len(llmcomp.compress(data, model=MODEL)) for data in files.values()) / 4
    archive = Archive(blob, model=MODEL)
    assert [m.name for m in archive.members] == sorted(files)
    assert all(archive.read(name) == data for name, data in files.items())


def test_members_may_cross_segments(tmp_path):
    files = {
        "a": os.urandom(SEGMENT_BYTES - 5),
        "b": b"over the edge",
        "c": b"",
        "d": os.urandom(2 * SEGMENT_BYTES),
    }
    blob = made(files)
    assert len(unpack(blob).frames) == 1 + 4
    archive = Archive(blob)
    archive.extract(tmp_path)
    assert everything_in(tmp_path) == files
    assert {name: archive.read(name) for name in files} == files
    end = io.BytesIO()
    assert run(archive.copying("d", end, -SEGMENT_BYTES - 7, -7)) == SEGMENT_BYTES
    assert end.getvalue() == files["d"][-SEGMENT_BYTES - 7 : -7]


class CountingModel(FakeModel):
    """Counts the lanes that are decoded."""

    lanes = 0

    def begin(self, rows, room):
        if len(rows[0]) == 1:  # a lane's first window: nothing but the start token
            self.lanes += len(rows)
        return super().begin(rows, room)


def test_a_member_is_read_without_the_others():
    files = {f"{i}": bytes([65 + i]) * 100 for i in range(8)}
    blob, model = made(files, methods=("lm",), lane_bytes=100, online=False), CountingModel()
    archive = Archive(blob, model=model)
    assert archive.read("3") == files["3"]
    assert model.lanes == 1
    assert model.calls
    idle = FakeModel()
    assert len(Archive(blob, model=idle).members) == len(llmcomp.get_info(blob).members) == 8
    assert idle.calls == 0, "listing takes no model"


def test_one_who_asks_for_a_text_is_told_it_is_an_archive():
    blob = made()
    decompressor = BlobDecompressor(model=MODEL)
    decompressor.feed(blob)
    for ask in (
        lambda: llmcomp.decompress(blob, model=MODEL),
        lambda: run(decompressor.decode()),
        lambda: llmcomp.open(io.BytesIO(blob), model=MODEL).read(),
        lambda: llmcomp.read_range(blob, model=MODEL),
    ):
        with pytest.raises(FormatError, match="the blob is an archive of files"):
            ask()
    with pytest.raises(FormatError, match="no archive but one text"):
        Archive(llmcomp.compress(b"text", model=MODEL))
    with pytest.raises(ValueError, match="no file 'two' in the archive"):
        Archive(blob).read("two")
    for wrong in ("text", None):
        with pytest.raises(TypeError, match="bytes-like object"):
            Archive(wrong)
        with pytest.raises(TypeError, match="bytes-like object"):
            llmcomp.compress_files([("a", wrong)], model=MODEL)


REFUSED = {
    "/etc/passwd": "not relative",
    "C:/autoexec.bat": "not relative",
    "c:x": "not relative",
    "": "a part that is empty",
    ".": "a part that is empty",
    "..": "a part that is empty",
    "a/../../b": "a part that is empty",
    "./a": "a part that is empty",
    "a//b": "a part that is empty",
    "a/": "a part that is empty",
    "a\\..\\b": "a backslash",
    "a\nb": "no text",
    "\x1b[31mred": "no text",
    "a\x7f": "no text",
    "a\x85": "no text",
    "a\u2028b": "no text",
    "x" * 4097: "longer than 4,096 bytes",
    "é" * 2049: "longer than 4,096 bytes",
}


@pytest.mark.parametrize(("name", "message"), REFUSED.items())
def test_names_that_could_do_harm_are_refused_both_ways(name, message):
    with pytest.raises(ValueError, match=message) as caught:
        made({"fine": b"", name: b""})
    assert "\n" not in str(caught.value)
    hostile = forged(rows((b"fine", 0), (name.encode(), 0)))
    for read in (Archive, llmcomp.get_info):
        with pytest.raises(FormatError, match=message) as caught:
            read(hostile)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "contents", "message"),
    [
        (rows((b"a", 0), (b"a", 0)), b"", "the name 'a' is there twice"),
        (rows((b"a/b", 0), (b"a", 0)), b"", "the name 'a' is a file's and a directory's"),
        (rows((b"a", 0), (b"a b", 0), (b"a/b", 0)), b"", "'a' is a file's and a directory's"),
        (rows((b"\xff", 0)), b"", "is not UTF-8"),
        (rows(("é".encode()[:1], 0)), b"", "is not UTF-8"),
        (rows(("\ud800".encode("utf-8", "surrogatepass"), 0)), b"", "is not UTF-8"),
        (rows((b"a", 0))[:-1], b"", "ends within a member"),
        (rows((b"a", 300))[:-1], b"", "ends within a member"),
        (rows((b"a", 0), (b"b", 0))[:4], b"", "ends after 1 of 2 names"),
        (b"\x80", b"", "ends within a member"),
        (b"\x80\0", b"", "the number of members is written longer than needed"),
        (varint(1 << 20), b"", "ends after 0 of 1,048,576 names"),
        (varint((1 << 20) + 1), b"", "the format's limit is 1048576"),
        (rows((b"a", 0)) + b"\0", b"", "goes on after its last member"),
        (rows((b"a", 5)), b"1234", "5 bytes by its table, but 4 follow"),
        (rows((b"a", 5)), b"", "5 bytes by its table, but 0 follow"),
        (rows((b"a", 3)), b"1234", "3 bytes by its table, but 4 follow"),
        (rows((b"a", 1 << 62)), b"", "the format's limit is"),
        (b"", b"1234", "segment 0 is empty"),
        (b"", b"", "ends within a member"),
    ],
)
def test_hostile_tables_are_refused_in_one_line(table, contents, message):
    for read in (Archive, llmcomp.get_info):
        with pytest.raises(FormatError, match=message) as caught:
            read(forged(table, contents))
        assert "\n" not in str(caught.value)


def test_a_zero_byte_ends_a_name():
    with pytest.raises(ValueError, match="no text"):
        made({"a\0b": b""})


@given(st.binary(max_size=60))
def test_any_bytes_as_a_table_are_read_or_refused(table):
    try:
        members = Archive(forged(table)).members
    except LLMCompError as error:
        assert "\n" not in str(error)
    else:
        assert not check_names([m.name for m in members])


def test_only_the_first_segment_can_be_a_table_and_no_model_codes_it():
    header = Header(0, b"\0\0", SCHEDULES[2])
    table = Segment(Method.STORED, [Lane(1, b"x")], zlib.crc32(b"x"), table=True)
    coded = Segment(Method.LM, [Lane(1, b"x")], zlib.crc32(b"x"), table=True)
    for segments in ([table, table], [coded]):
        with pytest.raises(FormatError, match="claims to be an archive's table"):
            unpack(pack(header, segments))


def test_too_many_names_are_refused():
    files = [(f"{i:020}", 0, False) for i in range(SEGMENT_BYTES // 22)]
    assert len(pack_table(files)) <= SEGMENT_BYTES
    with pytest.raises(ValueError, match="make several archives"):
        pack_table([*files, ("x" * 50, 0, False)])


def test_every_flip_and_cut_is_refused_before_a_model_runs(tmp_path):
    blob = made({"a.txt": b"The fox.", "b/c.txt": b"The lazy dog sleeps."}, methods=("lm",))
    model = FakeModel()
    damages = [blob[:length] for length in range(len(blob))] + [blob + b"\0", blob + blob]
    for bit in range(8 * len(blob)):
        damaged = bytearray(blob)
        damaged[bit // 8] ^= 0x80 >> bit % 8
        damages.append(bytes(damaged))
    for damaged in damages:
        with pytest.raises(LLMCompError) as caught:
            Archive(damaged, model=model).extract(tmp_path / "new")
        assert "\n" not in str(caught.value)
    assert model.calls == 0
    assert list(tmp_path.iterdir()) == []


def test_an_archive_damaged_further_on_is_not_opened():
    files = {"a": os.urandom(SEGMENT_BYTES), "b": os.urandom(1000)}
    damaged = bytearray(made(files))
    damaged[-50] ^= 1
    with pytest.raises(DamagedError, match="segment 2 is damaged"):
        Archive(bytes(damaged))


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda d: (d / "run.sh").write_bytes(b"precious"), "exists; use -f"),
        (lambda d: (d / "run.sh").symlink_to(d.parent / "victim"), "no regular file"),
        (lambda d: (d / "run.sh").mkdir(), "no regular file"),
        (lambda d: os.mkfifo(d / "run.sh"), "no regular file"),
        (lambda d: (d / "notes").symlink_to(d.parent), "no directory, or a link to one"),
        (lambda d: (d / "notes").symlink_to("nowhere"), "no directory, or a link to one"),
        (lambda d: (d / "notes").write_bytes(b"precious"), "no directory, or a link to one"),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_what_is_in_the_way_stays_and_nothing_is_written(prepare, message, force, tmp_path):
    victim, directory = tmp_path / "victim", tmp_path / "out"
    victim.write_bytes(b"precious")
    directory.mkdir()
    prepare(directory)
    before = sorted(tmp_path.rglob("*"))
    archive = Archive(made(), model=FakeModel())
    if force and "exists" in message:
        archive.extract(directory, force=True)
        assert everything_in(directory) == FILES
    else:
        with pytest.raises(ValueError, match=message):
            archive.extract(directory, force=force)
        assert sorted(tmp_path.rglob("*")) == before
    assert victim.read_bytes() == b"precious"


def test_a_link_put_there_meanwhile_is_not_followed(tmp_path):
    directory = tmp_path / "out"
    directory.mkdir()
    steps = Archive(made({"a/b": b"text"}), model=MODEL).extracting(directory)
    next(steps)
    (directory / "a").symlink_to(tmp_path)
    with pytest.raises(FileExistsError, match=r"a link to one; 1 file\(s\) are kept .*out-1$"):
        list(steps)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out-1"]
    assert list(directory.iterdir()) == [directory / "a"]
    assert (tmp_path / "out-1/a/b").read_bytes() == b"text"


def test_a_directory_that_is_a_link_itself_is_meant(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    Archive(made(), model=MODEL).extract(tmp_path / "link")
    assert everything_in(tmp_path / "real") == FILES


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path):
    path = tmp_path / "log"
    for before, after in ((b"12345", b"123456"), (b"12345", b"1234")):
        path.write_bytes(before)
        job = archiving([Entry("log", path)], io.BytesIO(), model=MODEL)
        path.write_bytes(after)
        with pytest.raises(LLMCompError, match="changed its size"):
            run(job)


def tree(root: Path) -> Path:
    for name, content in FILES.items():
        path = root / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (root / "src/run.sh").chmod(0o755)
    return root


@pytest.fixture
def there(tmp_path, monkeypatch):
    monkeypatch.chdir(tree(tmp_path))
    return tmp_path


def test_names_are_as_given_below_here_and_short_elsewhere(there):
    def found(*paths: str) -> list[str]:
        return sorted(entry.name for entry in find_entries(map(Path, paths))[0])

    below = sorted(f"src/{name}" for name in FILES)
    assert found("src") == found("./src/") == found(".") == below
    assert found("src/notes", "src/run.sh") == [n for n in below if "notes" in n or "run" in n]
    assert found(str(there / "src")) == found("../" + there.name + "/src") == below
    with pytest.raises(FileNotFoundError):
        find_entries([Path("missing")])


def test_links_and_devices_are_skipped_with_a_note_but_followed_if_named(there):
    Path("src/link").symlink_to("run.sh")
    Path("src/loop").symlink_to(".")
    os.mkfifo("src/pipe")
    entries, notes = find_entries([Path("src")])
    assert sorted(entry.name for entry in entries) == sorted(f"src/{name}" for name in FILES)
    assert notes == [
        "'src/link' is a link and was skipped",
        "'src/loop' is a link and was skipped",
        "'src/pipe' is no regular file and was skipped",
    ]
    ((entry,), notes) = find_entries([Path("src/link")])
    assert (entry.name, entry.content, notes) == ("src/link", Path("src/link"), [])


def llmcomp_says(capsys, *words: str, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main(list(words)) == code
    out, err = capsys.readouterr()
    return out, err


def test_a_directory_goes_there_and_back(there, capsys):
    _, err = llmcomp_says(capsys, "compress", "src/", "--model", TINY)
    total = sum(map(len, FILES.values()))
    assert f"{total:,} -> {Path('src.llmc').stat().st_size:,} bytes" in err
    _, err = llmcomp_says(capsys, "decompress", "src.llmc", "--model", TINY, code=2)
    assert "exists; use -f" in err
    assert err.count("\n") == 1
    _, err = llmcomp_says(capsys, "decompress", "src.llmc", "--model", TINY, "-C", "new/dir")
    assert err == "6 files extracted into new/dir\n"
    assert everything_in(Path("new/dir/src")) == FILES
    umask = os.umask(0)
    os.umask(umask)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in Path("new/dir/src").rglob("*.*")}
    assert modes.pop("run.sh") == (0o666 & ~umask) | ((0o666 & ~umask & 0o444) >> 2)
    assert set(modes.values()) == {0o666 & ~umask}
    Path("src/run.sh").write_bytes(b"changed")
    llmcomp_says(capsys, "decompress", "src.llmc", "--model", TINY, "-f")
    assert everything_in(Path("src")) == FILES


def test_info_lists_an_archive_without_a_model(there, capsys):
    Path("src/a\u202eb").touch()
    llmcomp_says(capsys, "compress", "src", "--model", TINY)
    out, _ = llmcomp_says(capsys, "info", "src.llmc")
    listed = [line.split(maxsplit=1)[1] for line in out.splitlines() if "src/" in line]
    assert sorted(listed) == sorted(
        [f"src/{name}" + "*" * (name == "run.sh") for name in FILES] + ["src/a\\u202eb"]
    )
    out, _ = llmcomp_says(capsys, "info", "src.llmc", "--json")
    info = json.loads(out)
    sizes = {m["name"].removeprefix("src/"): m["size"] for m in info["members"]}
    assert sizes == {name: len(data) for name, data in FILES.items()} | {"a\u202eb": 0}
    assert [m["name"] for m in info["members"] if m["executable"]] == ["src/run.sh"]
    assert info["plain_bytes"] == sum(sizes.values())


def test_several_inputs_need_a_name_and_single_files_a_word(there, capsys):
    _, err = llmcomp_says(capsys, "compress", "src/run.sh", "src/notes", "--model", TINY, code=2)
    assert err == "llmcomp: 2 inputs make an archive; name it with -o\n"
    llmcomp_says(capsys, "compress", "src/run.sh", "src/notes", "-o", "x", "--model", TINY)
    assert {m.name for m in Archive(Path("x").read_bytes()).members} == {
        "src/run.sh",
        *(f"src/{name}" for name in FILES if name.startswith("notes/")),
    }
    llmcomp_says(capsys, "compress", "src/run.sh", "--archive", "--model", TINY)
    (member,) = llmcomp.get_info(Path("src/run.sh.llmc").read_bytes()).members
    assert (member.name, member.executable) == ("src/run.sh", True)
    _, err = llmcomp_says(capsys, "compress", "src", ".", "-o", "y", "--model", TINY, code=2)
    assert "is there twice; leave the file out" in err
    for words in (["-", "src", "-o", "y"], [".."], ["src", "-o", "x"]):
        _, err = llmcomp_says(capsys, "compress", *words, "--model", TINY, code=2)
        assert err.count("\n") == 1
    assert not Path("y").exists()


def test_an_archive_does_not_hold_itself(there, capsys):
    for words in ([], ["-f"]):
        _, err = llmcomp_says(capsys, "compress", ".", "-o", "all.llmc", "--model", TINY, *words)
        members = llmcomp.get_info(Path("all.llmc").read_bytes()).members
        assert sorted(m.name for m in members) == sorted(f"src/{name}" for name in FILES)
    assert "note: 'all.llmc' is the archive itself and was skipped" in err


def test_cat_gives_one_member_or_a_range_of_it(there, capfdbinary):
    main(["compress", "src", "--model", TINY])
    for words, wanted in (
        ([], FILES["notes/two.txt"]),
        (["--range", "9:20"], FILES["notes/two.txt"][9:20]),
        (["--range=-7:"], FILES["notes/two.txt"][-7:]),
        (["--range=5:2"], b""),
    ):
        capfdbinary.readouterr()
        asked = ["cat", "src.llmc", "--member", "src/notes/two.txt", "--model", TINY]
        assert main([*asked, *words]) == 0
        assert capfdbinary.readouterr().out == wanted
    assert main(["cat", "src.llmc", "--member", "two", "--model", TINY]) == 2
    assert main(["cat", "src.llmc", "--model", TINY]) == 1
    errors = capfdbinary.readouterr().err.decode().splitlines()
    assert len(errors) == 2
    assert "no file 'two'" in errors[0]
    assert "is an archive of files" in errors[1]


def test_archives_go_through_pipes(there):
    def llmcomp_gives(*words: str, data: bytes = b"", code: int = 0) -> bytes:
        command = [sys.executable, "-m", "llmcomp", *words, "--model", TINY]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, input=data, capture_output=True, env=environment)
        assert done.returncode == code, done.stderr
        return done.stdout or done.stderr

    blob = llmcomp_gives("compress", "src", "-o", "-")
    assert blob.startswith(b"LLMC")
    assert b"6 files" in llmcomp_gives("decompress", "-", "-C", "new", data=blob)
    assert everything_in(Path("new/src")) == FILES
    assert llmcomp_gives("cat", "-", "--member", "src/run.sh", data=blob) == FILES["run.sh"]
    assert b"decompress -C DIR" in llmcomp_gives("decompress", "-", data=blob, code=1)


def test_machines_get_json_of_archives(there, capsys):
    out, err = llmcomp_says(capsys, "compress", "src", "--model", TINY, "--json")
    assert json.loads(out)["raw_bytes"] == sum(map(len, FILES.values()))
    assert json.loads(out)["table_bits"] > 0
    out, err = llmcomp_says(capsys, "decompress", "src.llmc", "-C", "n", "--model", TINY, "--json")
    done = json.loads(out)
    assert (done["output"], len(done["members"]), err) == ("n", 6, "")
    for words, code, kind in (
        (["decompress", "src.llmc", "-o", "x"], 2, "ValueError"),
        (["decompress", "src/run.sh", "-C", "x"], 1, "FormatError"),
        (["compress", "missing", "src", "-o", "x"], 1, "FileNotFoundError"),
    ):
        out, err = llmcomp_says(capsys, *words, "--json", code=code)
        assert (json.loads(out)["error"], err) == (kind, "")
    assert not Path("x").exists()


@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_an_interrupt_leaves_no_archive_and_no_files(there, command, capsys, monkeypatch):
    main(["compress", "src", "--model", TINY])

    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt
        yield

    if command == "compress":
        monkeypatch.setattr(archives, "_archiving", interrupted)
        words = ["src", "-o", "out"]
    else:
        monkeypatch.setattr(archives.Archive, "_staging", interrupted)
        words = ["src.llmc", "-C", "out"]
    before = sorted(Path().rglob("*"))
    _, err = llmcomp_says(capsys, command, *words, "--model", TINY, code=130)
    assert err == "llmcomp: stopped; no file was written\n"
    assert sorted(Path().rglob("*")) == before


def test_time_limits_hold_for_archives(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("log").write_bytes(b"".join(b"%d bottles of beer; " % i for i in range(3_000)))
    words = ["compress", "log", "--archive", "--model", TINY, "--no-verify"]
    _, err = llmcomp_says(capsys, *words, "--max-seconds", "0.001")
    assert "kept without it" in err
    blob = made({"log": Path("log").read_bytes()}, methods=("lm",), verify=False)
    steps = Archive(blob, model=MODEL).extracting(tmp_path / "out", max_seconds=1e-6)
    with pytest.raises(LLMCompError, match="decoding would take about"):
        run(steps)
    assert not (tmp_path / "out").exists()
