"""The command line, above everything; each command's work lives in the module it names.

Exit codes: 0 done, 1 the data or the model say no (one line on standard error), 2 wrong usage, 130
stopped by Ctrl-C, 141 the reader of standard output has gone (no words).
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import functools
import io
import json
import math
import os
import stat
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from llmcomp.bill import Bill, ModelSize, readable_bytes
from llmcomp.container import DTYPES, SEGMENT_BYTES, Profile
from llmcomp.errors import LLMCompError, LLMCompWarning, printable
from llmcomp.models import ASSETS, load_model
from llmcomp.models.base import LanguageModel
from llmcomp.pace import Pace, in_words
from llmcomp.places import new_file_mode, settle
from llmcomp.schedule import PRESETS
from llmcomp.steering.choices import Auto, parse, read_steer_file
from llmcomp.steering.priors import PRIORS, HyperPrior, make_prior
from llmcomp.steering.settings import LEVELS, Training
from llmcomp.steering.soft_prompt import SUFFIX as STEER_SUFFIX
from llmcomp.steering.soft_prompt import SoftPrompt
from llmcomp.steps import Progress, Stage, run

if TYPE_CHECKING:
    from llmcomp.codec import BlobInfo, Compressed
    from llmcomp.space.card import SpaceFile
    from llmcomp.steering.fit import FitStep
    from llmcomp.stream import BlobCompressor

SUFFIX = ".llmc"

_LONG_SECONDS = 10.0  # a job is announced if it takes longer
_REDRAW_SECONDS = 0.1
_CLEAR = "\r\x1b[K"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: the words after the program's name; the process's own by default.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except BrokenPipeError:
        # ends in silence, as other tools do when whoever read their output has gone; the
        # interpreter flushes at its exit, and would complain there
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _run(options: argparse.Namespace) -> int:
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        with _warnings_as_lines(options):
            command(options)
        sys.stdout.flush()  # here, where a closed pipe can be answered
    except BrokenPipeError:
        raise
    except (LLMCompError, OSError) as error:
        return _failed(options, error, 1)
    except ValueError as error:
        return _failed(options, error, 2)
    except KeyboardInterrupt as stop:
        said = str(stop) or "stopped; no file was written"
        return _failed(options, KeyboardInterrupt(said), 130)
    return 0


@contextlib.contextmanager
def _warnings_as_lines(options: argparse.Namespace) -> Iterator[None]:
    """Says in one line each what this program warns of; warnings of others stay as they are."""
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **where: Any) -> None:
        if not issubclass(category, LLMCompWarning):
            usual(message, category, *place, **where)
        elif getattr(options, "json", False):
            warned = {"warning": category.__name__, "message": str(message)}
            print(json.dumps(warned), file=sys.stderr)
        else:
            print(f"{_CLEAR * sys.stderr.isatty()}llmcomp: warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", LLMCompWarning)
        warnings.showwarning = show
        yield


def _failed(options: argparse.Namespace, error: BaseException, code: int) -> int:
    """Says in one line what went wrong, or in one JSON object if that was asked for."""
    if getattr(options, "json", False):
        _print_json(options, {"error": type(error).__name__, "message": str(error), "code": code})
    else:
        print(f"llmcomp: {error}", file=sys.stderr)
    return code


def _print_json(options: argparse.Namespace, value: object) -> None:
    """Prints to standard output, or to standard error where the former carries the data."""
    taken = getattr(options, "target", None) == "-"
    print(json.dumps(value), file=sys.stderr if taken else sys.stdout, flush=True)


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

    compress = command(
        "compress", _compress, "compress a file, or several into an archive, into a .llmc blob"
    )
    compress.add_argument(
        "inputs",
        metavar="IN",
        nargs="+",
        help="a file, or - for standard input; several files, or a directory, make an archive",
    )
    compress.add_argument(
        "--archive",
        action="store_true",
        help="make an archive of a single file too, so that its name and mode are kept",
    )
    _add_output(compress, f"default: IN{SUFFIX}, or standard output for -; needed for several IN")
    _add_model(compress)
    compress.add_argument("--preset", default="balanced", choices=sorted(PRESETS))
    compress.add_argument("--lanes", type=int, help="lanes a segment, in place of the preset's")
    compress.add_argument(
        "--lane-bytes", type=int, help="cut a lane every so many bytes, each tokenised alone"
    )
    compress.add_argument(
        "--no-online", action="store_true", help="the model alone: do not learn from the text"
    )
    compress.add_argument(
        "--no-verify", action="store_true", help="do not decode again before writing"
    )
    compress.add_argument(
        "--profile",
        choices=[profile.name.lower() for profile in Profile],
        help="fixed: decodes on every machine; tolerant: where numbers are nearly the same; "
        "replay: only here; default: the model's usual one",
    )
    compress.add_argument(
        "--margin",
        type=float,
        help="tolerant: how far two machines' log-odds may lie apart; default: measured as the "
        "model is loaded; see calibrate",
    )
    _add_device(compress)
    _add_limit(compress, "keep what would take longer without the model")
    compress.add_argument(
        "-v", "--verbose", action="store_true", help="print the bill: where every bit went"
    )
    compress.add_argument(
        "--json", action="store_true", help="print the bill, or an error, as JSON"
    )
    compress.add_argument(
        "--steer",
        default="none",
        metavar="HOW",
        help="what stands in front of the text: none, text, text:STRING, random, "
        "random:TOKENS[:SEED[:SCALE]], trained, auto, or a .steer file; default none",
    )
    _add_prior(compress)
    _add_training(compress)

    decompress = command(
        "decompress", _decompress, "turn a .llmc blob back into its bytes, or an archive into files"
    )
    decompress.add_argument("input", metavar="IN", help="a blob, or - for standard input")
    _add_output(decompress, f"default: IN without {SUFFIX}, or standard output for -")
    decompress.add_argument(
        "-C",
        "--directory",
        metavar="DIR",
        help="where to extract an archive, all of it or nothing; made if it is not there; "
        "default: the current directory, but an archive on standard input needs DIR",
    )
    _add_decoding(decompress)
    decompress.add_argument("--json", action="store_true", help="print what was done as JSON")

    cat = command("cat", _cat, "write a blob's plain bytes, or a range of them, to standard output")
    cat.add_argument("input", metavar="IN", help="a blob, or - for standard input")
    cat.add_argument(
        "--range",
        metavar="A:B",
        help="plain bytes A to B, as a slice in Python; write --range=-9: to count from the end",
    )
    cat.add_argument("--member", metavar="NAME", help="of an archive: one file, or a range of it")
    _add_decoding(cat)
    cat.add_argument("--json", action="store_true", help="an error is JSON, on standard error")

    info = command("info", _info, "say what a blob holds, without a model")
    info.add_argument("input", metavar="IN")
    info.add_argument("--json", action="store_true")

    steer = commands.add_parser("steer", help="train, show and measure soft prompts")
    steering = steer.add_subparsers(required=True, metavar="COMMAND")

    def steer_command(name: str, run: Callable[[argparse.Namespace], None], text: str) -> Parser:
        sub = steering.add_parser(name, help=text, description=text)
        sub.set_defaults(command=run)
        sub.add_argument("input", metavar="IN", help="a file, or - for standard input")
        return sub

    train = steer_command("train", _steer_train, "train a soft prompt on a text")
    _add_output(train, f"default: IN{STEER_SUFFIX}, or standard output for -")
    _add_model(train)
    _add_device(train)
    _add_training(train)
    show = steer_command("show", _steer_show, "say what a .steer file holds and what it would cost")
    show.add_argument("--json", action="store_true")
    sweep = steer_command(
        "sweep", _steer_sweep, "code a prompt under priors and levels, and the text under each"
    )
    _add_model(sweep)
    _add_device(sweep)
    sweep.add_argument("--steer", metavar="FILE", help="a .steer file; trained on IN by default")
    sweep.add_argument("--priors", default=",".join(PRIORS), help="default: %(default)s")
    sweep.add_argument("--levels", default=",".join(map(str, LEVELS)), help="default: %(default)s")
    sweep.add_argument("--figure", metavar="HTML", help="write the rate-distortion figure there")
    sweep.add_argument("-f", "--force", action="store_true", help="overwrite HTML")
    sweep.add_argument("--json", action="store_true")
    _add_training(sweep)

    calibrate = command(
        "calibrate", _calibrate, "measure how far apart a Hub model's numbers can lie"
    )
    calibrate.add_argument("model", metavar="MODEL", help="a Hub model, or a directory of one")
    calibrate.add_argument("--text", metavar="FILE", help="default: this program's sample texts")
    calibrate.add_argument("--tokens", type=int, default=2000, help="default: %(default)s")
    calibrate.add_argument("--dtype", choices=("float32", "float64", "int8"), default="float32")
    calibrate.add_argument("--device", default="cpu", help="cpu or cuda; default: %(default)s")
    calibrate.add_argument(
        "--store",
        action="store_true",
        help="keep the margin for this model, so that nobody codes for a narrower one",
    )
    calibrate.add_argument("--json", action="store_true")

    _add_space(commands)

    bench = command("bench", _bench, "rates against the classical compressors")
    bench.add_argument("files", metavar="FILE", nargs="*", help="default: the documented corpus")
    bench.add_argument("--model", default="embedded")
    what = bench.add_mutually_exclusive_group()
    what.add_argument("--speed", action="store_true", help="encode and decode against bare passes")
    what.add_argument("--presets", action="store_true", help="rates of all presets")
    bench.add_argument("--json", action="store_true")
    return parser


Parser = argparse.ArgumentParser


def _add_space(commands: Any) -> None:
    text = "the demo on the Hugging Face Hub: its card, and putting it there; see docs/space.md"
    subs = commands.add_parser("space", help=text, description=text).add_subparsers(
        required=True, metavar="COMMAND"
    )

    def command(name: str, run: Callable[[argparse.Namespace], None], text: str) -> Parser:
        sub: Parser = subs.add_parser(name, help=text, description=text)
        sub.set_defaults(command=run)
        return sub

    command("hardware", _space_hardware, "what each machine costs, and what it would do there")
    command("sync", _space_sync, "write the card of spaces.yaml on top of README.md")
    command("check", _space_check, "say what is wrong with spaces.yaml and README.md")
    deploy = command("deploy", _space_deploy, "create or update a Space, wait for it, try it")
    deploy.add_argument("repo_id", metavar="OWNER/NAME", nargs="?", help="not needed to dry-run")
    deploy.add_argument(
        "-n", "--dry-run", action="store_true", help="only list what would go up, and its size"
    )
    smoke = command("smoke", _space_smoke, "try a running Space, or any address, as its users do")
    smoke.add_argument("where", metavar="WHERE", help="OWNER/NAME, or an address with http")


def _add_model(parser: Parser) -> None:
    parser.add_argument(
        "--model",
        default="embedded",
        help="embedded, nano, a release, a directory, a Hub model as gpt2, or owner/name",
    )


def _add_limit(parser: Parser, otherwise: str) -> None:
    parser.add_argument(
        "--max-seconds", type=float, metavar="S", help=f"by an estimate as it goes: {otherwise}"
    )


def _add_device(parser: Parser) -> None:
    parser.add_argument(
        "--dtype", choices=DTYPES, help="a Hub model's; default float32, or what the blob says"
    )
    parser.add_argument("--device", help="a Hub model's: cpu, cuda or auto; default cpu")


def _model(options: argparse.Namespace) -> str | LanguageModel | None:
    """What the codec is to load by itself, or a model with a dtype or device of its own."""
    if not options.dtype and not options.device:
        name: str | None = options.model
        return name
    if options.model is None:
        raise ValueError("--dtype and --device need --model")
    return _loaded(options)


def _loaded(options: argparse.Namespace) -> LanguageModel:
    return load_model(options.model, dtype=options.dtype, device=options.device)


def _add_decoding(parser: Parser) -> None:
    parser.add_argument(
        "--model", help="a directory, if the blob names no model; a Hub model, to download it"
    )
    _add_device(parser)
    _add_limit(parser, "refuse what would take longer")


def _add_prior(parser: Parser) -> None:
    group = parser.add_argument_group("hyper-prior of a trained prompt")
    group.add_argument("--prior", choices=sorted(PRIORS), help="default laplace; auto tries some")
    group.add_argument(
        "--levels", type=int, help="of the quantiser; default 256, or 16 if no prior is named"
    )
    group.add_argument("--sigma", type=float, help="gaussian: standard deviation; default 1")
    group.add_argument("--range", type=float, help="gaussian, laplace: half width; default 5")
    group.add_argument("--percentiles", metavar="A:B", help="empirical: range; default 1:99")
    group.add_argument("--block", type=int, help="laplace: coordinates that share a scale")
    group.add_argument(
        "--published-bug",
        action="store_true",
        help="gaussian, empirical: system 000's half-bin error, four times the squared error",
    )


def _prior(options: argparse.Namespace) -> HyperPrior | None:
    """Makes the hyper-prior that options describe; None if there are none."""
    given = _given({
        "levels": options.levels,
        "sigma": options.sigma,
        "limit": options.range,
        "percentiles": _pair(options.percentiles),
        "block": options.block,
        "published_bug": options.published_bug or None,
    })
    if options.prior is None:
        return make_prior("laplace", **{"levels": 16, **given}) if given else None
    return make_prior(options.prior, **given)


def _given(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}


def _pair(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        lower, upper = (float(part) for part in text.split(":"))
    except ValueError:
        raise ValueError(f"percentiles {text!r}; wanted two numbers, as 1:99") from None
    return lower, upper


_TRAINING = {
    "--virtual-tokens": ("n_virtual_tokens", int, "vectors in front of the text"),
    "--epochs": ("epochs", int, "passes over the training rows"),
    "--learning-rate": ("learning_rate", float, "Adam's"),
    "--seed": ("seed", int, "of the noise it begins as, and of the order of rows"),
    "--batch-rows": ("batch_rows", int, "rows of a step"),
    "--row-tokens": ("row_tokens", int, "tokens of a row"),
    "--row-bytes": ("row_bytes", int, "cut rows every so many bytes instead"),
    "--max-bytes": ("max_bytes", int, "of a longer text, so much is used"),
    "--held-out": ("held_out", float, "part of the rows that is only watched"),
    "--scale": ("scale", float, "of the noise; the model's embeddings'"),
    "--precision": ("precision", str, "auto, bfloat16 or float32; a Hub model's is its --dtype"),
}


def _add_training(parser: Parser) -> None:
    usual = Training()
    group = parser.add_argument_group("training of a soft prompt")
    for flag, (name, kind, text) in _TRAINING.items():
        default = getattr(usual, name)
        more = "" if default is None else f"; default {default}"
        group.add_argument(flag, dest=name, type=kind, help=text + more)


def _training(options: argparse.Namespace, usual: Training) -> Training | None:
    """Makes the training's options; None if none is given."""
    given = _given({name: getattr(options, name) for name, _, _ in _TRAINING.values()})
    return replace(usual, **given) if given else None


