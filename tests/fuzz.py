"""Coverage-guided fuzzing with Atheris, which is libFuzzer for Python.

    python tests/fuzz.py container --seconds 600     # looks for an input that breaks the law
    python tests/fuzz.py container FILE              # checks such an input again, without Atheris

A target is a module with a law, `check`; inputs to begin with, `seeds`; and `mutate`, which changes
an input so that it gets past what turns nearly all changes away: a blob's checksums, JSON. Fuzzing
stops at the first finding: an input that breaks the law, writes a warning, takes more than
`LIMIT_SECONDS`, or makes the process take more memory than `LIMIT_MIB`. Atheris itself keeps more
and more, so each `ROUND_SECONDS` a new process goes on with the inputs found so far.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import sys
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

TARGETS = {name: f"fuzz_{name.replace('-', '_')}" for name in ("container", "tokens", "round-trip")}
ROUND_SECONDS = 60
LIMIT_SECONDS = 30
LIMIT_MIB = 1500  # Atheris 3.0.0 keeps some objects that it saw compared: 8 MiB a second were seen


def fuzz(name: str, seconds: int, seed: int, out: Path) -> None:
    """Fuzzes one target, in processes one after the other; ends with the first that fails.

    Args:
        name: of the target.
        seconds: for how long.
        seed: of all chance in the first process; the others count on from it.
        out: where to keep the inputs that reach new code, and a finding.
    """
    for number, begun in enumerate(range(0, seconds, ROUND_SECONDS)):
        process = os.fork()
        if not process:
            fuzz_here(name, min(ROUND_SECONDS, seconds - begun), seed + number, out)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        if status:
            sys.exit(status)


def fuzz_here(name: str, seconds: int, seed: int, out: Path) -> None:
    """Fuzzes one target in this process, which ends within.

    Args:
        name: of the target.
        seconds: for how long.
        seed: of all chance.
        out: where to keep the inputs that reach new code, and a finding.
    """
    import atheris

    with atheris.instrument_imports(include=["llmcomp"], exclude=kernels()):
        target: Any = import_module(TARGETS[name])
    corpus, finding = out / name, out / f"{name}-{seed}"
    corpus.mkdir(parents=True, exist_ok=True)
    for data in target.seeds():
        (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        def plainly(part: bytes) -> bytes:
            return atheris.Mutate(part, max_size)

        return target.mutate(data, random.Random(seed), plainly)[:max_size]

    print(f"seed {seed}; to repeat a finding: {sys.executable} {__file__} {name} {finding}")
    sys.stdout.flush()  # libFuzzer ends the process without asking
    flags = {
        "seed": seed,
        "max_total_time": seconds,
        "max_len": target.MAX_BYTES,
        "timeout": LIMIT_SECONDS,
        "report_slow_units": LIMIT_SECONDS,
        "rss_limit_mb": LIMIT_MIB,
        "exact_artifact_path": finding,
        "print_final_stats": 1,
    }
    arguments = [sys.argv[0], *(f"-{flag}={value}" for flag, value in flags.items()), str(corpus)]
    atheris.Setup(arguments, target.check, custom_mutator=mutate)
    atheris.Fuzz()


def kernels() -> list[str]:
    """Modules with functions that numba compiles, which it cannot once Atheris has changed them."""
    sources = [p for p in (ROOT / "llmcomp").rglob("*.py") if "import kernel\n" in p.read_text()]
    return [".".join(p.relative_to(ROOT).with_suffix("").parts) for p in sources]


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzzes llmcomp, or checks a finding again.")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("file", nargs="?", type=Path, help="an input to check again")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1, 1 << 31))
    parser.add_argument("--out", type=Path, default=ROOT / "build/fuzz")
    args = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    warnings.simplefilter("error")
    if args.file is not None:
        import_module(TARGETS[args.target]).check(args.file.read_bytes())
        print("the law holds")
    elif find_spec("atheris") is None:
        sys.exit(
            "fuzzing needs Atheris, which is not installed: pip install -e '.[test]' brings it on "
            "Linux x86_64 with Python before 3.14; elsewhere name a FILE to check again"
        )
    else:
        fuzz(args.target, args.seconds, args.seed, args.out)


if __name__ == "__main__":
    main()
