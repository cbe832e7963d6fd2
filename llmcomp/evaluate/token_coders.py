"""How others code with a language model, token by token: yardsticks for `bench --speed`.

In: a stock model and chunks of tokens. Out: their bits, and the tokens back. Both ways are written
from their descriptions, take the same model in float32, and really decode; only zero shares of the
line, on which the originals fail, are lifted to one part in 2^30.

- `whole_pass`, system 000: chunks apart, every token asks for one whole pass over all tokens before
  it, without a cache; softmax in float32, cumulative sums in NumPy; the first token of a chunk is
  handed over beside the bits.
- `cached`, as gptzip and llama-zip: one lane, one cached step a token; a window that is full starts
  anew.

References:
    [000] J. Matyas, LLM-compressor, https://github.com/julmaty/LLM-compressor (2025), commit
        66a7dff.
    [WNC87] Witten, Neal, Cleary, Arithmetic coding for data compression, CACM 30(6), 1987.
    [gptzip] J. Morris, https://github.com/jxmorris12/gptzip.
    [llama-zip] A. Buzanis, https://github.com/AlexBuz/llama-zip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModelForCausalLM

__all__ = ["BitDecoder", "BitEncoder", "TokenCoder", "cached", "load", "whole_pass"]

_TOTAL = 1 << 30
_TOP = 1 << 32
_HALF, _QUARTER = _TOP >> 1, _TOP >> 2

Cumulative = npt.NDArray[np.int64]
"""int64[V + 1], rising from 0 to `_TOTAL`: a token's share of the line lies between two entries."""

Predict = Callable[[Sequence[int]], Cumulative]
"""Gives the shares of the next token after all that stand before it."""


class BitEncoder:
    """The integer coder of [WNC87] with 32-bit registers, as [000] has it."""

    def __init__(self) -> None:
        self.bits: list[int] = []
        self._low, self._high, self._pending = 0, _TOP - 1, 0

    def push(self, start: int, stop: int) -> None:
        """Narrows to ``[start, stop)`` of `_TOTAL`."""
        width = self._high - self._low + 1
        self._high = self._low + width * stop // _TOTAL - 1
        self._low += width * start // _TOTAL
        while True:
            if self._high < _HALF:
                self._settle(0)
            elif self._low >= _HALF:
                self._settle(1)
                self._low, self._high = self._low - _HALF, self._high - _HALF
            elif self._low >= _QUARTER and self._high < _HALF + _QUARTER:
                self._pending += 1
                self._low, self._high = self._low - _QUARTER, self._high - _QUARTER
            else:
                return
            self._low, self._high = 2 * self._low, 2 * self._high + 1

    def finish(self) -> list[int]:
        """Writes what tells the last interval from all others, and 32 more bits as [000] does."""
        self._pending += 1
        self._settle(int(self._low >= _QUARTER))
        self.bits += [self._low >> k & 1 for k in range(31, -1, -1)]
        return self.bits

    def _settle(self, bit: int) -> None:
        self.bits += [bit, *[1 - bit] * self._pending]
        self._pending = 0


class BitDecoder:
    """Reads what `BitEncoder` wrote; past the end it reads zeros."""

    def __init__(self, bits: Sequence[int]) -> None:
        self._bits = iter(bits)
        self._low, self._high, self._value = 0, _TOP - 1, 0
        for _ in range(32):
            self._shift_in()

    def pull(self, cumulative: Cumulative) -> int:
        """Finds the symbol in whose share the value lies, and narrows to it."""
        width = self._high - self._low + 1
        place = ((self._value - self._low + 1) * _TOTAL - 1) // width
        symbol = int(np.searchsorted(cumulative, place, side="right")) - 1
        start, stop = int(cumulative[symbol]), int(cumulative[symbol + 1])
        self._high = self._low + width * stop // _TOTAL - 1
        self._low += width * start // _TOTAL
        while True:
            if self._high < _HALF:
                away = 0
            elif self._low >= _HALF:
                away = _HALF
            elif self._low >= _QUARTER and self._high < _HALF + _QUARTER:
                away = _QUARTER
            else:
                return symbol
            self._low, self._high = 2 * (self._low - away), 2 * (self._high - away) + 1
            self._value -= away
            self._shift_in()

    def _shift_in(self) -> None:
        self._value = 2 * self._value + next(self._bits, 0)


class TokenCoder:
    """Codes chunks token by token."""

    def __init__(self, way: Callable[[Any], Predict], model: Any) -> None:
        """Takes a way of predicting, `whole_pass` or `cached`, and the model for it."""
        self._way, self._model = way, model

    def encode(self, tokens: Sequence[int], known: int = 1) -> list[int]:
        """Returns a chunk's bits; its first ``known`` tokens are not among them."""
        encoder, predict = BitEncoder(), self._way(self._model)
        for at in range(known, len(tokens)):
            cumulative = predict(tokens[:at])
            encoder.push(int(cumulative[tokens[at]]), int(cumulative[tokens[at] + 1]))
        return encoder.finish()

    def decode(self, bits: Sequence[int], known: Sequence[int], n_tokens: int) -> list[int]:
        """Returns the chunk of ``n_tokens`` tokens that begins with the known ones."""
        decoder, predict, tokens = BitDecoder(bits), self._way(self._model), list(known)
        while len(tokens) < n_tokens:
            tokens.append(decoder.pull(predict(tokens)))
        return tokens


def load(directory: Path) -> Any:
    """Loads a stock checkpoint as the originals do: float32, the library's own attention."""
    return AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, local_files_only=True
    ).eval()


def whole_pass(model: Any) -> Predict:
    """Predicts by a whole pass over all that stands before, as system 000 does."""

    def predict(tokens: Sequence[int]) -> Cumulative:
        seen = tokens[-(model.config.max_position_embeddings - 1) :]
        with torch.inference_mode():
            logits = model(torch.tensor([seen]), use_cache=False).logits[0, -1]
        return _cumulative(logits)

    return predict


def cached(model: Any) -> Predict:
    """Predicts by one cached step; tokens must come one after the other, from the first on."""
    cache: Any = None

    def predict(tokens: Sequence[int]) -> Cumulative:
        nonlocal cache
        if len(tokens) % model.config.max_position_embeddings == 1:
            cache = None
        with torch.inference_mode():
            found = model(torch.tensor([tokens[-1:]]), past_key_values=cache, use_cache=True)
        cache = found.past_key_values
        return _cumulative(found.logits[0, -1])

    return predict


def _cumulative(logits: torch.Tensor) -> Cumulative:
    """Turns logits [V] into shares of `_TOTAL`, no token without one."""
    pmf = torch.softmax(logits, -1).numpy()
    edges = np.floor(np.cumsum(pmf.astype(np.float64)) * (_TOTAL - len(pmf))).astype(np.int64)
    edges = np.minimum(edges, _TOTAL - len(pmf))
    edges[-1] = _TOTAL - len(pmf)
    return np.concatenate([[0], edges + np.arange(1, len(pmf) + 1)])
