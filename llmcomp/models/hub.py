"""Other people's models: any supported transformers checkpoint as a `LanguageModel`.

In: a directory, a Hub id or a registry name. Out: a model over compact ids (see
`llmcomp.hub_tokens`) whose logits are float64, in parallel or cached. Torch is loaded with the
first model and stays out of what comes and goes: NumPy in, NumPy out.

Unlike the runner of profile ``fixed``, two passes agree only nearly. In float64 they differ by
about 1e-14, in float32 by 1e-6 to 1e-4; what makes a blob decode nevertheless is the business of
the profiles named by `HubModel.profiles`.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llmcomp.decisions import DecisionTree
from llmcomp.errors import ModelError
from llmcomp.hub_tokens import ESCAPE, HubTokenizer
from llmcomp.models.base import Float64Array, Tokens
from llmcomp.models.margins import stored_margin
from llmcomp.models.size import size_of
from llmcomp.models.sources import Checkout, Report, Source, weight_files
from llmcomp.tokens import Tokenizer, byte_letters

if TYPE_CHECKING:
    from torch import Tensor

    from llmcomp.models.stock import KeyValues, StockModel

__all__ = ["HubModel", "HubSession", "load_hub_model"]

MIN_ROOM = 16  # positions a steering prompt must leave for text
ESCAPE_NATS = 14.0
"""How far below the likeliest token an escape stands: 21 of them take 2e-5 of the mass."""

_LOGIT_BLOCK = 256  # positions whose logits are yielded at a time ...
_LOGIT_ENTRIES = 1 << 24  # ... unless the vocabulary is large: at most 128 MiB
_PREFILL_TOKENS = 4096  # positions of a session's context that are run at a time
_PROBE_LENGTH = 12
_AGREEMENT = {"float64": 1e-9, "float32": 1e-3, "bfloat16": 0.1, "int8": 1e-3}
"""How far a cached pass may be from a parallel one, relative to the largest logit."""

_SAFETY = 8.0
"""Two machines may differ by more than two passes on one: other kernels, other devices."""

_ARITHMETIC = (
    "model_type",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "n_inner",
    "max_position_embeddings",
    "vocab_size",
    "hidden_act",
    "activation_function",
    "rms_norm_eps",
    "layer_norm_eps",
    "layer_norm_epsilon",
    "rope_parameters",
    "use_parallel_residual",
    "attention_bias",
    "mlp_bias",
    "scale_attn_weights",
    "scale_attn_by_inverse_layer_idx",
    "tie_word_embeddings",
)
"""The fields of a configuration that decide what is computed."""


class HubModel:
    """A Hub model; see `llmcomp.models.base.LanguageModel`.

    Attributes:
        directory: where its files lie.
        repository: its Hub id, None for a directory given by hand.
        revision: the commit it was downloaded at, None for a directory given by hand.
        device: where it computes.
        tokenizer: a `HubTokenizer`, whose tables lead from compact ids to the model's.
    """

    def __init__(
        self, files: Checkout, config: Any, tokenizer: HubTokenizer, stock: StockModel
    ) -> None:
        """Puts the parts together and checks that both passes agree.

        Args:
            files: where they lie, and where they come from.
            config: the model's configuration.
            tokenizer: made for it.
            stock: its layers, with the logit columns of the tokenizer's tokens.

        Raises:
            ModelError: if the passes differ, or logits are not finite.
        """
        self.name = files.name
        self.number = 0
        self.directory = files.directory
        self.repository = files.repository
        self.revision = files.revision
        self.tokenizer: Tokenizer = tokenizer
        self._feed_ids = tokenizer.feed_ids
        self.start_token = len(tokenizer.token_bytes)
        self.context_length = int(config.max_position_embeddings)
        self.hidden_size = stock.hidden_size
        self.n_virtual_tokens = 0
        self.dtype = stock.dtype
        self.size = size_of(files.directory)
        self.device = stock.device
        self.source = f"{files.repository}@{files.revision}" if files.repository else ""
        coarse = stock.dtype == "bfloat16"
        self.profiles: Sequence[str] = ("replay",) if coarse else ("tolerant", "replay")
        self._stock = stock
        self._prompt: Tensor | None = None
        self.margin = max(self._check_passes(), stored_margin(self.source, self.dtype))
        self.fingerprint = _digest(self.directory, config, tokenizer)
        self.tree = DecisionTree.build(tokenizer.token_bytes, tokenizer.weights)

    def move(self, device: str) -> None:
        """Takes the weights to another device, where they are used from now on.

        The margin stays that of the device it was loaded on.
        """
        self._stock.move(device)
        self.device = self._stock.device

    @property
    def environment(self) -> str:
        """Everything that its numbers depend on, in words; threads may change at any time."""
        return self._stock.environment()

    def embed(self, tokens: Tokens) -> Float64Array:
        """Looks tokens up: int64[T] -> float64[T, hidden_size]."""
        found: Float64Array = self._embedded(tokens).double().cpu().numpy()
        return found

    def steered(self, prompt: Float64Array) -> HubModel:
        """Returns this model with a prompt in front of every row's tokens, in place of any.

        Args:
            prompt: float64[P, hidden_size], any finite vectors.

        Raises:
            ValueError: if the prompt has another width, is not finite, or leaves less than 16
                positions of the context.
        """
        if prompt.ndim != 2 or prompt.shape[1] != self.hidden_size:
            raise ValueError(
                f"the prompt's shape is {list(prompt.shape)}; wanted [n, {self.hidden_size}]"
            )
        context = self.context_length + self.n_virtual_tokens
        if len(prompt) > context - MIN_ROOM:
            raise ValueError(
                f"{len(prompt)} virtual tokens leave less than {MIN_ROOM} of the "
                f"{context} positions for text"
            )
        if not np.isfinite(prompt).all():
            raise ValueError("a prompt has to be finite")
        steered = copy.copy(self)
        steered._prompt = self._stock.vectors(prompt)
        steered.n_virtual_tokens = len(prompt)
        steered.context_length = context - len(prompt)
        return steered

    def score(self, rows: Tokens) -> Iterator[tuple[int, int, Float64Array]]:
        """Runs rows in parallel; rows shorter than the others may end in any tokens.

        Raises:
            ValueError: if rows are empty or longer than the context.
        """
        if not 0 < rows.shape[1] <= self.context_length:
            raise ValueError(
                f"a row has {rows.shape[1]} tokens; this model takes 1 to {self.context_length}"
            )
        hidden = self._stock.hidden(self._inputs(rows))[:, self.n_virtual_tokens :]
        for row in range(len(rows)):
            for start in range(0, rows.shape[1], self._block):
                yield row, start, self._logits(hidden[row, start : start + self._block])

    def begin(self, rows: Tokens, room: int) -> tuple[HubSession, Float64Array]:
        """Starts a cached pass.

        Raises:
            ValueError: if the room is more than the context or less than the rows.
        """
        if not 1 <= rows.shape[1] <= room <= self.context_length:
            raise ValueError(
                f"room for {room} positions; wanted {max(1, rows.shape[1])} to "
                f"{self.context_length}"
            )
        cache = self._new_cache(len(rows), self.n_virtual_tokens + room)
        width = self.n_virtual_tokens + rows.shape[1]
        together = max(1, _PREFILL_TOKENS // width)
        last = []
        for lane in range(0, len(rows), together):
            cache.lanes = slice(lane, min(lane + together, len(rows)))
            hidden = self._stock.hidden(self._inputs(rows[cache.lanes]), cache)
            last.append(self._logits(hidden[:, -1]))
        cache.lanes = slice(0, len(rows))
        cache.advance(width)
        session = HubSession(self, cache, self.n_virtual_tokens + room)
        return session, np.concatenate(last)

    def loss(self, inputs: Tensor, labels: Tensor, prompt: Tensor | None = None) -> Tensor:
        """Mean cost of the next token as the coder has it, escapes included, in nats.

        Args:
            inputs: int64[B, T] compact ids, each row beginning with the start token.
            labels: int64[B, T] on the model's device, the token after each input; below 0 it does
                not count.
            prompt: [P, hidden_size], put between every row's start token and the rest of it in
                place of any other; gets a gradient if it requires one.

        Returns:
            Scalar, ready for ``backward()``.
        """
        import torch
        from torch.utils.checkpoint import checkpoint

        hidden = self._stock.hidden(self._inputs(inputs.cpu().numpy(), prompt))
        hidden, labels = hidden[:, -labels.shape[1] :].flatten(0, 1), labels.flatten()
        counted = labels >= 0
        blocks = zip(
            torch.split(hidden[counted], self._block),
            torch.split(labels[counted], self._block),
            strict=True,
        )
        # no more than a block's logits is ever held: the way back makes them again
        nats = [checkpoint(self._nats, *block, use_reentrant=False) for block in blocks]
        return torch.stack(nats).sum() / counted.sum()

    def _nats(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """What tokens cost after hidden states [N, D], in all."""
        import torch

        logits = self._stock.logits(hidden)
        lowered = logits.amax(1, keepdim=True) - ESCAPE_NATS
        n_escapes = len(self.tokenizer.token_bytes) - logits.shape[1]
        logits = torch.cat([logits, lowered.expand(-1, n_escapes)], 1)
        return torch.nn.functional.cross_entropy(logits, labels, reduction="sum")

    @property
    def _block(self) -> int:
        """Positions whose logits are made at a time."""
        return max(16, min(_LOGIT_BLOCK, _LOGIT_ENTRIES // len(self.tokenizer.token_bytes)))

    def _new_cache(self, n_lanes: int, room: int) -> KeyValues:
        from llmcomp.models.stock import KeyValues

        return KeyValues(self._stock.n_layers, n_lanes, room)

    def _embedded(self, tokens: Tokens) -> Tensor:
        """Embeddings of compact ids, the start token's included."""
        return self._stock.embed(self._feed_ids[tokens])

    def _inputs(self, rows: Tokens, prompt: Tensor | None = None) -> Tensor:
        """Embeddings of rows, with a prompt after every row's start token: [B, P + T, D]."""
        x = self._embedded(rows)
        prompt = self._prompt if prompt is None else prompt
        if prompt is None:
            return x
        P, D = prompt.shape
        inputs = x.new_empty((len(x), P + x.shape[1], D))
        inputs[:, :1], inputs[:, 1 : 1 + P], inputs[:, 1 + P :] = x[:, :1], prompt, x[:, 1:]
        return inputs

    def _logits(self, hidden: Tensor) -> Float64Array:
        """Logits of hidden states [N, D]: float64[N, V], the escapes' after the tokens'."""
        logits: Float64Array = self._stock.logits(hidden).cpu().numpy().astype(np.float64)
        n_escapes = len(self.tokenizer.token_bytes) - logits.shape[1]
        if not n_escapes:
            return logits
        escapes = np.repeat(logits.max(axis=1, keepdims=True) - ESCAPE_NATS, n_escapes, axis=1)
        return np.concatenate([logits, escapes], axis=1)

    def _check_passes(self) -> float:
        """Runs a few tokens in parallel and one by one.

        Returns:
            The margin: `_SAFETY` times the largest difference of log-odds that these logits
            allow, a part of `MARGINS`.

        Raises:
            ModelError: if the logits differ or are not finite.
        """
        length = min(_PROBE_LENGTH, self.context_length)
        tokens = np.arange(length, dtype=np.int64) * 7 % len(self.tokenizer.token_bytes)
        row = np.concatenate([[self.start_token], tokens[1:]])[None]
        whole = np.concatenate([logits for _, _, logits in self.score(row)])
        session, logits = self.begin(row[:, :1], length)
        steps = [logits, *(session.step(row[:, i]) for i in range(1, length))]
        if not np.isfinite(whole).all():
            raise ModelError(f"{self.name} gives logits that are not finite; its weights are bad")
        largest = float(np.abs(whole).max())
        difference = whole - np.concatenate(steps)
        apart = float(np.abs(difference).max())
        if not apart <= _AGREEMENT[self.dtype] * (1.0 + largest):
            raise ModelError(
                f"{self.name}: a cached pass differs from a parallel one by {apart:.1e} with "
                f"logits up to {largest:.1e}; such a model could not decode, take another"
            )
        spread = float((difference.max(axis=1) - difference.min(axis=1)).max())
        return min(max(_SAFETY * spread, 2.0**-30), 2.0**-4)