def _add_output(parser: Parser, default: str) -> None:
    parser.add_argument("-o", "--output", metavar="OUT", help=f"a file, or -; {default}")
    parser.add_argument("-f", "--force", action="store_true", help="overwrite OUT")


def _compress(options: argparse.Namespace) -> None:
    from llmcomp.codec import compressing
    from llmcomp.stream import BlobCompressor, compressing_stream, needs_whole_text

    is_archive = options.archive or len(options.inputs) > 1 or Path(options.inputs[0]).is_dir()
    options.target = _compressed_name(options.inputs, options.output)
    _refuse_overwriting(options.target, options)
    usual = Auto().training if options.steer == "auto" else Training()
    choice = parse(options.steer, training=_training(options, usual), prior=_prior(options))
    whole = needs_whole_text(choice)
    if whole and options.max_seconds is not None:
        raise ValueError(f"--steer {options.steer} tries several ways; it takes no --max-seconds")
    asked = {
        "model": _model(options),
        "preset": options.preset,
        "steer": choice,
        "lanes": options.lanes,
        "lane_bytes": options.lane_bytes,
        "profile": options.profile,
        "margin": options.margin,
        "online": not options.no_online,
        "verify": not options.no_verify,
    }
    result: Compressed | BlobCompressor
    if is_archive:
        result = _compress_files(options, asked)
        _show_bill(result, options)
        return
    with _source(options.inputs[0]) as source:
        total = _size(source)
        with _watching("encode", "verify", open_ended=total is None and not whole) as report:
            if whole:
                data = source.read()
                _note_whole(len(data), options)
                result = run(compressing(data, **asked), report)
                _write(options.target, result.blob, options)
            else:
                stream = BlobCompressor(total=total, max_seconds=options.max_seconds, **asked)
                with _target(options.target, options) as target:
                    result = run(compressing_stream(source, target, stream), report)
    _show_bill(result, options)


