"""Lanes shared out among cores: every one once, whatever the machine."""

from __future__ import annotations

import multiprocessing
import os
import threading

import numpy as np
import pytest

from llmcomp import parallel
from llmcomp.parallel import LANES_TOGETHER, each_part


@pytest.fixture(params=[1, 2, 3, 5, 16])
def cores(request, monkeypatch) -> int:
    monkeypatch.setattr(parallel, "_CORES", request.param)
    return request.param


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9, 17, 64, 65])
def test_every_item_is_done_once_in_parts_of_whole_groups(cores, count):
    done = np.zeros(count, int)
    parts = []

    def job(part: slice) -> None:
        done[part] += 1
        parts.append(part)

    each_part(count, job)
    assert (done == 1).all()
    assert len(parts) <= cores
    assert all(part.start % LANES_TOGETHER == 0 for part in parts)


def test_parts_run_side_by_side(monkeypatch):
    monkeypatch.setattr(parallel, "_CORES", 2)
    both = threading.Barrier(2)

    def job(_: slice) -> None:
        both.wait(timeout=20)

    each_part(8, job)


def test_errors_of_other_threads_are_raised(monkeypatch):
    monkeypatch.setattr(parallel, "_CORES", 2)

    def job(part: slice) -> None:
        if part.start:
            raise ArithmeticError("in the second part")

    with pytest.raises(ArithmeticError, match="second part"):
        each_part(8, job)


def _sum_in_child(found) -> None:
    total = np.zeros(8)
    each_part(8, lambda part: total.__setitem__(part, 1.0))
    found.put(total.sum())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_makes_threads_of_its_own(monkeypatch):
    """As a function on a ZeroGPU Space is: the parent's threads are not in it."""
    monkeypatch.setattr(parallel, "_CORES", 2)
    each_part(8, lambda _: None)
    fork = multiprocessing.get_context("fork")
    found = fork.SimpleQueue()
    child = fork.Process(target=_sum_in_child, args=(found,))
    child.start()
    child.join(20)
    assert child.exitcode == 0, "it waited for threads that are not there"
    assert found.get() == 8


@pytest.mark.parametrize(("said", "used"), [("3", 3), ("", None), ("0", None), ("many", None)])
def test_threads_can_be_limited(monkeypatch, said, used):
    monkeypatch.setenv("LLMCOMP_THREADS", said)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(7)), raising=False)
    assert parallel._n_cores() == (used or 7)
