"""The run folder of a recipe: checkpoints, log, lock, tokenizer.

In and out: files under ``<cache>/runs/<recipe>/``. Knows nothing of how a step is computed.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import IO, Any

import torch

from llmcomp.train.data import cache_dir

__all__ = ["RunFolder", "load_checkpoint", "newest_checkpoint"]

KEPT_CHECKPOINTS = 2


def newest_checkpoint(folder: Path) -> Path | None:
    """Returns the checkpoint with the highest step in a folder, if there is one."""
    return max(folder.glob("step-*.pt"), default=None)  # step numbers are zero-padded


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint onto the CPU; tensors and plain values only, never code."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


class RunFolder:
    """Where one training keeps its state; at most one process holds it.

    Attributes:
        path: the folder.
    """

    def __init__(self, name: str) -> None:
        self.path = cache_dir() / "runs" / name
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock: IO[str] | None = None

    @property
    def tokenizer_path(self) -> Path:
        """The run's ``tokenizer.json`` (none for byte models)."""
        return self.path / "tokenizer.json"

    def acquire(self) -> int | None:
        """Takes the lock.

        The kernel frees it when the process ends, however it ends, so no stale lock is left.

        Returns:
            None if it is ours now, else the process id of its holder.
        """
        lock = (self.path / "lock").open("a+", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = int(lock.read() or 0)
            lock.close()
            return holder
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        return None

    def release(self) -> None:
        """Gives the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def save(self, state: dict[str, Any]) -> Path:
        """Writes a checkpoint whole or not at all, then drops all but the newest two.

        Args:
            state: tensors and plain values, with the step number under ``"step"``.
        """
        path = self.path / f"step-{state['step']:08d}.pt"
        partial = path.with_suffix(".tmp")
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        for old in sorted(self.path.glob("step-*.pt"))[:-KEPT_CHECKPOINTS]:
            old.unlink()
        return path

    def log(self, record: dict[str, Any]) -> None:
        """Appends one line to ``log.jsonl``."""
        with (self.path / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def learning_curve(self) -> list[list[float]]:
        """Returns the validations so far: tokens seen and mean held-out bits per byte of each."""
        path = self.path / "log.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        records = (json.loads(line) for line in lines)
        return [[record["tokens_seen"], record["mean"]] for record in records if "mean" in record]