class HubSession:
    """A cached pass of B lanes at one common position."""

    def __init__(self, model: HubModel, cache: KeyValues, room: int) -> None:
        self._model = model
        self._cache = cache
        self._room = room

    def step(self, tokens: Tokens) -> Float64Array:
        """Feeds one token to each lane: int64[B] -> logits float64[B, V].

        Raises:
            ValueError: when the session's room is full.
        """
        if self._cache.length >= self._room:
            raise ValueError(f"the session's {self._room} positions are full; begin a new one")
        model = self._model
        hidden = model._stock.hidden(model._embedded(tokens[:, None]), self._cache)
        self._cache.advance(1)
        return model._logits(hidden[:, -1])


def load_hub_model(
    source: str,
    *,
    dtype: str = "float64",
    device: str = "cpu",
    attention: str = "eager",
    head: str | None = None,
    revision: str | None = None,
    download: bool = True,
    report: Report | None = None,
) -> HubModel:
    """Loads a model, downloading it if need be.

    Args:
        source: a directory, a Hub id (``owner/name``, ``owner/name@revision``), or a name out of
            `llmcomp.models.registry.REGISTRY`.
        dtype: what the layers compute in; ``int8`` holds a byte a weight and computes in float32.
        device: ``cpu``, ``cuda``, or ``auto``: CUDA where there is one.
        attention: ``eager`` or ``sdpa``, torch's fused kernels.
        head: what the last norm and the logits are computed in; if not given, float64 for
            float64, else float32. A float64 head on float32 layers brings the typical difference
            of two passes down by a third but not the largest (1.7e-5 on the embedded model), and
            took 40 % more time.
        revision: commit, branch or tag of a Hub id.
        download: fetch what is not on this machine yet.
        report: takes lines about a download's progress; without it bars are drawn.

    Raises:
        ModelError: if the model cannot be had, is not supported, or cannot be made exact.
        ValueError: if an option is unknown.
    """
    wide = head or ("float64" if dtype == "float64" else "float32")
    for value, known in (
        (dtype, ("float64", "float32", "bfloat16", "int8")),
        (attention, ("eager", "sdpa")),
        (wide, ("float64", "float32")),
        (device.partition(":")[0], ("cpu", "cuda", "auto")),
    ):
        if value not in known:
            raise ValueError(f"{value!r} is unknown; wanted one of {', '.join(known)}")
    files = Source.find(source, revision).fetch(report, download=download)
    from llmcomp.models.stock import best_device, load_stock, read_config

    config = read_config(files.directory)
    tokenizer = _tokenizer(files.directory, config)
    stock = load_stock(
        files.directory,
        columns=tokenizer.model_ids[tokenizer.model_ids != ESCAPE],
        dtype=dtype,
        device=best_device() if device == "auto" else device,
        attention=attention,
        head=wide,
    )
    return HubModel(files, config, tokenizer, stock)


