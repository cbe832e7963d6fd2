"""The command line, as a shell sees it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from llmcomp.cli import main
from llmcomp.container import SEGMENT_BYTES

TINY = str(ROOT / "tests/models/tiny")
TEXT = "The quick brown fox; 春眠不觉晓.\r\n".encode() * 20


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "fox.txt"
    path.write_bytes(TEXT)
    return path


def test_there_and_back(file, capsys):
    assert main(["compress", str(file), "--model", TINY]) == 0
    summary = capsys.readouterr().err
    blob = file.with_suffix(".txt.llmc")
    assert f"{len(TEXT):,} -> {blob.stat().st_size:,} bytes, rate 0." in summary
    file.unlink()
    assert main(["decompress", str(blob), "--model", TINY]) == 0
    assert file.read_bytes() == TEXT


def test_pipes(tmp_path):
    def llmcomp(*words: str, data: bytes) -> bytes:
        command = [sys.executable, "-m", "llmcomp", *words, "-", "--model", TINY]
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout

    blob = llmcomp("compress", data=TEXT)
    assert blob.startswith(b"LLMC")
    assert llmcomp("decompress", data=blob) == TEXT


def test_nothing_is_overwritten_unasked(file, capsys):
    blob = file.with_suffix(".txt.llmc")
    blob.write_bytes(b"precious")
    assert main(["compress", str(file), "--model", TINY]) == 2
    assert "exists; use -f" in capsys.readouterr().err
    assert blob.read_bytes() == b"precious"
    assert main(["compress", str(file), "--model", TINY, "-f"]) == 0
    assert blob.read_bytes().startswith(b"LLMC")


def test_output_is_whole_or_absent_and_has_ordinary_permissions(file, monkeypatch, capsys):
    def fail(_descriptor):
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        assert main(["compress", str(file), "--model", TINY]) == 1
    assert "no space left" in capsys.readouterr().err
    assert [p.name for p in file.parent.iterdir()] == ["fox.txt"]
    assert main(["compress", str(file), "--model", TINY]) == 0
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(file.with_suffix(".txt.llmc").stat().st_mode) == 0o666 & ~umask


def test_links_and_modes_survive_overwriting(file, tmp_path):
    real, link = tmp_path / "real.llmc", tmp_path / "link.llmc"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    assert main(["compress", str(file), "--model", TINY, "-o", str(link), "-f"]) == 0
    assert link.is_symlink()
    assert real.read_bytes().startswith(b"LLMC")
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_devices_are_written_to_not_replaced(file):
    assert main(["compress", str(file), "--model", TINY, "-o", os.devnull]) == 0
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["compress", "missing.txt"], 1, "No such file"),
        (["decompress", "README.md", "-o", "x"], 1, "not a .llmc blob"),
        (["decompress", "README.md"], 2, "does not end in .llmc"),
        (["compress", "README.md", "--model", "gpt-9", "-o", "-"], 1, "no model 'gpt-9' here"),
        (["compress", "README.md", "--lanes", "0", "-o", "-"], 2, "at least 1"),
        (["info", "README.md"], 1, "not a .llmc blob"),
    ],
)
def test_failures_are_one_line(words, code, message, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(words) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert error.startswith("llmcomp: ")


@pytest.mark.parametrize(
    "words", [[], ["squash", "x"], ["compress"], ["compress", "a", "--preset", "x"]]
)
def test_wrong_usage_is_code_2(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_machines_get_json(file, capsys):
    assert main(["compress", str(file), "--model", TINY, "--json"]) == 0
    bill = json.loads(capsys.readouterr().out)
    assert bill["raw_bytes"] == len(TEXT)
    assert bill["rate"] == bill["total_bytes"] / len(TEXT)
    assert main(["info", f"{file}.llmc", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["plain_bytes"] == len(TEXT)
    assert main(["info", f"{file}.llmc"]) == 0
    assert "version 1, profile fixed" in capsys.readouterr().out


def test_bench_measures_named_files(file, capsys):
    assert main(["bench", str(file), "--model", TINY, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["raw"] == len(TEXT)
    assert {"gzip", "bz2", "xz", "zstd", "brotli", "ppmd", "llmcomp"} <= set(row)
    assert main(["bench", str(file), "--model", TINY]) == 0
    assert "| fox.txt |" in capsys.readouterr().out


def test_bench_without_data_says_what_to_do(monkeypatch, capsys):
    monkeypatch.delenv("LLMCOMP_DATA", raising=False)
    assert main(["bench", "--model", TINY]) == 1
    assert "set it to the directory" in capsys.readouterr().err


def blob_of(file: Path, *options: str) -> str:
    assert main(["compress", str(file), "--model", TINY, *options]) == 0
    return f"{file}.llmc"


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ((), slice(None)),
        (("--range", "0:5"), slice(0, 5)),
        (("--range", "700:"), slice(700, None)),
        (("--range=-9:-2",), slice(-9, -2)),
        (("--range", ":"), slice(None)),
        (("--range", "9:3"), slice(0, 0)),
    ],
)
def test_cat_writes_any_range(file, capfdbinary, asked, part):
    blob = blob_of(file, "--lanes", "5")
    capfdbinary.readouterr()
    assert main(["cat", blob, "--model", TINY, *asked]) == 0
    assert capfdbinary.readouterr().out == TEXT[part]


def test_cat_reads_pipes(file):
    blob = Path(blob_of(file)).read_bytes()
    for asked, wanted in (([], TEXT), (["--range", "3:8"], TEXT[3:8])):
        command = [sys.executable, "-m", "llmcomp", "cat", "-", "--model", TINY, *asked]
        done = subprocess.run(command, input=blob, capture_output=True, check=True)
        assert done.stdout == wanted


@pytest.mark.parametrize(
    ("words", "code", "kind"),
    [
        (["info", "README.md", "--json"], 1, "FormatError"),
        (["compress", "missing.txt", "--json"], 1, "FileNotFoundError"),
        (["decompress", "README.md", "--json"], 2, "ValueError"),
        (["decompress", "README.md", "-o", "x", "--json"], 1, "FormatError"),
    ],
)
def test_machines_get_errors_too(words, code, kind, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(words) == code
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["error"], found["code"]) == (kind, code)
    assert found["message"]
    assert not err


def test_where_standard_output_has_the_data_json_goes_beside_it(file, capfdbinary):
    blob = blob_of(file)
    capfdbinary.readouterr()
    assert main(["decompress", blob, "--model", TINY, "-o", "-", "--json"]) == 0
    out, err = capfdbinary.readouterr()
    assert out == TEXT
    assert json.loads(err) == {"plain_bytes": len(TEXT), "output": "-"}
    assert main(["cat", str(file), "--json"]) == 1
    out, err = capfdbinary.readouterr()
    assert out == b""
    assert json.loads(err)["error"] == "FormatError"


@pytest.mark.parametrize("limit", ["-inf", "-1", "0", "nan"])
@pytest.mark.parametrize("command", ["compress", "decompress", "cat"])
def test_a_limit_of_time_is_above_0(file, capsys, command, limit):
    source = str(file) if command == "compress" else blob_of(file)
    capsys.readouterr()
    words = [command, source, "--model", TINY, f"--max-seconds={limit}"]
    assert main(words + ["-o", str(file.parent / "out")] * (command != "cat")) == 2
    assert "wanted more than 0" in capsys.readouterr().err
    assert not (file.parent / "out").exists()


def test_names_of_outputs_may_be_as_long_as_the_system_allows(file):
    target = file.parent / ("n" * 250 + ".llmc")
    assert main(["compress", str(file), "--model", TINY, "-o", str(target)]) == 0
    assert target.read_bytes().startswith(b"LLMC")


def test_what_cannot_be_written_is_reported_under_its_own_name(file, capsys):
    target = str(file.parent / "missing" / "out")
    assert main(["compress", str(file), "--model", TINY, "-o", target]) == 1
    assert capsys.readouterr().err == (
        f"llmcomp: [Errno 2] No such file or directory: {target!r}\n"
    )
    assert main(["compress", str(file), "--model", TINY, "-o", str(file.parent)]) == 1
    assert "Is a directory" in capsys.readouterr().err


def test_a_file_made_meanwhile_is_not_overwritten_nor_is_the_result_lost(file, capsys, monkeypatch):
    from llmcomp import stream

    target = file.parent / "out"

    def meanwhile(_source, out, compressor):
        out.write(b"ours")
        target.write_bytes(b"precious")
        return compressor
        yield

    monkeypatch.setattr(stream, "compressing_stream", meanwhile)
    words = ["compress", str(file), "--model", TINY, "-o", str(target)]
    assert main(words) == 1
    assert "the result is kept as" in capsys.readouterr().err
    assert target.read_bytes() == b"precious"
    kept = file.parent / "out-1"
    assert kept.read_bytes() == b"ours"
    assert sorted(file.parent.iterdir()) == sorted([file, target, kept])
    assert main([*words, "-f"]) == 0
    assert target.read_bytes() == b"ours"


@pytest.mark.parametrize("command", ["cat --model", "info", "info --json", "info missing"])
def test_a_reader_that_goes_away_is_no_error(file, command):
    words = [sys.executable, "-m", "llmcomp"]
    if command == "info missing":
        words += ["info", "missing", "--json"]
    else:
        words += [command.split()[0], blob_of(file), *command.split()[1:]]
    words += [TINY] * (command == "cat --model")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(words, stdout=pipe, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 141
    assert done.stderr == b""


@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_an_interrupt_leaves_nothing_behind(file, command, capsys, monkeypatch):
    from llmcomp import stream

    source = Path(blob_of(file)) if command == "decompress" else file
    there = sorted(file.parent.iterdir())
    capsys.readouterr()

    def interrupted(_source, target, *_arguments, **_options):
        target.write(b"some of it")
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(stream, f"{command}ing_stream", interrupted)
    words = [command, str(source), "--model", TINY, "-o", str(file.parent / "out")]
    assert main(words) == 130
    assert capsys.readouterr().err == "llmcomp: stopped; no file was written\n"
    assert sorted(file.parent.iterdir()) == there


def test_a_damaged_blob_leaves_no_output(file, capsys):
    blob = Path(blob_of(file))
    damaged = bytearray(blob.read_bytes())
    damaged[40] ^= 1
    blob.write_bytes(damaged)
    file.unlink()
    assert main(["decompress", str(blob), "--model", TINY]) == 1
    assert [p.name for p in blob.parent.iterdir()] == [blob.name]
    blob.write_bytes(damaged[:-1])
    capsys.readouterr()
    assert main(["decompress", str(blob), "--model", TINY]) == 1
    assert "the blob is cut" in capsys.readouterr().err


def test_steering_that_looks_at_a_long_text_says_what_that_takes(tmp_path, capsys):
    path = tmp_path / "noise"
    path.write_bytes(os.urandom(SEGMENT_BYTES + 5000))  # nothing that a model would be asked about
    blob = blob_of(path, "--steer", "auto")
    first, *_ = capsys.readouterr().err.splitlines()
    assert first.startswith("llmcomp: --steer auto looks at the whole text: 1,053,576 bytes are")
    assert blob_of(path, "--steer", "auto", "-f", "--json") == blob
    assert capsys.readouterr().err == ""
    # an archive is a stream, and refuses before anything is read
    target = tmp_path / "all.llmc"
    words = ["compress", str(path), "--archive", "-o", str(target), "--model", TINY]
    assert main([*words, "--steer", "trained"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "train a prompt on a part of it first (steer train)" in said
    assert not target.exists()


def test_a_time_limit_spares_the_model(tmp_path, capsys):
    path = tmp_path / "long"
    path.write_bytes(b"".join(b"%d bottles of beer; " % i for i in range(3_000)))
    blob = blob_of(path, "--max-seconds", "0.001", "--no-verify")
    assert "kept without it" in capsys.readouterr().err
    assert main(["info", blob]) == 0
    assert "xz:" in capsys.readouterr().out
    for words in (["--steer", "auto"], ["--max-seconds", "0"]):
        assert main(["compress", str(path), "-fo", "-", "--max-seconds", "1", *words]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert main(["cat", blob, "--range", "a:b", "--model", TINY]) == 2
    assert "wanted A:B" in capsys.readouterr().err
