"""Which models a page offers here, and the honest line about each.

In: the place and the registry. Out: offers with parameters, memory, profile and seconds for the
text at hand; and the registered model that a blob names, or a refusal before anything is asked of
anybody.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmcomp.errors import ModelError
from llmcomp.models import ASSETS, resolve
from llmcomp.models.registry import REGISTRY, Registered, named_by
from llmcomp.models.size import size_of
from llmcomp.pace import in_words
from llmcomp.space.cost import BYTES_PER_TOKEN, Learned, estimate, memory_bytes
from llmcomp.space.hardware import FLAVOURS, Hardware, Place

__all__ = ["LEARNED", "SHIPPED", "Offer", "fits", "model_of_blob", "offers", "seconds_for"]

SHIPPED = ("embedded", "nano")
"""Models that are in the repository; they compute alike everywhere, on the processor."""

LEARNED = Learned()
"""What this process has learned about its own speed."""

_SHIPPED_FOR = {
    "embedded": "its files decode on every machine",
    "nano": "small enough for a browser",
}
_INSTEAD = FLAVOURS["t4-small"]
"""What is told of to people who have no GPU: the cheapest one of one's own."""

_USUAL_BYTES = 1000  # what is priced as long as there is no text

_MEMORY_SHARE = 0.9  # of all; the rest is the driver's and the allocator's


@dataclass(frozen=True, slots=True)
class Offer:
    """A model, as a page shows it.

    Attributes:
        name: registry name.
        model: its entry, None for a shipped one.
        dtype: what it computes in here.
        profile: how its files come to decode elsewhere.
        why_not: empty if it may be used here, else the reason.
    """

    name: str
    model: Registered | None
    dtype: str
    profile: str
    why_not: str = ""

    def line(self, n_bytes: int, place: Place) -> str:
        """Says what a model costs for a text of so many bytes, or what it would cost elsewhere."""
        if self.model is None:
            n_parameters = size_of(ASSETS / resolve(self.name)).n_parameters
            return (
                f"{n_parameters / 1e6:.1f} M parameters, on the processor; "
                f"{_SHIPPED_FOR[self.name]}."
            )
        words = f"{self.model.n_parameters / 1e6:,.0f} M parameters"
        text = "this text" if n_bytes else f"{_USUAL_BYTES:,} bytes"
        n_tokens = (n_bytes or _USUAL_BYTES) / BYTES_PER_TOKEN
        if not self.why_not:
            gigabytes = memory_bytes(self.model, self.dtype) / 1e9
            took = seconds_for(self.model, place, self.dtype, n_tokens)
            return (
                f"{words}, {gigabytes:.1f} GB of memory, profile {self.profile} in {self.dtype}; "
                f"about {in_words(max(1.0, took))} for {text} on {place.hardware.label}."
            )
        there = _INSTEAD
        took = estimate(self.model, there, there.dtype, n_tokens).compress
        return (
            f"{words}. Not here: {self.why_not}. On {there.label} (${there.price:.2f} an hour) "
            f"{text} would take about {in_words(max(1.0, took))}."
        )


def offers(place: Place) -> list[Offer]:
    """Lists all models, the shipped ones first; those that cannot be used here say why."""
    shipped = [Offer(name, None, "float64", "fixed") for name in SHIPPED]
    dtype = place.hardware.dtype
    return [
        *shipped,
        *(
            Offer(model.name, model, dtype, "tolerant", _why_not(model, dtype, place))
            for model in REGISTRY.values()
        ),
    ]


def seconds_for(
    model: Registered, place: Place, dtype: str, n_tokens: float, preset: str = "balanced"
) -> float:
    """Estimates a compression here, with what earlier jobs have taught; decoding takes less."""
    found = estimate(model, place.hardware, dtype, n_tokens, preset)
    return found.compress * LEARNED.factor(model.name)


def fits(model: Registered, machine: Hardware, dtype: str | None = None) -> bool:
    """Tells whether a model at work fits into a machine's memory."""
    needed = memory_bytes(model, dtype or machine.dtype)
    return needed <= _MEMORY_SHARE * machine.memory_bytes


def model_of_blob(source: str, place: Place) -> Registered:
    """Finds the registered model that a blob names.

    Args:
        source: ``owner/name@commit``.
        place: where it is to be decoded.

    Raises:
        ModelError: if it is no registered one, or not offered here.
    """
    model = named_by(source)
    if model is None:
        raise ModelError(
            f"the file was made with {source}, which is none of the models this page knows; "
            "decode it on the command line, with that model"
        )
    why_not = _why_not(model, place.hardware.dtype, place)
    if why_not:
        raise ModelError(
            f"the file was made with {model.name}, which is not offered here: {why_not}; decode it "
            "on the command line"
        )
    return model


def _why_not(model: Registered, dtype: str, place: Place) -> str:
    if model.revision is None and place.public:
        return "no commit of it is pinned"
    needed = memory_bytes(model, dtype)
    if needed > _MEMORY_SHARE * place.hardware.memory_bytes:
        there = place.hardware.memory_bytes / 1e9
        return (
            f"it takes {needed / 1e9:.0f} GB of memory and {place.hardware.label} has {there:.0f}"
        )
    if model.name not in place.models:
        if place.public:
            return "this Space does not have it"
        return f"start the app with LLMCOMP_MODELS={model.name} to have it"
    return ""
