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
from llmcomp.steering.soft_prompt import MAX_SCALE, SoftPrompt, placed, snapped_scale

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
    "through_record",
]

DEFAULT_TEXT = "This is Wikipedia html"
"""System 000's fixed string."""

_MAX_TOKENS = 1 << 16
_SHOWN_BYTES = 60
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
            ValueError: if the model's context has no room for it.
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
    """A fixed string, as tokens that are given and never coded.

    Attributes:
        text: any bytes.
    """

    text: bytes = DEFAULT_TEXT.encode()
    number: ClassVar[int] = 1
    kind: ClassVar[str] = "text"
    prompt_bits: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if not isinstance(self.text, bytes):
            raise TypeError(f"the string is a {type(self.text).__name__}; wanted bytes")

    def pack(self) -> bytes:
        """Writes the string."""
        return self.text

    def prompt(self, model: LanguageModel) -> Float64Array:
        """Looks up the string's tokens."""
        most = model.context_length * max(map(len, model.tokenizer.token_bytes))
        if len(self.text) > most:  # before it takes time and memory
            raise ValueError(
                f"a string of {len(self.text):,} bytes; {model.name} takes at most {most:,}"
            )
        tokens = model.tokenizer.encode(self.text)
        if len(tokens) > model.context_length:
            raise ValueError(
                f"a string of {len(tokens):,} tokens; {model.name} has {model.context_length}"
            )
        return model.embed(tokens)

    def __str__(self) -> str:
        shown = self.text[:_SHOWN_BYTES].decode("utf-8", "backslashreplace")
        return f"text {shown!r}" + " …" * (len(self.text) > _SHOWN_BYTES)


@dataclass(frozen=True, slots=True)
class RandomSteering:
    """A static soft prompt: normal noise that a seed determines.

    Attributes:
        n_virtual_tokens: vectors.
        seed: 0 to 2**64 - 1.
        scale: standard deviation, rounded to a multiple of ``2**-14``; system 000's is 1.

    Raises:
        ValueError: if a number is out of its range.
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
        object.__setattr__(self, "scale", snapped_scale(self.scale))

    def pack(self) -> bytes:
        """Writes length, seed and scale."""
        return varint(self.n_virtual_tokens) + varint(self.seed) + _pack_scale(self.scale)

    def prompt(self, model: LanguageModel) -> Float64Array:
        """Draws the noise: Philox's integers, then an exact normal quantile of each."""
        if self.n_virtual_tokens > model.context_length:  # before it takes time and memory
            raise ValueError(
                f"{self.n_virtual_tokens:,} virtual tokens; {model.name}'s context is "
                f"{model.context_length}"
            )
        shape = (self.n_virtual_tokens, model.hidden_size)
        bits = np.random.Philox(key=self.seed).random_raw(shape[0] * shape[1])
        uniform = ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        return placed(normal_quantile(uniform).reshape(shape), self.scale)

    def __str__(self) -> str:
        return f"random, {self.n_virtual_tokens} virtual tokens, seed {self.seed}"


@dataclass(frozen=True, slots=True, eq=False)
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
        return cls(coded.values, soft.scale, f"{prior.name} {prior.levels}", coded, soft)

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


def through_record(steering: Steering, model: LanguageModel) -> Steering:
    """Writes a way of steering and reads it back: an encoder must see what a decoder will.

    Raises:
        ModelError: if it was made for another model.
        ValueError: if it does not fit the model or the format.
    """
    steering.prompt(model)
    try:
        return read_record(steering.number, steering.pack(), model)
    except FormatError as error:
        raise ValueError(f"steering ({steering}) cannot be written: {error}") from None


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
    head = _read_head(number, record)
    if isinstance(head, NoSteering | TextSteering | RandomSteering):
        return head
    if head.n_virtual_tokens > model.context_length:
        raise FormatError(
            f"{head.n_virtual_tokens} virtual tokens; {model.name}'s context is "
            f"{model.context_length}"
        )
    reader = Reader(record[head.vector_at :])
    shape = (head.n_virtual_tokens, model.hidden_size)
    try:
        values = priors.decode(head.prior, reader, shape)
    except DamagedError:
        raise FormatError("the steering record is shorter than what it announces") from None
    _require_end(reader, len(record) - head.vector_at)
    return TrainedSteering(values, head.scale, head.words)


def describe(number: int, record: bytes) -> str:
    """Says in a few words what a record holds, as far as that needs no model.

    Raises:
        FormatError: if the record contradicts its kind.
        VersionError: if kind or hyper-prior are unknown here.
    """
    return str(_read_head(number, record))


@dataclass(frozen=True, slots=True)
class _TrainedHead:
    """What can be read of a trained prompt's record without the model."""

    n_virtual_tokens: int
    scale: float
    prior: int
    words: str
    vector_at: int

    def __str__(self) -> str:
        return f"trained, {self.n_virtual_tokens} virtual tokens, {self.words}"


def _read_head(
    number: int, record: bytes
) -> NoSteering | TextSteering | RandomSteering | _TrainedHead:
    if number == NoSteering.number:
        return NoSteering()
    if number == TextSteering.number:
        return TextSteering(record)
    if number not in {RandomSteering.number, TrainedSteering.number}:
        raise VersionError(f"steering kind {number} is unknown here; update llmcomp")
    reader = Reader(record)
    try:
        n_virtual_tokens = reader.varint("the number of virtual tokens", _MAX_TOKENS)
        if n_virtual_tokens == 0:
            raise FormatError("a soft prompt of no virtual tokens; the blob is damaged or foreign")
        if number == RandomSteering.number:
            seed = reader.varint("the seed", _MAX_SEED)
            found = RandomSteering(n_virtual_tokens, seed, _read_scale(reader))
            _require_end(reader, len(record))
            return found
        scale, prior, at = _read_scale(reader), reader.byte(), reader.at
        return _TrainedHead(n_virtual_tokens, scale, prior, _prior_words(prior, reader), at)
    except DamagedError:
        raise FormatError("the steering record is shorter than what it announces") from None


def _require_end(reader: Reader, length: int) -> None:
    if reader.at != length:
        raise FormatError(f"{length - reader.at} bytes follow the steering record")


def _pack_scale(scale: float) -> bytes:
    return varint(round(scale * 2**WEIGHT_GRID))


def _read_scale(reader: Reader) -> float:
    units = reader.varint("the scale", int(MAX_SCALE) << WEIGHT_GRID)
    if units == 0:
        raise FormatError("a soft prompt of scale 0; the blob is damaged or foreign")
    return units * 2.0**-WEIGHT_GRID


def _prior_words(number: int, reader: Reader) -> str:
    """Names a hyper-prior and its levels, which every prior's metadata begin with."""
    for name, prior in priors.PRIORS.items():
        if prior.number == number:
            return f"{name} {reader.varint('the number of levels', priors.MAX_LEVELS)}"
    raise VersionError(f"hyper-prior {number} is unknown here; update llmcomp")