def _note_whole(n_bytes: int, options: argparse.Namespace) -> None:
    """Says beforehand what it takes to choose the steering of a long text."""
    if n_bytes > SEGMENT_BYTES and not options.json:
        print(
            f"llmcomp: --steer {options.steer} looks at the whole text: {n_bytes:,} bytes are held "
            "in memory and coded once for each way that is tried; quicker is a .steer file, made "
            "of a part of it (steer train)",
            file=sys.stderr,
        )


def _compressed_name(inputs: Sequence[str], output: str | None) -> str:
    """Names what compression writes."""
    if output is not None:
        return output
    if len(inputs) > 1:
        raise ValueError(f"{len(inputs)} inputs make an archive; name it with -o")
    if inputs[0] == "-":
        return "-"
    name = os.path.normpath(inputs[0])
    if Path(name).name in {"", ".."}:
        raise ValueError(f"an archive of {inputs[0]} has no name of its own; give one with -o")
    return name + SUFFIX


def _compress_files(options: argparse.Namespace, asked: dict[str, Any]) -> BlobCompressor:
    """Puts the inputs into an archive."""
    from llmcomp.archive import archiving, find_entries

    if "-" in options.inputs:
        raise ValueError("standard input has no name to stand in an archive; write it to a file")
    leave_out = None if options.target == "-" else Path(options.target)
    entries, notes = find_entries(map(Path, options.inputs), leave_out)
    with (
        _target(options.target, options) as target,
        _watching("encode", "verify") as report,
    ):
        job = archiving(entries, target, max_seconds=options.max_seconds, **asked)
        result = run(job, report)
    result.bill.notes[:0] = notes
    return result


