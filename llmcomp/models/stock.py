"""Stock transformers models, made to compute in the dtype they were loaded in.

In: a directory, and token ids of the model's own. Out: hidden states (torch), and logits as NumPy
float64. Knows nothing of tokenizers, escapes or files other than weights.

A stock model loaded in float64 is not one: RMSNorm and the eager softmax compute in float32 and the
rotary angles are float32, so that a parallel and a cached pass differ by 1e-6 to 1e-5. Here

* RMS norms compute in the dtype of their input, or in float32 if that is shorter;
* rotary angles are made in float64 and rounded once, whatever the dtype;
* attention is this module's own, its softmax at least float32 and never less than its input;
* the last norm and the product with the head have a dtype of their own, at least float32, since
  bfloat16 logits would have no more than three digits.

LayerNorm, the activations and all products are torch's own, in the model's dtype; with weights of
one byte (see `llmcomp.models.int8`) that is float32 on every device, so that the same blob decodes
on all of them. Keys and values lie in memory taken once. Only architectures of which this is known
to be true are loaded.

Inputs that require a gradient get one, through layers, norms and head alike; everything else runs
without.

References:
    [Su21] RoFormer: enhanced transformer with rotary position embedding, arXiv:2104.09864.
    [Chen23] Extending context window of large language models via positional interpolation,
        arXiv:2306.15595 (rotary scaling ``linear``).
    [Peng23] YaRN: efficient context window extension of large language models, arXiv:2309.00071.
    [Llama3] The Llama 3 herd of models, arXiv:2407.21783 (rotary scaling ``llama3``).
    [Zhang19] Root mean square layer normalization, arXiv:1910.07467.
    [Ainslie23] GQA: training generalized multi-query transformer models, arXiv:2305.13245.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
import transformers
from torch import Tensor, nn
from transformers import AttentionInterface, AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from llmcomp.errors import ModelError
from llmcomp.models.int8 import Int8Embedding, Int8Linear, Quantisation, hollow_out, quantised
from llmcomp.models.sources import weight_files

__all__ = [
    "KeyValues",
    "StockModel",
    "best_device",
    "converted_tokenizer",
    "load_stock",
    "read_config",
    "use_one_thread",
    "weight_bytes",
]

_DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "int8": torch.float32,
}
"""What the layers compute in."""

_LAST_NORM = {
    "gpt2": "ln_f",
    "gpt_neox": "final_layer_norm",
    "llama": "norm",
    "qwen2": "norm",
    "qwen3": "norm",
}
"""Architectures whose layers this module knows, and how each calls its last norm."""

_ROTARY = ("default", "linear", "llama3", "yarn")
"""Kinds of rotary scaling whose angles depend on the position alone ..."""

_GROWING = ("dynamic", "longrope")
"""... and two whose angles depend on how long the text is so far."""

_QUERY_BLOCK = 256  # queries scored at a time: bounds the [B, H, block, N] scores


def read_config(directory: Path) -> Any:
    """Reads a configuration and refuses models that this module does not compute.

    Raises:
        ModelError: if it is missing or broken, of another architecture, or has options under
            which a cached pass is not plain attention over all keys and values.
    """
    if not (directory / "config.json").is_file():
        raise ModelError(f"{directory} has no config.json; wanted a transformers model's directory")
    try:
        config = AutoConfig.from_pretrained(
            directory, trust_remote_code=False, local_files_only=True
        )
    except Exception as error:  # whatever a configuration's own class makes of strange values
        raise ModelError(
            f"{directory / 'config.json'} cannot be read: {_one_line(error)}; "
            "wanted a transformers configuration that needs no code of its own"
        ) from error
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    layers = set(getattr(config, "layer_types", None) or ["full_attention"])
    if config.model_type not in _LAST_NORM:
        found = f"architecture {config.model_type!r}"
    elif layers != {"full_attention"} or getattr(config, "sliding_window", None):
        found = "sliding-window or mixed attention"
    elif rope not in _ROTARY:
        found = f"rotary scaling {rope!r}" + ", which changes as a text grows," * (rope in _GROWING)
    elif getattr(config, "add_cross_attention", False):
        found = "cross-attention"
    elif getattr(config, "quantization_config", None):
        found = "weights that are quantised already"
    else:
        _check_rotary(directory, config)
        return config
    raise ModelError(
        f"{directory.name}: {found} is not supported, since a cached pass must give what a "
        f"parallel one does; wanted one of {', '.join(_LAST_NORM)} with plain attention, and "
        f"rotary angles that are {', '.join(_ROTARY)}"
    )


def _check_rotary(directory: Path, config: Any) -> None:
    """Refuses a configuration whose rotary angles cannot be computed."""
    if not hasattr(config, "rope_parameters"):
        return
    try:
        frequencies, scale = _rotation(config)
        good = bool(torch.isfinite(frequencies).all()) and math.isfinite(scale)
    except (KeyError, TypeError, ValueError, ArithmeticError):
        good = False
    if not good:
        raise ModelError(
            f"{directory / 'config.json'}: no rotary angles can be made of "
            f"{config.rope_parameters}; export the model again"
        )


def converted_tokenizer(directory: Path) -> str:
    """Lets transformers convert a tokenizer of another format, such as SentencePiece's own.

    Returns:
        The text of a ``tokenizer.json``.

    Raises:
        ModelError: if it cannot.
    """
    # without its files transformers may make a tokenizer of one token and say nothing
    if not any((directory / name).is_file() for name in ("tokenizer.model", "vocab.json")):
        raise ModelError(f"{directory} has no tokenizer.json; add the model's tokenizer files")
    if (directory / "tokenizer.model").is_file() and find_spec("sentencepiece") is None:
        raise ModelError(
            f"{directory} has its tokenizer in SentencePiece's format only, and that library is "
            "not installed; `pip install sentencepiece protobuf`, or add a tokenizer.json"
        )
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                directory, trust_remote_code=False, local_files_only=True
            )
        definition: str = tokenizer.backend_tokenizer.to_str()
    except Exception as error:  # a missing file, a missing library, a tokenizer without a backend
        raise ModelError(
            f"{directory} has no tokenizer.json, and its tokenizer files cannot be converted: "
            f"{_one_line(error)}; add a tokenizer.json"
        ) from error
    return definition


def best_device() -> str:
    """Names CUDA where there is one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def use_one_thread() -> None:
    """Keeps torch to one thread of the processor, so that this process may fork.

    Where it has ever used more, a forked process that does waits for threads it has not got.
    """
    torch.set_num_threads(1)


