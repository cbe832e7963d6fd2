"""The machines that a Space can run on, and which one this is.

In: a flavour's name, or this process's environment. Out: what it has and what it costs. The figures
are makers' data sheets and the Hub's price list of August 2026, not measurements of ours; prices
change, so read them again before renting.

References:
    https://huggingface.co/docs/hub/spaces-overview and /spaces-zerogpu for flavours and prices.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["FLAVOURS", "ZERO", "Hardware", "Place", "here"]

ZERO = "zero-a10g"
"""What the Hub calls ZeroGPU, whatever GPU stands behind it today."""

_GPUS = Path("/proc/driver/nvidia/gpus")
_GB = 10**9


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine.

    Attributes:
        flavour: the Hub's name for it; ``local`` for any other.
        label: for people.
        memory_bytes: where weights lie: the GPU's, or the processor's own.
        flops: float32 products a second at their peak, without tensor cores.
        float64_share: its speed in float64 as a part of that in float32.
        bandwidth: bytes of memory read a second.
        price: US dollars an hour, 0 if none are asked for.
        gpu: how its driver names the GPU, or a part of that; empty without one.
        lent: whether the GPU is lent call by call (ZeroGPU).
    """

    flavour: str
    label: str
    memory_bytes: int
    flops: float
    float64_share: float
    bandwidth: float
    price: float
    gpu: str = ""
    lent: bool = False

    @property
    def device(self) -> str:
        """Where torch finds it."""
        return "cuda" if self.gpu else "cpu"

    @property
    def dtype(self) -> str:
        """What Hub models compute in here unless somebody asks for more.

        float64 makes agreement between machines almost free of bits, but most GPUs are 32 or 64
        times slower in it; processors take twice as long, which is too much for what is slow
        already.
        """
        return "float64" if self.gpu and self.float64_share >= 0.5 else "float32"


def _gpu(
    flavour: str,
    label: str,
    gigabytes: int,
    teraflops: float,
    share: float,
    bandwidth: int,
    price: float,
    gpu: str,
) -> Hardware:
    return Hardware(
        flavour, label, gigabytes * _GB, teraflops * 1e12, share, bandwidth * 1e9, price, gpu
    )


_T4 = ("Nvidia T4", 16, 8.1, 1 / 32, 320)
_A10G = ("Nvidia A10G", 24, 31.2, 1 / 64, 600)

FLAVOURS = {
    found.flavour: found
    for found in (
        Hardware("cpu-basic", "2 processor cores", 16 * _GB, 1e11, 0.5, 2e10, 0.0),
        Hardware("cpu-upgrade", "8 processor cores", 32 * _GB, 4e11, 0.5, 4e10, 0.03),
        # half of a card: 94 of its 188 multiprocessors
        replace(
            _gpu(
                ZERO, "ZeroGPU (half an RTX PRO 6000)", 48, 60.0, 1 / 64, 896, 0.0, "RTX PRO 6000"
            ),
            lent=True,
        ),
        _gpu("t4-small", *_T4, 0.40, "T4"),
        _gpu("t4-medium", *_T4, 0.60, "T4"),
        _gpu("l4x1", "Nvidia L4", 24, 30.3, 1 / 64, 300, 0.80, "L4"),
        _gpu("a10g-small", *_A10G, 1.00, "A10G"),
        _gpu("a10g-large", *_A10G, 1.50, "A10G"),
        _gpu("l40sx1", "Nvidia L40S", 48, 91.6, 1 / 64, 864, 1.80, "L40S"),
        _gpu("a100-large", "Nvidia A100", 80, 19.5, 1 / 2, 2039, 2.50, "A100"),
    )
}
"""The flavours this project is made for, cheapest kind first."""

_OTHERS = (
    _gpu("local", "Nvidia H100", 80, 67.0, 1 / 2, 3350, 0.0, "H100"),
    _gpu("local", "Nvidia H200", 141, 67.0, 1 / 2, 4800, 0.0, "H200"),
)
_UNKNOWN_GPU = _gpu("local", "a GPU", 8, 8.0, 1 / 64, 200, 0.0, "GPU")
"""A guess on the safe side for a card that no table here knows."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process runs.

    Attributes:
        hardware: the machine.
        public: whether strangers send the input: on a Space.
        models: names of registered models that whoever runs it wants offered.
    """

    hardware: Hardware
    public: bool
    models: tuple[str, ...] = ()


def here(environment: Mapping[str, str] | None = None, gpus: Path = _GPUS) -> Place:
    """Finds out where this process runs, without loading torch.

    Args:
        environment: variables; the process's own by default.
        gpus: where Nvidia's driver lists its cards.
    """
    known = os.environ if environment is None else environment
    public = "SPACE_ID" in known
    models = tuple(name for name in known.get("LLMCOMP_MODELS", "").split(",") if name)
    if known.get("SPACES_ZERO_GPU", "").lower() in {"1", "t", "true"}:
        return Place(FLAVOURS[ZERO], public, models)
    gpu = _gpu_name(gpus)
    if gpu:
        return Place(_card(gpu), public, models)
    cores = known.get("CPU_CORES", "") or str(os.cpu_count() or 1)
    many = cores.isdigit() and int(cores) >= 8
    found = FLAVOURS["cpu-upgrade" if many else "cpu-basic"]
    return Place(found if public else replace(found, flavour="local", price=0.0), public, models)


def _gpu_name(gpus: Path) -> str:
    """What the driver calls the first card, empty if there is none."""
    for path in sorted(gpus.glob("*/information")):
        for line in path.read_text(encoding="utf-8").splitlines():
            label, _, value = line.partition(":")
            if label.strip() == "Model":
                return value.strip()
    return ""


def _card(name: str) -> Hardware:
    """Finds a card by the words of its name, so that an L40S is no L4."""
    words = name.replace("-", " ").split()
    known = [f for f in (*FLAVOURS.values(), *_OTHERS) if f.gpu and not f.lent]
    for found in known:
        if found.gpu in words:
            return found
    return replace(_UNKNOWN_GPU, label=name)