def _show_bill(result: Compressed | BlobCompressor, options: argparse.Namespace) -> None:
    """Says what compression did."""
    bill = result.bill
    even = bill.break_even_bytes(bill.xz_bytes)
    if options.json:
        _print_json(
            options,
            asdict(bill)
            | _rates(bill)
            | {
                "bits_per_byte": bill.bits_per_byte,
                "model_alone_bytes": bill.model_alone_bytes,
                "break_even_bytes": even if math.isfinite(even) else None,
                "steering": str(result.steering),
                "tried": result.tried,
            },
        )
        return
    for note in bill.notes:
        print(f"llmcomp: note: {note}", file=sys.stderr)
    for index, (words, size) in enumerate(result.tried):
        chosen = " <- kept" if index == result.kept else ""
        print(f"  {size:>9,} bytes  {words}{chosen}", file=sys.stderr)
    print(
        f"{bill.raw_bytes:,} -> {bill.total_bytes:,} bytes, rate {bill.rate:.4f}, "
        f"{bill.bits_per_byte:.3f} bits per byte",
        file=sys.stderr,
    )
    if bill.help_bits:
        print(f"without online help: {bill.model_alone_bytes:,} bytes", file=sys.stderr)
    if bill.model is not None:
        adjusted = _adjusted(bill.model, bill.total_bytes, bill.raw_bytes)
        pays = "" if math.isinf(even) else f"; pays against xz from {readable_bytes(even)} on"
        print(f"with the model: {adjusted}{pays}", file=sys.stderr)
    if options.verbose:
        _print_rows(bill)