class StockModel:
    """The layers of one model, its embedding and the part of its head that is asked for.

    Attributes:
        hidden_size: width of the embedding.
        device: where it computes.
        dtype: of the layers, one of `_DTYPES`.
        attention: ``eager`` or ``sdpa``.
        head_dtype: of the last norm, the head and the logits.
    """

    def __init__(
        self,
        model: Any,
        *,
        columns: npt.NDArray[np.int64],
        dtype: str,
        device: str,
        attention: str,
        head: str,
    ) -> None:
        """Takes a transformers model apart; `load_stock` loads one.

        Args:
            model: as it was loaded; its parts are replaced and moved.
            columns: int64[V], the model's ids whose logits are wanted.
            dtype: one of `_DTYPES`, as ``model`` was loaded.
            device: ``cpu`` or ``cuda``, possibly with a number.
            attention: ``eager`` or ``sdpa``, as ``model`` was loaded.
            head: ``float64`` or ``float32``.
        """
        config = model.config
        self.dtype, self.attention, self.head_dtype = dtype, attention, head
        self.hidden_size = int(config.hidden_size)
        self.n_layers = int(config.num_hidden_layers)
        self._body: Any = model.base_model
        wide = _DTYPES[head]

        last_norm = _LAST_NORM[config.model_type]
        _replace_norms(self._body)
        # a copy, since `to` widens in place what the body may share
        self._norm = copy.deepcopy(getattr(self._body, last_norm)).to(wide)
        setattr(self._body, last_norm, nn.Identity())
        if hasattr(self._body, "rotary_emb"):
            self._body.rotary_emb = _Rotary(config)

        wanted = torch.from_numpy(columns).to(model.device)
        rows, table = (
            layer.weight.detach()
            for layer in (model.get_output_embeddings(), model.get_input_embeddings())
        )
        self._head: nn.Module
        if dtype == "int8":
            self._head = Int8Linear(*(part[wanted] for part in quantised(rows)))
            model.set_input_embeddings(Int8Embedding(*quantised(table)))
        else:
            self._head = _Head(rows[wanted].to(wide))
        self._embedding: Any = model.get_input_embeddings()
        self.move(device)

    def move(self, device: str) -> None:
        """Takes all weights to a device."""
        self.device = torch.device(device)
        for part in (self._norm, self._head, self._body):
            part.to(self.device)

    @property
    def n_bytes(self) -> int:
        """Memory that the weights take, in bytes; a table used twice is held twice."""
        parts = (self._body, self._norm, self._head)
        return sum(t.nbytes for part in parts for t in (*part.parameters(), *part.buffers()))

    def embed(self, ids: npt.NDArray[np.int64]) -> Tensor:
        """Looks the model's own ids up: int64[...] -> [..., hidden_size] in the model's dtype."""
        embedded: Tensor = self._embedding(torch.from_numpy(ids).to(self.device))
        return embedded

    def vectors(self, rows: npt.NDArray[np.float64]) -> Tensor:
        """Brings vectors to the device in the layers' dtype: float64[P, hidden_size]."""
        return torch.from_numpy(np.ascontiguousarray(rows)).to(self.device, _DTYPES[self.dtype])

    def hidden(self, x: Tensor, cache: KeyValues | None = None) -> Tensor:
        """Runs the layers.

        Args:
            x: [B, T, hidden_size], embeddings.
            cache: what stands before; takes the new keys and values, whose count the caller
                moves on with `KeyValues.advance`.

        Returns:
            [B, T, hidden_size], before the last norm.
        """
        first = 0 if cache is None else cache.length
        positions = torch.arange(first, first + x.shape[1], device=self.device)[None]
        with _steady(gradients=x.requires_grad):
            result = self._body(
                inputs_embeds=x,
                position_ids=positions,
                past_key_values=cache,
                use_cache=cache is not None,
            )
        hidden: Tensor = result.last_hidden_state
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """Turns hidden states [N, hidden_size] into logits [N, V] of the columns."""
        with _steady(gradients=hidden.requires_grad):
            logits: Tensor = self._head(self._norm(hidden.to(_DTYPES[self.head_dtype])))
        return logits

    def environment(self) -> str:
        """Names in one line all that the last digits depend on."""
        place = f"cpu {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
        if self.device.type == "cuda":
            place = f"{torch.cuda.get_device_name(self.device)}, CUDA {torch.version.cuda}"
        return (
            f"torch {torch.__version__}, transformers {transformers.__version__}, {place}, "
            f"{self.dtype}, head {self.head_dtype}, {self.attention}"
        )


