"""A process with the real ``spaces`` package in its ZeroGPU mode, on a machine without any GPU.

Weights are placed under its emulation of CUDA, and jobs run through its own wrappers: scheduled,
forked, pickled, stopped. What needs the Hub's scheduler or a driver is replaced, and nothing else:
in the forked process the placed weights become the processor's own. Prints JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from types import SimpleNamespace
from typing import Any

os.environ |= {
    "SPACES_ZERO_GPU": "true",
    "SPACES_ZERO_DEVICE_API_URL": "http://127.0.0.1:9",
    "SPACE_ID": "tests/space",
    "LLMCOMP_MODELS": "tiny-llama",
}

import torch


def _no() -> bool:
    return False


# what torch has only where it was built with CUDA
torch.version.cuda = "12.8"
torch._C._cuda_init = lambda: None
torch.cuda._is_in_bad_fork = _no

import spaces  # noqa: E402, F401
from spaces.zero import client  # noqa: E402
from spaces.zero import torch as emulation  # noqa: E402
from spaces.zero.torch import patching  # noqa: E402

asked: list[int] = []
released: list[bool] = []


def schedule(task_id: int, request: Any, duration: Any, gpu_size: Any) -> SimpleNamespace:
    asked.append(duration.seconds)
    return SimpleNamespace(allowToken="t", nvidiaIndex=0, nvidiaUUID="u", idle=True)


client.schedule = schedule
client.release = lambda token, *, fail=False, allow_404=False: released.append(fail)
client.allow = lambda allow_token: None
emulation.init = lambda nvidia_uuid: None

import hub_cache  # noqa: E402
import huggingface_hub.constants  # noqa: E402
import numpy as np  # noqa: E402

from llmcomp.errors import LLMCompError  # noqa: E402
from llmcomp.models import SHELF, registry  # noqa: E402
from llmcomp.space import gpu  # noqa: E402
from llmcomp.ui import handlers, hub_jobs  # noqa: E402

TEXT = "The quick brown fox jumps over the lazy dog.\n" * 4


def move(callback: Any = None) -> None:
    """In the forked process: what was placed is really there, on the only device there is."""
    for fake, original in patching.cuda_aliases.items():
        fake.data = original
    model._stock.device = torch.device("cpu")


emulation.move = move


@gpu.on_gpu(gpu.declared_s)
def job(n: int) -> Any:
    for i in range(n):
        yield i, os.getpid()
    if n == 3:
        raise LLMCompError("in my own words")


def refused(n: int) -> str:
    try:
        list(job(n))
    except LLMCompError as error:
        return str(error)
    return "nothing was raised"


if __name__ == "__main__":
    registry.REGISTRY["tiny-llama"] = hub_cache.entry("llama")
    huggingface_hub.constants.HF_HUB_CACHE = sys.argv[1]
    huggingface_hub.constants.HF_HUB_OFFLINE = True
    with contextlib.redirect_stdout(sys.stderr):  # the package's own debugging words
        hub_jobs.place_models()
        model = SHELF.take(("tiny-llama", "float32", "cuda"), 0, lambda: sys.exit("not placed"))
        devices = {str(model.device), str(model._stock._head.weight.device)}
        result = handlers.finish(handlers.compress(TEXT, None, "tiny-llama", "balanced"))
        path = handlers.stash("a.llmc", result.blob)
        *_, decoding = handlers.decompress(path, "")
        words = refused(3)
        endless = job(10**6)
        _, worker = next(endless)
        endless.close()
        again = [pid for _, pid in job(2)]
    print(
        json.dumps({
            "devices": sorted(devices),
            "text": decoding.text == TEXT,
            "asked": asked,
            "failed": [bool(np.any(fail)) for fail in released],
            "words": words,
            "own_process": worker != os.getpid(),
            "worker_used_again": again == [worker, worker],
        })
    )