def _print_rows(bill: Bill) -> None:
    """Says where every bit went, and their sum."""
    total_bits = 8.0 * bill.total_bytes
    for what, bits in [*bill.rows(), ("the file", total_bits)]:
        counts = (bits, bits / 8, 100 * bits / total_bits)
        in_bits, in_bytes, percent = (round(count, 1) + 0.0 for count in counts)  # never -0.0
        sizes = f"{in_bits:>16,.1f} bits {in_bytes:>14,.1f} bytes {percent:>6.1f} %"
        print(f"  {what:<28}{sizes}", file=sys.stderr)


def _rates(of: Bill | BlobInfo) -> dict[str, float | None]:
    """Rates for machines: without the model, at 2 bytes a parameter, and with its files."""
    adjusted, with_files = of.adjusted_rates or (None, None)
    return {"rate": of.rate, "adjusted_rate": adjusted, "adjusted_rate_files": with_files}


def _adjusted(model: ModelSize, compressed_bytes: int, raw_bytes: int) -> str:
    """Says both rates that count the model."""
    nominal, with_files = model.adjusted_rates(compressed_bytes, raw_bytes)
    return (
        f"rate {nominal:,.4f} at 2 bytes a parameter ({model.n_parameters:,}), "
        f"{with_files:,.4f} with its files ({model.file_bytes:,} bytes)"
    )


def _decompress(options: argparse.Namespace) -> None:
    looked_at = options.input != "-"
    if options.directory is not None or (looked_at and _is_archive(options.input)):
        _extract(options)
        return
    options.target = options.output
    if not options.target and options.input == "-":
        options.target = "-"
    if not options.target:
        if not options.input.endswith(SUFFIX):
            raise ValueError(f"{options.input} does not end in {SUFFIX}; name the output with -o")
        options.target = options.input[: -len(SUFFIX)]
    _refuse_overwriting(options.target, options)
    plain_bytes = _decode_all(options)
    if options.json:
        _print_json(options, {"plain_bytes": plain_bytes, "output": options.target})


def _is_archive(name: str) -> bool:
    """Tells whether a file is an archive; what comes through a pipe is not looked at."""
    from llmcomp.archive import is_archive

    with _source(name) as source, contextlib.suppress(LLMCompError):  # it will be said later
        return source.seekable() and is_archive(source)
    return False


def _extract(options: argparse.Namespace) -> None:
    """Extracts an archive into a directory."""
    from llmcomp.archive import Archive

    if options.output is not None:
        raise ValueError(f"{options.input} is an archive; name a directory with -C in place of -o")
    directory = options.directory or "."
    with _seekable(options.input) as source:
        archive = Archive(source, model=_model(options))
        with _watching("decode") as report:
            job = archive.extracting(
                directory, force=options.force, max_seconds=options.max_seconds
            )
            run(job, report)
    names = [member.name for member in archive.members]
    if options.json:
        plain_bytes = sum(member.size for member in archive.members)
        done = {"plain_bytes": plain_bytes, "output": directory, "members": names}
        _print_json(options, done)
    else:
        print(f"{len(names):,} files extracted into {directory}", file=sys.stderr)