def load_stock(
    directory: Path,
    *,
    columns: npt.NDArray[np.int64],
    dtype: str,
    device: str,
    attention: str,
    head: str,
) -> StockModel:
    """Loads a model, all weights accounted for.

    Args:
        directory: holds the configuration and safetensors weights.
        columns: int64[V], the model's ids whose logits are wanted.
        dtype: one of `_DTYPES`; ``int8`` is quantised from the checkpoint, tensor by tensor.
        device: ``cpu`` or ``cuda``, possibly with a number.
        attention: ``eager`` or ``sdpa``.
        head: ``float64`` or ``float32``.

    Raises:
        ModelError: if the model is not supported, weights are missing or of other shapes, or the
            device is missing.
    """
    read_config(directory)
    weight_files(directory)  # refuses other formats before transformers looks for them
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise ModelError("torch finds no CUDA device here; take device 'cpu'")
    quantisation = {"quantization_config": Quantisation()} if dtype == "int8" else {}
    try:
        with _quiet():
            model, found = AutoModelForCausalLM.from_pretrained(
                directory,
                dtype=_DTYPES[dtype],
                attn_implementation=_ATTENTION[attention],
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                **quantisation,
            )
    except Exception as error:  # safetensors, torch and transformers each have their own
        raise ModelError(
            f"{directory} cannot be loaded: {_one_line(error)}; download or export it again"
        ) from error
    # transformers fills in what is missing at random, which would never decode again
    gaps = sorted(found["missing_keys"]) + sorted(str(k) for k in found["mismatched_keys"])
    if gaps:
        raise ModelError(
            f"{directory} lacks weights its config.json asks for, among them {gaps[0]}; "
            "download or export it again"
        )
    model = model.eval().requires_grad_(False)
    return StockModel(
        model, columns=columns, dtype=dtype, device=device, attention=attention, head=head
    )


