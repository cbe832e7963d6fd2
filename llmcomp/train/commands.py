"""The trainer's commands; the only place that prints.

In: command-line arguments. Out: text for people, an exit code.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch

from llmcomp.models.forward import Forward
from llmcomp.train.card import write_card
from llmcomp.train.data import count_dropped, data_dir
from llmcomp.train.dedup import dropped_table
from llmcomp.train.evaluate import evaluate_model
from llmcomp.train.frontier import load_frontier, measure, table
from llmcomp.train.loop import ASSETS, build_model, find_tokenizer, train
from llmcomp.train.mix import load_mix, measure_mix, mix_table
from llmcomp.train.recipe import TrainError, load_recipe
from llmcomp.train.release import load_release, make_release
from llmcomp.train.run import RunFolder, load_checkpoint, newest_checkpoint

__all__ = ["main"]

EXIT_USER_ERROR = 2
NICEST = 19


def say(line: str) -> None:
    """Prints a line at once, so that a log file is always up to date."""
    print(line, flush=True)


def main(arguments: list[str]) -> int:
    """Runs one command.

    Returns:
        0, or 2 after one line on stderr about what a person must set right.
    """
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads or len(os.sched_getaffinity(0)))
    try:
        options.command(options)
    except TrainError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    return 0


def _parser() -> argparse.ArgumentParser:
    """Builds the parser; each command carries its function."""
    parser = argparse.ArgumentParser(prog="python -m llmcomp.train", description=__doc__)
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: object, text: str, *, recipe: bool) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=function)
        if recipe:
            sub.add_argument("--recipe", required=True, help="a shipped name or a .toml file")
        return sub

    command("tokenizer", _tokenizer, "Make the recipe's tokenizer if it has none.", recipe=True)

    sub = command("train", _train, "Train until stopped (SIGTERM saves and ends).", recipe=True)
    sub.add_argument("--background", action="store_true", help="detach; log to the run folder")
    sub.add_argument("--steps", type=int, help="stop at this step")
    sub.add_argument("--minutes", type=float, help="stop after so long")

    sub = command("frontier", _frontier, "Train small arms at equal compute.", recipe=False)
    sub.add_argument("arms", nargs="*", metavar="ARM", help="of frontier.toml (default: all)")

    command("mix", _mix, "Decay the newest checkpoint under several mixes.", recipe=False)

    sub = command("release", _release, "Decay, snap and export the newest checkpoint.", recipe=True)
    sub.add_argument("--out", type=Path, required=True, help="folder, e.g. assets/embedded-1")
    sub.add_argument("--steps", type=int, help="of the decay (default: the recipe's)")
    sub.add_argument("--minutes", type=float, help="of the decay")
    sub.add_argument("--bytes", type=int, default=50_000, help="of each held-out slice")
    sub.add_argument("--date", help="ISO date for release.json (default: today, UTC)")
    sub.add_argument("--pause", action="store_true", help="stop a running training meanwhile")
    sub.add_argument("--replace", action="store_true", help="overwrite --out")

    sub = command("evaluate", _evaluate, "Print held-out bits per byte.", recipe=False)
    which = sub.add_mutually_exclusive_group(required=True)
    which.add_argument("--recipe", help="its newest checkpoint")
    which.add_argument("--model", type=Path, help="an exported folder")
    sub.add_argument("--bytes", type=int, default=50_000, help="of each slice")
    sub.add_argument("--bench", action="store_true", help="bench/enwik6 too")
    sub.add_argument("--json", type=Path, help="also write the numbers there")

    command("dedup", _dedup, "Tell what is cut out of the training text, and why.", recipe=True)

    sub = command("card", _card, "Write MODEL_CARD.md from the releases.", recipe=False)
    sub.add_argument("--assets", type=Path, default=ASSETS, help="folder of the releases")
    return parser


def _tokenizer(options: argparse.Namespace) -> None:
    """Command ``tokenizer``."""
    recipe = load_recipe(options.recipe)
    tokenizer = find_tokenizer(recipe, RunFolder(recipe.name), ASSETS, say)
    say(f"{tokenizer.vocab_size} ids, start token {tokenizer.start_token}")


def _train(options: argparse.Namespace) -> None:
    """Command ``train``."""
    if options.background:
        _train_in_background(options)
        return
    recipe = load_recipe(options.recipe)
    train(recipe, max_steps=options.steps, max_minutes=options.minutes, say=say)


def _train_in_background(options: argparse.Namespace) -> None:
    """Starts the same command detached, at the lowest priority, and returns."""
    run = RunFolder(load_recipe(options.recipe).name)
    data_dir()  # a missing folder is better told here than in a log
    holder = run.acquire()
    if holder is not None:
        say(f"already running pid {holder}")
        return
    run.release()
    words = [sys.executable, "-m", "llmcomp.train"]
    if options.threads is not None:
        words += ["--threads", str(options.threads)]
    words += ["train", "--recipe", options.recipe]
    for name in ("steps", "minutes"):
        if getattr(options, name) is not None:
            words += [f"--{name}", str(getattr(options, name))]
    log_path = run.path / "train.log"
    with log_path.open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            ["nice", "-n", str(NICEST), *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    say(f"training {run.path.name} in the background, pid {process.pid}, log {log_path}")


def _frontier(options: argparse.Namespace) -> None:
    """Command ``frontier``."""
    frontier = load_frontier()
    say(table(frontier, measure(frontier, say, options.arms)))


def _mix(_options: argparse.Namespace) -> None:
    """Command ``mix``."""
    mix = load_mix()
    say(mix_table(mix, measure_mix(mix, say)))


def _release(options: argparse.Namespace) -> None:
    """Command ``release``."""
    recipe = load_recipe(options.recipe)
    with _paused_training(recipe.name) if options.pause else nullcontext():
        facts = make_release(
            recipe,
            options.out,
            assets=ASSETS,
            steps=options.steps,
            minutes=options.minutes,
            n_bytes=options.bytes,
            date=options.date,
            replace=options.replace,
            say=say,
        )
    _print_table(facts["held_out_bits_per_byte"])


@contextmanager
def _paused_training(name: str) -> Iterator[None]:
    """Stops the process that trains a recipe, if there is one, and lets it go on afterwards.

    Two trainings on the same cores would each wait for the other's threads.
    """
    run = RunFolder(name)
    holder = run.acquire()
    run.release()
    if holder is None:
        yield
        return
    # SIGTERM must pass through the finally below, or the training would sleep for ever
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    os.kill(holder, signal.SIGSTOP)
    say(f"paused pid {holder}")
    try:
        yield
    finally:
        os.kill(holder, signal.SIGCONT)
        signal.signal(signal.SIGTERM, before)


def _dedup(options: argparse.Namespace) -> None:
    """Command ``dedup``."""
    say(dropped_table(count_dropped(load_recipe(options.recipe))))


def _evaluate(options: argparse.Namespace) -> None:
    """Command ``evaluate``."""
    if options.model is not None:
        model, tokenizer = load_release(options.model)
        name = options.model.name
    else:
        recipe = load_recipe(options.recipe)
        run = RunFolder(recipe.name)
        checkpoint = newest_checkpoint(run.path)
        if checkpoint is None:
            raise TrainError(f"recipe {recipe.name!r} has no checkpoint; run `train` first")
        tokenizer = find_tokenizer(recipe, run, ASSETS, say)
        model, name = build_model(recipe), checkpoint.stem
        model.load_state_dict(load_checkpoint(checkpoint)["model"])
    extra = {"enwik6": data_dir() / "bench" / "enwik6"} if options.bench else {}
    forward = Forward(model, dtype=torch.float32)
    bits = evaluate_model(forward, tokenizer, options.bytes, extra)
    _print_table({name: bits})
    if options.json is not None:
        text = json.dumps({"model": name, "first_bytes": options.bytes, "bits_per_byte": bits})
        options.json.write_text(text + "\n", encoding="utf-8")


def _print_table(columns: dict[str, dict[str, float]]) -> None:
    """Prints bits per byte, a row per slice."""
    slices = list(next(iter(columns.values())))
    say(f"{'bits per byte':24}" + "".join(f"{name:>16}" for name in columns))
    for name in slices:
        say(f"{name:24}" + "".join(f"{bits[name]:16.4f}" for bits in columns.values()))


def _card(options: argparse.Namespace) -> None:
    """Command ``card``."""
    path = write_card(options.assets)
    say(f"wrote {path.name}")