def _cat(options: argparse.Namespace) -> None:
    from llmcomp.archive import Archive
    from llmcomp.ranges import SegmentIndex, copying_range

    options.target = "-"
    if options.range is None and options.member is None:
        _decode_all(options)
        return
    if options.max_seconds is not None:
        raise ValueError("this decodes only what it must; it takes no --max-seconds")
    start, stop = _slice(options.range or ":")
    with _seekable(options.input) as source:
        if options.member is None:
            index = SegmentIndex(source, model=_model(options))
            job = functools.partial(copying_range, index)
        else:
            archive = Archive(source, model=_model(options))
            job = functools.partial(archive.copying, options.member)
        with _target("-", options) as target, _watching("decode") as report:
            run(job(target, start, stop), report)


def _decode_all(options: argparse.Namespace) -> int:
    """Decodes a blob into the target; gives the number of plain bytes."""
    from llmcomp.ranges import SegmentIndex
    from llmcomp.stream import BlobDecompressor, decompressing_stream

    with _source(options.input) as source:
        total = None
        if source.seekable():  # a cut file is then found out before a model is loaded
            start = source.tell()
            total = SegmentIndex(source).length()
            source.seek(start)
        blob = BlobDecompressor(model=_model(options), total=total)
        with (
            _target(options.target, options) as target,
            _watching("decode", open_ended=total is None) as report,
        ):
            job = decompressing_stream(source, target, blob, max_seconds=options.max_seconds)
            return run(job, report)


def _slice(text: str) -> tuple[int | None, int | None]:
    """Reads ``A:B``, either of which may be left out or count from the end."""
    try:
        start, stop = (int(part) if part else None for part in text.split(":"))
    except ValueError:
        raise ValueError(f"range {text!r}; wanted A:B, as 0:100, 500: or -20:") from None
    return start, stop


def _info(options: argparse.Namespace) -> None:
    from llmcomp.codec import get_info

    with _source(options.input) as source:
        info = get_info(source)
    if options.json:
        _print_json(options, asdict(info) | _rates(info))
        return
    print(f"format      version {info.version}, profile {info.profile}: {info.numerics}")
    print(f"model       {info.model}, fingerprint {info.fingerprint}")
    print(f"schedule    window {info.schedule.window}, overlap {info.schedule.overlap}")
    print(f"steering    {info.steering}, {info.steering_bytes:,} bytes")
    print(f"plain       {info.plain_bytes:,} bytes")
    print(f"compressed  {info.total_bytes:,} bytes, rate {info.rate:.4f}")
    if info.needs_model and info.model_size is not None:
        print(f"with model  {_adjusted(info.model_size, info.total_bytes, info.plain_bytes)}")
    if info.helped_segments:
        helped = f"{info.helped_segments} of {len(info.segments)} segments"
        print(f"online help {helped}")
    for index, (method, plain, payload, lanes) in enumerate(info.segments):
        table = ", the table of files" * (index == 0 and info.members is not None)
        print(
            f"segment {index:<3} {method}: {plain:,} -> {payload:,} bytes, {lanes} lane(s){table}"
        )
    for member in info.members or ():
        program = "*" * member.executable
        print(f"{member.size:>15,}  {printable(member.name)}{program}")


def _steer_train(options: argparse.Namespace) -> None:
    target = options.output or ("-" if options.input == "-" else options.input + STEER_SUFFIX)
    _refuse_overwriting(target, options)
    soft = _trained(_loaded(options), _read(options.input), options)
    _write(target, soft.to_bytes(), options)


def _steer_show(options: argparse.Namespace) -> None:
    soft = SoftPrompt.from_bytes(_read(options.input))
    coded = [make_prior(name).encode(soft.vector) for name in PRIORS]
    if options.json:
        costs = {c.prior.name: {"bits": c.bits, "mse": c.mse} for c in coded}
        about = {name: getattr(soft, name) for name in ("model", "fingerprint", "scale", "history")}
        print(json.dumps(about | {"shape": list(soft.vector.shape), "priors": costs}))
        return
    n_virtual_tokens, width = soft.vector.shape
    print(f"made for    {soft.model!a}, fingerprint {soft.fingerprint[:16]!a}")
    print(f"vector      {n_virtual_tokens} virtual tokens x {width}, scale {soft.scale:g}")
    deviation = math.sqrt(float(soft.vector.var()))
    print(f"values      mean {soft.vector.mean():.4f}, standard deviation {deviation:.4f}")
    for name, value in soft.history.items():
        print(f"{ascii(name)[1:-1]:<11} {json.dumps(value)}")
    for c in coded:
        print(
            f"{c.prior.name:<11} {c.bits:,} bits, {c.bits_per_coordinate:.4f} a coordinate, "
            f"MSE {c.mse:.3g}, at {c.prior.levels} levels"
        )