def weight_bytes(fields: Mapping[str, Any], dtype: str) -> tuple[int, int]:
    """Measures a model without its weights.

    Args:
        fields: its configuration, ``model_type`` among them.
        dtype: one of `_DTYPES`.

    Returns:
        Its parameters, and the bytes of memory that a `StockModel` with all columns holds.
    """
    config = AutoConfig.for_model(**fields)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=_DTYPES[dtype])
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    if dtype == "int8":
        hollow_out(model.base_model)
    stock = StockModel(
        model.requires_grad_(False),
        columns=np.arange(config.vocab_size),
        dtype=dtype,
        device="meta",
        attention="eager",
        head="float64" if dtype == "float64" else "float32",
    )
    return n_parameters, stock.n_bytes


class KeyValues:
    """Keys and values of every layer, in memory taken once.

    Has as much of transformers' ``Cache`` as the models above call. Growing by concatenation, as
    the stock cache does, would move all of it at every step.

    Attributes:
        length: positions that are filled.
        lanes: whose keys and values the next pass brings.
    """

    def __init__(self, n_layers: int, n_lanes: int, room: int) -> None:
        self.length = 0
        self.lanes = slice(0, n_lanes)
        self._n_lanes, self._room = n_lanes, room
        self._layers: list[tuple[Tensor, Tensor] | None] = [None] * n_layers

    def advance(self, n_positions: int) -> None:
        """Counts positions that every lane has filled in every layer."""
        self.length += n_positions

    def update(
        self, key: Tensor, value: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Takes new keys and values [b, G, T, d] and returns all so far, [b, G, N, d]."""
        layer = self._layers[layer_idx]
        if layer is None:
            shape = (self._n_lanes, key.shape[1], self._room, key.shape[3])
            layer = self._layers[layer_idx] = (key.new_zeros(shape), value.new_zeros(shape))
        stop = self.length + key.shape[2]
        for whole, new in zip(layer, (key, value), strict=True):
            whole[self.lanes, :, self.length : stop] = new
        keys, values = (whole[self.lanes, :, :stop] for whole in layer)
        return keys, values

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Positions that are filled, as transformers asks for them."""
        return self.length


@contextmanager
def _steady(*, gradients: bool) -> Iterator[None]:
    """No TF32: float32 products keep all their digits. No gradients if none are asked for."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with nullcontext() if gradients else torch.inference_mode():
            yield
    finally:
        torch.set_float32_matmul_precision(precision)


@contextmanager
def _quiet() -> Iterator[None]:
    """No bars and reports from transformers, whose findings are turned into errors here."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


class _RmsNorm(nn.Module):
    """Root mean square norm [Zhang19] in the dtype of its input, at least float32."""

    def __init__(self, stock: Any) -> None:
        super().__init__()
        self.weight = stock.weight
        self.epsilon = stock.variance_epsilon

    def forward(self, x: Tensor) -> Tensor:
        wide = x if x.dtype == torch.float64 else x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.epsilon)
        return self.weight * wide.to(x.dtype)


class _Head(nn.Module):
    """The rows of a head that are asked for, [V, hidden_size]."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)


class _Rotary(nn.Module):
    """Cosines and sines of the rotary angles [Su21], from float64 angles, rounded once."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        frequencies, self._scale = _rotation(config)
        self._frequencies = nn.Buffer(frequencies, persistent=False)

    def forward(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        angles = position_ids[..., None].double() * self._frequencies
        angles = torch.cat((angles, angles), -1)
        cos, sin = angles.cos() * self._scale, angles.sin() * self._scale
        return cos.to(x.dtype), sin.to(x.dtype)


def _rotation(config: Any) -> tuple[Tensor, float]:
    """Computes how far each pair of a head's coordinates turns from one position to the next.

    A scaled model was trained on short texts and stretched to longer ones: slow turns are divided
    by ``factor``, fast ones, which tell neighbours apart, are kept, and those between are mixed.

    Returns:
        Angles float64[d / 2], and what cosines and sines are multiplied with.
    """
    rope = config.rope_parameters
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    width = int(head_dim * rope.get("partial_rotary_factor", 1.0))
    exponents = -torch.arange(0, width, 2, dtype=torch.float64) / width
    theta = float(rope["rope_theta"])
    frequencies = torch.tensor(theta, dtype=torch.float64) ** exponents
    kind = rope.get("rope_type", "default")
    if kind == "default":
        return frequencies, 1.0
    slowed = frequencies / float(rope["factor"])
    if kind == "linear":  # [Chen23]
        return slowed, 1.0
    length = float(rope["original_max_position_embeddings"])
    if kind == "llama3":  # [Llama3]: by how often a pair turns in the length trained on
        turns = frequencies * length / (2 * math.pi)
        low, high = float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
        kept, scale = ((turns - low) / (high - low)).clamp(0, 1), 1.0
    else:  # [Peng23]: the same, but linear in the pair's number; and scores are sharpened

        def pair(turns: float) -> float:
            return width * math.log(length / (turns * 2 * math.pi)) / (2 * math.log(theta))

        first, last = pair(rope.get("beta_fast") or 32), pair(rope.get("beta_slow") or 1)
        if rope.get("truncate", True):
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, width - 1)
        pairs = torch.arange(len(frequencies), dtype=torch.float64)
        kept = 1 - ((pairs - first) / (last - first or 0.001)).clamp(0, 1)
        scale = _sharpening(rope)
    return frequencies * kept + slowed * (1 - kept), scale


