"""Command line of the trainer: ``python -m llmcomp.train train --recipe embedded``."""

import os
import sys

# Libraries read these only when a process starts. glibc gives large blocks back to the system at
# every free() and the kernel zeroes them at every malloc(), unless told to keep them. Threads that
# wait for others must sleep, not spin: on a busy machine they would spin away the others' time.
SETTINGS = {
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "OMP_WAIT_POLICY": "passive",
}


def _restart_with_settings() -> None:
    """Replaces this process by itself with the variables set, unless they are."""
    if not set(SETTINGS) <= set(os.environ):
        words = [sys.executable, "-m", "llmcomp.train", *sys.argv[1:]]
        os.execve(sys.executable, words, {**SETTINGS, **os.environ})


if __name__ == "__main__":
    _restart_with_settings()
    from llmcomp.train.commands import main

    sys.exit(main(sys.argv[1:]))
