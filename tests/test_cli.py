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
    assert main(["compress", str(file), "--model", TINY, "-o", os.devnull, "-f"]) == 0
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
