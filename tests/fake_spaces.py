"""A stand-in for the ``spaces`` package of ZeroGPU: every call in a forked process, by pickle.

It does what spaces 0.51.3 does (``spaces/zero/wrappers.py``): arguments are pickled on their way in
and every yielded value on its way out; what a generator returns is lost; an error other than
gradio's own arrives as the name of its class; a closed generator is stopped at its next yield; in
the forked process a decorated function runs as it is; coroutines are refused. Every loan is
recorded: which job, what it asked for, in which process.
"""

from __future__ import annotations

import functools
import inspect
import multiprocessing
import os
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

_context = multiprocessing.get_context("fork")
_END = ("end", b"")


@dataclass
class Loan:
    job: str
    seconds: int
    pid: int | None = None
    stopped: bool = False
    n_bytes: int = 0


loans: list[Loan] = []
decorated: list[str] = []
forked = False


def GPU(task: Callable[..., Any], *, duration: Any = None, size: str | None = None) -> Any:  # noqa: N802
    if inspect.iscoroutinefunction(task):
        raise NotImplementedError
    decorated.append(task.__name__)
    whole = inspect.isgeneratorfunction(task)

    def begin(args: Any, kwargs: Any) -> tuple[Loan, Any, Any, Any]:
        seconds = duration(*args, **kwargs) if callable(duration) else duration or 60
        loan = Loan(task.__name__, int(seconds))
        loans.append(loan)
        packed = pickle.dumps((args, kwargs))
        results, stop = _context.SimpleQueue(), _context.Event()
        worker = _context.Process(target=_work, args=(task, packed, results, stop), daemon=True)
        worker.start()
        loan.pid = worker.pid
        return loan, results, stop, worker

    def received(loan: Loan, results: Any) -> tuple[str, Any]:
        kind, packed = results.get()
        loan.n_bytes += len(packed)
        return kind, pickle.loads(packed) if packed else None

    @functools.wraps(task)
    def generator(*args: Any, **kwargs: Any) -> Iterator[Any]:
        if forked:
            yield from task(*args, **kwargs)
            return
        loan, results, stop, worker = begin(args, kwargs)
        try:
            while True:
                kind, value = received(loan, results)
                if kind == "end":
                    break
                if kind == "error":
                    raise value if isinstance(value, gr.Error) else gr.Error(value)
                try:
                    yield value
                except GeneratorExit:
                    stop.set()
                    loan.stopped = True
                    raise
        finally:
            while kind not in {"end", "error"}:  # the worker ends in order, as there
                kind, _ = received(loan, results)
            worker.join(10)

    @functools.wraps(task)
    def function(*args: Any, **kwargs: Any) -> Any:
        if forked:
            return task(*args, **kwargs)
        loan, results, _, worker = begin(args, kwargs)
        kind, value = received(loan, results)
        worker.join(10)
        if kind == "error":
            raise value if isinstance(value, gr.Error) else gr.Error(value)
        return value

    return generator if whole else function


def _work(task: Callable[..., Any], packed: bytes, results: Any, stop: Any) -> None:
    global forked
    forked = True
    args, kwargs = pickle.loads(packed)
    try:
        if not inspect.isgeneratorfunction(task):
            results.put(("value", pickle.dumps(task(*args, **kwargs))))
            return
        steps = task(*args, **kwargs)
        for value in steps:
            if stop.is_set():
                steps.close()
                break
            results.put(("value", pickle.dumps(value)))
        results.put(_END)
    except Exception as error:
        told: Any = error if isinstance(error, gr.Error) else type(error).__name__
        results.put(("error", pickle.dumps(told)))


def install() -> types.ModuleType:
    """Takes the place of ``spaces``; call it before anything of llmcomp is imported."""
    module = sys.modules[__name__]
    sys.modules["spaces"] = module
    return module


def in_worker() -> int:
    """A process's id if it is a worker, 0 in the app's own."""
    return os.getpid() if forked else 0
