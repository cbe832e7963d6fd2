"""The command line, above everything; each command's work lives in the module it names.

Exit codes: 0 done, 1 the data or the model say no (one line on standard error), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from llmcomp.errors import LLMCompError
from llmcomp.schedule import PRESETS
from llmcomp.steps import Progress

SUFFIX = ".llmc"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: the words after the program's name; the process's own by default.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except (LLMCompError, OSError) as error:
        print(f"llmcomp: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"llmcomp: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("llmcomp: stopped; nothing was written", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m llmcomp",
        description="Lossless compression with a language model and arithmetic coding.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], None], text: str) -> Parser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=run)
        return sub

    compress = command("compress", _compress, "compress a file into a .llmc blob")
    compress.add_argument("input", metavar="IN", help="a file, or - for standard input")
    _add_output(compress, f"default: IN{SUFFIX}, or standard output for -")
    compress.add_argument(
        "--model", default="embedded", help="embedded, nano, a release or an exported directory"
    )
    compress.add_argument("--preset", default="balanced", choices=sorted(PRESETS))
    compress.add_argument("--lanes", type=int, help="lanes a segment, in place of the preset's")
    compress.add_argument(
        "--lane-bytes", type=int, help="cut a lane every so many bytes, each tokenised alone"
    )
    compress.add_argument(
        "--no-verify", action="store_true", help="do not decode again before writing"
    )
    compress.add_argument("--json", action="store_true", help="print the bill as JSON")

    decompress = command("decompress", _decompress, "turn a .llmc blob back into its bytes")
    decompress.add_argument("input", metavar="IN", help="a blob, or - for standard input")
    _add_output(decompress, f"default: IN without {SUFFIX}, or standard output for -")
    decompress.add_argument("--model", help="an exported directory, if the blob names none")

    info = command("info", _info, "say what a blob holds, without a model")
    info.add_argument("input", metavar="IN")
    info.add_argument("--json", action="store_true")

    bench = command("bench", _bench, "rates against the classical compressors")
    bench.add_argument("files", metavar="FILE", nargs="*", help="default: the documented corpus")
    bench.add_argument("--model", default="embedded")
    what = bench.add_mutually_exclusive_group()
    what.add_argument("--speed", action="store_true", help="encode and decode against bare passes")
    what.add_argument("--presets", action="store_true", help="rates of all presets")
    bench.add_argument("--json", action="store_true")
    return parser


Parser = argparse.ArgumentParser


def _add_output(parser: Parser, default: str) -> None:
    parser.add_argument("-o", "--output", metavar="OUT", help=f"a file, or -; {default}")
    parser.add_argument("-f", "--force", action="store_true", help="overwrite OUT")


def _compress(options: argparse.Namespace) -> None:
    from llmcomp.codec import compressing
    from llmcomp.steps import run

    target = options.output or ("-" if options.input == "-" else options.input + SUFFIX)
    _refuse_overwriting(target, options)
    data = _read(options.input)
    steps = compressing(
        data,
        model=options.model,
        preset=options.preset,
        lanes=options.lanes,
        lane_bytes=options.lane_bytes,
        verify=not options.no_verify,
    )
    with _progress_bar() as report:
        result = run(steps, report)
    _write(target, result.blob)
    bill = result.bill
    if options.json:
        report_to = sys.stderr if target == "-" else sys.stdout
        fields = asdict(bill) | {"rate": bill.rate, "bits_per_byte": bill.bits_per_byte}
        print(json.dumps(fields), file=report_to)
        return
    for note in bill.notes:
        print(f"llmcomp: note: {note}", file=sys.stderr)
    print(
        f"{bill.raw_bytes:,} -> {bill.total_bytes:,} bytes, rate {bill.rate:.4f}, "
        f"{bill.bits_per_byte:.3f} bits per byte",
        file=sys.stderr,
    )


def _decompress(options: argparse.Namespace) -> None:
    from llmcomp.codec import decompressing
    from llmcomp.steps import run

    target = options.output
    if not target and options.input == "-":
        target = "-"
    if not target:
        if not options.input.endswith(SUFFIX):
            raise ValueError(f"{options.input} does not end in {SUFFIX}; name the output with -o")
        target = options.input[: -len(SUFFIX)]
    _refuse_overwriting(target, options)
    steps = decompressing(_read(options.input), model=options.model)
    with _progress_bar() as report:
        result = run(steps, report)
    _write(target, result.data)


def _info(options: argparse.Namespace) -> None:
    from llmcomp.codec import get_info

    info = get_info(_read(options.input))
    if options.json:
        print(json.dumps(asdict(info)))
        return
    rate = info.total_bytes / info.plain_bytes if info.plain_bytes else 0.0
    print(f"format      version {info.version}, profile {info.profile}")
    print(f"model       {info.model}, fingerprint {info.fingerprint}")
    print(f"schedule    window {info.schedule.window}, overlap {info.schedule.overlap}")
    print(f"plain       {info.plain_bytes:,} bytes")
    print(f"compressed  {info.total_bytes:,} bytes, rate {rate:.4f}")
    for index, (method, plain, payload, lanes) in enumerate(info.segments):
        print(f"segment {index:<3} {method}: {plain:,} -> {payload:,} bytes, {lanes} lane(s)")


def _bench(options: argparse.Namespace) -> None:
    from llmcomp.evaluate import bench

    what = "speed" if options.speed else "presets" if options.presets else "rates"
    print(bench.report(options.files, options.model, what, as_json=options.json))


def _read(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def _refuse_overwriting(target: str, options: argparse.Namespace) -> None:
    if target != "-" and Path(target).exists() and not options.force:
        raise ValueError(f"{target} exists; use -f to overwrite it, or -o to name another file")


def _write(name: str, data: bytes) -> None:
    """Writes a whole file or nothing: under a temporary name first, then renamed."""
    if name == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    target = Path(name).resolve()
    if target.exists() and not target.is_file():  # a device or a pipe cannot be renamed onto
        target.write_bytes(data)
        return
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(target.stat().st_mode if target.exists() else _new_file_mode())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _new_file_mode() -> int:
    """What an ordinary new file gets; mkstemp would make it private."""
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


@contextlib.contextmanager
def _progress_bar() -> Iterator[Callable[[Progress], None] | None]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    started: dict[str, float] = {}

    def draw(progress: Progress) -> None:
        begun = started.setdefault(progress.stage, time.monotonic())
        spent = time.monotonic() - begun
        part = progress.done / progress.total if progress.total else 1.0
        left = f", {spent / part - spent:4.0f} s left" if part > 0.02 else ""
        bar = ("#" * int(30 * part)).ljust(30, ".")
        print(f"\r{progress.stage:<7}[{bar}] {100 * part:3.0f} %{left}   ", end="", file=sys.stderr)

    try:
        yield draw
    finally:
        print("\r" + " " * 70 + "\r", end="", file=sys.stderr)