def _sharpening(rope: Mapping[str, Any]) -> float:
    """What YaRN multiplies cosines and sines with; the scores get its square."""
    if rope.get("attention_factor") is not None:
        return float(rope["attention_factor"])
    growth = 0.1 * math.log(max(rope["factor"], 1.0))
    if rope.get("mscale") and rope.get("mscale_all_dim"):
        return float((growth * rope["mscale"] + 1) / (growth * rope["mscale_all_dim"] + 1))
    return growth + 1


def _replace_norms(body: nn.Module) -> None:
    """Puts `_RmsNorm` in the place of every RMS norm, whatever the model calls its class."""
    for parent in list(body.modules()):
        for name, child in list(parent.named_children()):
            if type(child).__name__.endswith("RMSNorm"):
                setattr(parent, name, _RmsNorm(child))


def _eager(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **unused: Any,
) -> tuple[Tensor, None]:
    """Causal attention written out; the queries are the last keys' own.

    Args:
        module: the layer, unused.
        query: [B, H, T, d].
        key: [B, G, N, d], N at least T; H is a multiple of G [Ainslie23].
        value: [B, G, N, d].
        attention_mask: None: rows are never padded at the front.
        scaling: what scores are multiplied with.
        unused: what else some models say: dropout, positions.

    Returns:
        [B, T, H, d], and None for the weights.
    """
    B, H, T, d = query.shape
    G, N = key.shape[1:3]
    wide = query.dtype if query.dtype == torch.float64 else torch.float32
    mixed = torch.empty((B, T, H, d), dtype=query.dtype, device=query.device)
    for start in range(0, T, _QUERY_BLOCK):
        stop = min(start + _QUERY_BLOCK, T)
        seen, n = N - T + stop, stop - start
        # heads that share keys become further queries, so that no key is copied
        grouped = query[:, :, start:stop].reshape(B, G, -1, d)
        scores = (grouped @ key[:, :, :seen].mT * scaling).view(B, H, n, seen)
        if n > 1:
            unseen = torch.ones((n, seen), dtype=torch.bool, device=query.device)
            scores = scores.masked_fill(unseen.triu(seen - n + 1), -torch.inf)
        weights = torch.softmax(scores, -1, dtype=wide).to(value.dtype)
        part = weights.view(B, G, -1, seen) @ value[:, :, :seen]
        mixed[:, start:stop] = part.view(B, H, n, d).transpose(1, 2)
    return mixed, None


def _sdpa(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **unused: Any,
) -> tuple[Tensor, None]:
    """The same as `_eager`, by torch's fused kernels."""
    T, N = query.shape[2], key.shape[2]
    mask = None
    if 1 < T < N:
        mask = torch.ones((T, N), dtype=torch.bool, device=query.device).tril(N - T)
    mixed = F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        is_causal=T == N > 1,
        scale=scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return mixed.transpose(1, 2).contiguous(), None


_ATTENTION = {"eager": "llmcomp_eager", "sdpa": "llmcomp_sdpa"}
AttentionInterface.register(_ATTENTION["eager"], _eager)
AttentionInterface.register(_ATTENTION["sdpa"], _sdpa)


def _one_line(error: Exception) -> str:
    line = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {line}"
