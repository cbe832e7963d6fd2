"""What can stand in front of a text, and how a blob says so.

In: a string, a seed, or a trained soft prompt under a hyper-prior. Out: the record that a blob's
header carries, and from it the vectors that the decoder puts in front of every window. Knows
nothing of windows, coders of text or training.

A record's bytes, by kind (`llmcomp.container` frames them with number and length)::

    1 text      the string's bytes
    2 random    n_virtual_tokens, seed, scale        3 varints
    3 trained   n_virtual_tokens, scale              2 varints
                prior                                1 byte, then what `priors.decode` reads

``scale`` is in units of ``2**-14``. The hidden width is the model's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from llmcomp.container import Reader, varint
from llmcomp.errors import DamagedError, FormatError, VersionError
from llmcomp.exact import normal_quantile
from llmcomp.models.base import LanguageModel
from llmcomp.models.grid import WEIGHT_GRID, Float64Array
from llmcomp.steering import priors
from llmcomp.steering.priors import CodedVector, HyperPrior
from llmcomp.steering.soft_prompt import SoftPrompt, placed

__all__ = [
    "DEFAULT_TEXT",
    "NoSteering",
    "RandomSteering",
    "Steering",
    "TextSteering",
    "TrainedSteering",
    "describe",
    "read_record",
    "steer",
]

DEFAULT_TEXT = "This is Wikipedia html"
"""System 000's fixed string."""

_SCALE_UNIT = 2.0**-WEIGHT_GRID
_MAX_SCALE = 1 << 2 * WEIGHT_GRID
_MAX_TOKENS = 1 << 16
_MAX_SEED = (1 << 64) - 1


class Steering(Protocol):
    """One way of steering.

    Attributes:
        number: as it stands in blobs: add, never renumber.
        kind: its name.
    """

    number: ClassVar[int]
    kind: ClassVar[str]

    @property
    def prompt_bits(self) -> int:
        """Bits of the record that are a coded vector; the rest says how to read it."""

    def pack(self) -> bytes:
        """Writes the record."""

    def prompt(self, model: LanguageModel) -> Float64Array:
        """Makes the vectors, float64[n_virtual_tokens, hidden], the same on every machine.

        Raises:
            ModelError: if it was made for another model.
        """

    def __str__(self) -> str:
        """Says in a few words what it is."""


@dataclass(frozen=True, slots=True)
class NoSteering:
    """Nothing in front of the text; it costs nothing."""

    number: ClassVar[int] = 0
    kind: ClassVar[str] = "none"
    prompt_bits: ClassVar[int] = 0

    def pack(self) -> bytes:
        """Writes nothing."""
        return b""

    def prompt(self, model: LanguageModel) -> Float64Array:
        """Makes no vectors."""
        return np.empty((0, model.hidden_size))

    def __str__(self) -> str:
        return "none"


@dataclass(frozen=True, slots=True)
class TextSteering:
    """A fixed string, as tokens that are given and never coded."""

    text: bytes = DEFAULT_TEXT.encode()
    number: ClassVar[int] = 1
    kind: ClassVar[str] = "text"
    prompt_bits: ClassVar[int] = 0

    def pack(self) -> bytes:
        """Writes the string."""
        return self.text

    def prompt(self, model: LanguageModel) -> Float64Array:
        """Looks up the string's tokens."""
        return model.embed(model.tokenizer.encode(self.text))

    def __str__(self) -> str:
        return f"text {self.text.decode('utf-8', 'backslashreplace')!r}"