def _steer_sweep(options: argparse.Namespace) -> None:
    from llmcomp.evaluate import steering
    from llmcomp.ui import charts
    from llmcomp.ui.words import Words

    try:
        levels = [int(part) for part in options.levels.split(",")]
    except ValueError:
        raise ValueError(f"levels {options.levels!r}; wanted numbers, as 16,256") from None
    if options.figure:
        _refuse_overwriting(options.figure, options)
    names = options.priors.split(",")
    for name in names:  # before minutes of training, not after
        for count in levels:
            make_prior(name, levels=count)
    model, data = _loaded(options), _read(options.input)
    if options.steer:
        if _training(options, Training()):
            raise ValueError("a .steer file is trained already; drop the options of training")
        soft = read_steer_file(Path(options.steer))
        soft.require(model)
    else:
        soft = _trained(model, data, options)
    job = steering.compare(data, model, steering.sweep_ways(soft, names, levels))
    with _watching("encode", "verify") as report:

        def report_progress(step: Progress | steering.Row) -> None:
            if isinstance(step, Progress):
                report(step)

        rows = run(job, report_progress)
    if options.figure:
        _write(
            options.figure, charts.rate_distortion(rows, Words("en")).to_html().encode(), options
        )
    if options.json:
        print(json.dumps([steering.as_json(row) for row in rows]))
    else:
        print(steering.table(rows))


def _trained(model: LanguageModel, data: bytes, options: argparse.Namespace) -> SoftPrompt:
    """Trains on a text, a line an epoch; Ctrl-C ends it early and keeps the best so far."""
    from llmcomp.steering.fit import cut_rows, fitting

    training = _training(options, Training()) or Training()
    steps = fitting(model, cut_rows(model, data, training), training)
    step: FitStep | None = None
    try:
        for step in steps:
            if step.epoch == int(step.epoch):
                print(_losses(step), file=sys.stderr)
    except KeyboardInterrupt:
        steps.close()
        if step is None or not step.epoch >= 1:
            raise
        print("llmcomp: stopped; the best epoch so far is kept", file=sys.stderr)
    if step is None or "epochs_done" not in step.best.history:
        raise LLMCompError(
            "no epoch ended with finite numbers, so there is no prompt to keep; "
            "take a smaller --learning-rate"
        )
    print(f"kept the prompt of epoch {step.best.history['epochs_done']}", file=sys.stderr)
    return step.best


def _losses(step: FitStep) -> str:
    """One line: bits per byte on both parts, and what they are without a prompt."""
    parts = [
        f"{name} {now:.4f} (without a prompt {plain:.4f})"
        for name, now, plain in (
            ("training", step.train, step.plain_train),
            ("held out", step.held_out, step.plain_held_out),
        )
        if not math.isnan(now)
    ]
    if not parts:
        return f"epoch 0/{step.epochs}, bits per byte:"
    return f"epoch {step.epoch:.0f}/{step.epochs}  {'  '.join(parts)}  {step.seconds:.0f} s"


def _calibrate(options: argparse.Namespace) -> None:
    from llmcomp.agreement import margin_option
    from llmcomp.evaluate import calibrate

    if options.tokens < 1:
        raise ValueError(f"tokens is {options.tokens}; wanted at least 1")
    samples = sorted((ASSETS / "examples").glob("*.txt"))
    paths = [Path(options.text)] if options.text else samples
    data = b"\n".join(path.read_bytes() for path in paths)
    ways = calibrate.conditions(options.dtype, options.device)
    print(f"each of {len(ways)} conditions runs in a process of its own", file=sys.stderr)
    findings = []
    for finding in calibrate.calibrate(options.model, data, ways, options.tokens):
        print(f"  {finding.name}: {finding.largest:.2g}", file=sys.stderr)
        findings.append(finding)
    exponent = calibrate.recommended(findings)
    if options.store:
        kept = calibrate.store(options.model, options.dtype, options.device, exponent)
        print(f"kept in {kept}", file=sys.stderr)
    if options.json:
        found = {"margin": 2.0**-exponent, "findings": [asdict(f) for f in findings]}
        _print_json(options, found)
        return
    print(calibrate.table(findings))
    print(f"recommended: --profile tolerant {margin_option(exponent)} (2^-{exponent})")


def _space() -> SpaceFile:
    from llmcomp.space import card

    return card.read(ASSETS.parent)


def _space_sync(_: argparse.Namespace) -> None:
    from llmcomp.space import card

    print("README.md rewritten" if card.sync(_space()) else "README.md is as it should be")


def _space_hardware(_: argparse.Namespace) -> None:
    from llmcomp.space.table import table

    print(table())


def _space_check(_: argparse.Namespace) -> None:
    problems = _space().problems()
    for problem in problems:
        print(problem)
    if problems:
        raise LLMCompError(f"{len(problems)} problem(s); nothing will be deployed like this")
    print("spaces.yaml, README.md and requirements.txt agree")