def _tokenizer(directory: Path, config: Any) -> HubTokenizer:
    """Makes the tokenizer exact, from its definition or from what transformers makes of others."""
    definition = directory / "tokenizer.json"
    if definition.is_file():
        text = definition.read_text(encoding="utf-8")
    elif config.vocab_size == 256 and not any(directory.glob("tokenizer*")):
        text = _byte_definition()
    else:
        from llmcomp.models.stock import converted_tokenizer

        text = converted_tokenizer(directory)
    bos, eos = config.bos_token_id, config.eos_token_id
    if isinstance(eos, list):  # chat models end in one of several ways
        eos = eos[0] if eos else None
    return HubTokenizer(text, vocab_size=int(config.vocab_size), bos=bos, eos=eos)


def _byte_definition() -> str:
    """The tokenizer of byte models, which ship none: ids are bytes, and nothing merges."""
    letters = {letter: byte for byte, letter in byte_letters().items()}
    model = {"type": "BPE", "vocab": letters, "merges": []}
    step = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return json.dumps({"version": "1.0", "pre_tokenizer": step, "model": model})


def _digest(directory: Path, config: Any, tokenizer: HubTokenizer) -> bytes:
    """SHA-256 of all that decoding depends on but the numerics; names do not count."""
    digest = hashlib.sha256()
    fields = {name: getattr(config, name, None) for name in _ARITHMETIC}
    digest.update(json.dumps(fields, sort_keys=True).encode())
    for token in tokenizer.token_bytes:
        digest.update(len(token).to_bytes(4, "little") + token)
    for table in (tokenizer.model_ids, tokenizer.feed_ids, tokenizer.weights):
        digest.update(table.astype("<i8").tobytes())
    for path in weight_files(directory):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.digest()
