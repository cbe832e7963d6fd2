"""The machines of the Hub side by side, for documents.

In: the tables of ``hardware`` and the estimates of ``cost``. Out: one Markdown table.
"""

from __future__ import annotations

from llmcomp.models.registry import REGISTRY, Registered
from llmcomp.pace import in_words
from llmcomp.space.cost import BYTES_PER_TOKEN, SAMPLE_BYTES, estimate, memory_bytes
from llmcomp.space.hardware import FLAVOURS, Hardware
from llmcomp.space.limits import limits_of
from llmcomp.space.offer import fits

__all__ = ["table"]

_MODELS = ("smollm2-135m", "qwen2.5-0.5b", "open-llama-3b")


def table() -> str:
    """Renders every flavour: memory, price, float64, profile, limits, seconds for 4,000 bytes."""
    heads = ["hardware", "machine", "memory", "US$/h", "float64", "Hub models", "tokens", "seconds"]
    heads += [f"`{name}`" for name in _MODELS]
    lines = [
        f"| {' | '.join(heads)} |",
        f"|---|---|---:|---:|---:|---|---:|---:|{'---:|' * len(_MODELS)}",
    ]
    lines += [_row(machine) for machine in FLAVOURS.values()]
    return "\n".join(lines)


def _row(machine: Hardware) -> str:
    limits = limits_of(machine)
    price = f"{machine.price:.2f}" if machine.price else "0"
    cells = [
        f"`{machine.flavour}`",
        machine.label,
        f"{machine.memory_bytes / 1e9:.0f} GB",
        price,
        f"1/{1 / machine.float64_share:.0f}",
        f"tolerant, {machine.dtype}",
        f"{limits.tokens:,}",
        f"{limits.hub_seconds:,}",
        *(_seconds(REGISTRY[name], machine) for name in _MODELS),
    ]
    return f"| {' | '.join(cells)} |"


def _seconds(model: Registered, machine: Hardware) -> str:
    if not fits(model, machine):
        return f"{memory_bytes(model, machine.dtype) / 1e9:.0f} GB do not fit"
    took = estimate(model, machine, machine.dtype, SAMPLE_BYTES / BYTES_PER_TOKEN).compress
    return in_words(took)