def _space_deploy(options: argparse.Namespace) -> None:
    from llmcomp.space import deploy
    from llmcomp.space.hub import RealHub

    space = _space()
    if options.dry_run:
        for line in deploy.plan(space).lines():
            print(line)
        print(space.requirements(), end="")
        return
    if not options.repo_id:
        raise ValueError("wanted OWNER/NAME, or --dry-run")
    for line in deploy.deploy(space, options.repo_id, RealHub(), os.environ):
        print(line, flush=True)


def _space_smoke(options: argparse.Namespace) -> None:
    from llmcomp.space.hub import RealHub
    from llmcomp.space.smoke import smoke

    for line in smoke(RealHub().client(options.where)):
        print(line, flush=True)


def _bench(options: argparse.Namespace) -> None:
    from llmcomp.evaluate import bench

    what = "speed" if options.speed else "presets" if options.presets else "rates"
    print(bench.report(options.files, options.model, what, as_json=options.json))


def _read(name: str) -> bytes:
    with _source(name) as source:
        return source.read()


@contextlib.contextmanager
def _seekable(name: str) -> Iterator[IO[bytes]]:
    """Opens what a command reads here and there; what comes through a pipe is held in memory."""
    with _source(name) as source:
        yield source if source.seekable() else io.BytesIO(source.read())


@contextlib.contextmanager
def _source(name: str) -> Iterator[BinaryIO]:
    """Opens what a command reads."""
    if name == "-":
        yield sys.stdin.buffer
        return
    with Path(name).open("rb") as file:
        yield file


def _size(source: BinaryIO) -> int | None:
    """Tells how many bytes a file has left to read; None for a pipe or a device."""
    if not source.seekable():
        return None
    status = os.fstat(source.fileno())
    return status.st_size - source.tell() if stat.S_ISREG(status.st_mode) else None


def _refuse_overwriting(target: str, options: argparse.Namespace) -> None:
    if target == "-":
        return
    if Path(target).is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
    # a device or a pipe loses nothing by being written to
    if Path(target).is_file() and not options.force:
        raise ValueError(f"{target} exists; use -f to overwrite it, or -o to name another file")


def _write(name: str, data: bytes, options: argparse.Namespace) -> None:
    """Writes a whole file or nothing."""
    with _target(name, options) as target:
        target.write(data)


@contextlib.contextmanager
def _target(name: str, options: argparse.Namespace) -> Iterator[BinaryIO]:
    """Opens what a command writes; a file is whole or absent.

    It is written under a temporary name and renamed when all of it is on the disk; if somebody else
    has made such a file meanwhile, to a name beside it.
    """
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(name).resolve()
    if target.exists() and not target.is_file():  # a device or a pipe cannot be renamed onto
        with target.open("wb") as file:
            yield file
        return
    try:  # a name of its own: the target's with something added may be too long
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".llmcomp-", suffix=".tmp")
    except OSError as error:  # which names the temporary file
        raise OSError(error.errno, error.strerror, name) from None
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(target.stat().st_mode if target.is_file() else new_file_mode())
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    settle(Path(temporary), target, force=options.force)


@contextlib.contextmanager
def _watching(*stages: Stage, open_ended: bool = False) -> Iterator[Callable[[Progress], None]]:
    """Tells people how a job goes: once how long it will take, and a bar on a terminal.

    Args:
        stages: what it goes through, in order.
        open_ended: whether nobody knows how many bytes there are.
    """
    pace, bar = Pace(stages), sys.stderr.isatty()
    announced, drawn = open_ended, 0.0

    def report(progress: Progress) -> None:
        nonlocal announced, drawn
        pace.note(progress)
        left = pace.left()
        if left is not None and not announced:
            announced = True
            if left > _LONG_SECONDS:
                clear = _CLEAR if bar else ""
                print(f"{clear}llmcomp: about {in_words(left)}", file=sys.stderr)
        if bar and pace.elapsed - drawn > _REDRAW_SECONDS:
            drawn = pace.elapsed
            line = _progress_line(progress, pace, open_ended=open_ended)
            print(f"{_CLEAR}{line}", end="", file=sys.stderr, flush=True)

    try:
        yield report
    finally:
        if bar:
            print(_CLEAR, end="", file=sys.stderr, flush=True)


def _progress_line(progress: Progress, pace: Pace, *, open_ended: bool) -> str:
    """One line: what is done of what, how fast, and how long it will go on."""
    rate = pace.rate(progress.stage)
    speed = "" if rate is None else f"  {rate / 1000:.1f} kB/s"
    if open_ended:
        return f"{progress.stage:<7}{progress.done:,} bytes{speed}"
    part = min(1.0, progress.done / progress.total) if progress.total else 1.0
    left = pace.left()
    ending = "" if left is None else f", {in_words(left)} left"
    filled = ("#" * int(30 * part)).ljust(30, ".")
    return f"{progress.stage:<7}[{filled}] {100 * part:3.0f} %{speed}{ending}"