@dataclass(frozen=True, slots=True)
class RandomSteering:
    """A static soft prompt: normal noise that a seed determines.

    Attributes:
        n_virtual_tokens: vectors.
        seed: 0 to 2**64 - 1.
        scale: standard deviation, a multiple of ``2**-14``; system 000's is 1.
    """

    n_virtual_tokens: int = 200
    seed: int = 0
    scale: float = 1.0
    number: ClassVar[int] = 2
    kind: ClassVar[str] = "random"
    prompt_bits: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if not 1 <= self.n_virtual_tokens <= _MAX_TOKENS:
            raise ValueError(f"{self.n_virtual_tokens} virtual tokens; wanted 1 to {_MAX_TOKENS:,}")
        if not 0 <= self.seed <= _MAX_SEED:
            raise ValueError(f"seed is {self.seed}; wanted 0 to 2**64 - 1")

    def pack(self) -> bytes:
        """Writes length, seed and scale."""
        return varint(self.n_virtual_tokens) + varint(self.seed) + _pack_scale(self.scale)

    def prompt(self, model: LanguageModel) -> Float64Array:
        """Draws the noise: Philox's integers, then an exact normal quantile of each."""
        shape = (self.n_virtual_tokens, model.hidden_size)
        bits = np.random.Philox(key=self.seed).random_raw(shape[0] * shape[1])
        uniform = ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        return placed(normal_quantile(uniform).reshape(shape), self.scale)

    def __str__(self) -> str:
        return f"random, {self.n_virtual_tokens} virtual tokens, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class TrainedSteering:
    """A trained soft prompt as a hyper-prior codes it; the text is coded under the same values.

    Attributes:
        values: float64[n_virtual_tokens, hidden], as the decoder reconstructs them.
        scale: the model sees ``scale`` times the values.
        prior: name of the hyper-prior and its levels, in words.
        coded: what the encoder knows beside that, None in a decoder.
        soft: the prompt that was coded, None in a decoder: there the blob's own fingerprint says
            which model it is for.
    """

    values: Float64Array
    scale: float
    prior: str
    coded: CodedVector | None = None
    soft: SoftPrompt | None = None
    number: ClassVar[int] = 3
    kind: ClassVar[str] = "trained"

    @classmethod
    def coding(cls, soft: SoftPrompt, prior: HyperPrior) -> TrainedSteering:
        """Codes a soft prompt under a hyper-prior."""
        coded = prior.encode(soft.vector)
        words = _prior_words(prior.number, Reader(coded.pack()))
        return cls(coded.values, soft.scale, words, coded, soft)

    @property
    def prompt_bits(self) -> int:
        """Bits of the record that are the coded vector."""
        return 8 * len(self.coded.payload) if self.coded else 0

    def pack(self) -> bytes:
        """Writes length, scale, prior and the coded vector.

        Raises:
            ValueError: in a decoder, which has no use for it.
        """
        if self.coded is None:
            raise ValueError("only what an encoder made can be written")
        head = varint(len(self.values)) + _pack_scale(self.scale)
        return head + bytes([self.coded.prior.number]) + self.coded.pack()

    def prompt(self, model: LanguageModel) -> Float64Array:
        """Scales the reconstructed values, never the ones that were trained."""
        if self.soft is not None:
            self.soft.require(model)
        return placed(self.values, self.scale)

    def __str__(self) -> str:
        return f"trained, {len(self.values)} virtual tokens, {self.prior}"


def steer(model: LanguageModel, steering: Steering) -> LanguageModel:
    """Puts a prompt in front of everything a model sees.

    Raises:
        ModelError: if the prompt was made for another model.
        ValueError: if the model's context has no room for it.
    """
    if isinstance(steering, NoSteering):
        return model
    return model.steered(steering.prompt(model))


def read_record(number: int, record: bytes, model: LanguageModel) -> Steering:
    """Reads what a blob's header says of steering.

    Args:
        number: the kind's.
        record: its bytes.
        model: the model the blob names.

    Raises:
        FormatError: if the record contradicts its kind.
        VersionError: if kind or hyper-prior are unknown here.
    """
    if number == NoSteering.number:
        return NoSteering()
    if number == TextSteering.number:
        return TextSteering(record)
    reader = Reader(record)
    try:
        found = _read_soft(number, reader, model)
    except DamagedError as error:
        raise FormatError(f"the steering record contradicts itself: {error}") from None
    if reader.at != len(record):
        raise FormatError(f"{len(record) - reader.at} bytes follow the steering record")
    return found


def _read_soft(number: int, reader: Reader, model: LanguageModel) -> Steering:
    n_virtual_tokens = _read_length(reader, model.context_length)
    if number == RandomSteering.number:
        return RandomSteering(
            n_virtual_tokens, reader.varint("the seed", _MAX_SEED), _read_scale(reader)
        )
    if number != TrainedSteering.number:
        raise VersionError(f"steering kind {number} is unknown here; update llmcomp")
    scale = _read_scale(reader)
    prior, start = reader.byte(), reader.at
    words = _prior_words(prior, reader)
    reader.at = start
    values = priors.decode(prior, reader, (n_virtual_tokens, model.hidden_size))
    return TrainedSteering(values, scale, words)


def describe(number: int, record: bytes) -> str:
    """Says in a few words what a record holds, as far as that needs no model.

    Raises:
        LLMCompError: as `read_record` does.
    """
    if number == NoSteering.number:
        return str(NoSteering())
    if number == TextSteering.number:
        return str(TextSteering(record))
    reader = Reader(record)
    n_virtual_tokens = _read_length(reader, _MAX_TOKENS)
    if number == RandomSteering.number:
        return str(RandomSteering(n_virtual_tokens, reader.varint("the seed", _MAX_SEED)))
    if number == TrainedSteering.number:
        _read_scale(reader)
        words = _prior_words(reader.byte(), reader)
        return f"trained, {n_virtual_tokens} virtual tokens, {words}"
    raise VersionError(f"steering kind {number} is unknown here; update llmcomp")


def _pack_scale(scale: float) -> bytes:
    return varint(round(scale / _SCALE_UNIT))


def _read_scale(reader: Reader) -> float:
    return reader.varint("the scale", _MAX_SCALE) * _SCALE_UNIT


def _read_length(reader: Reader, limit: int) -> int:
    length = reader.varint("the number of virtual tokens", limit)
    if length == 0:
        raise FormatError("a soft prompt of no virtual tokens; the blob is damaged or foreign")
    return length


def _prior_words(number: int, reader: Reader) -> str:
    """Names a hyper-prior and its levels, which every prior's metadata begin with."""
    for name, prior in priors.PRIORS.items():
        if prior.number == number:
            return f"{name} {reader.varint('the number of levels', priors.MAX_LEVELS)}"
    raise VersionError(f"hyper-prior {number} is unknown here; update llmcomp")
