"""Weights of one byte: matrices that are quantised as they are loaded.

In: the weights of a checkpoint, one matrix at a time. Out: layers that hold an int8 for each weight
and a float32 scale for each output, and compute in the dtype of their input. Only the weights are
rounded; activations, norms and biases stay as they are.

A weight w of an output becomes an integer q with ``w ~ scale * q``::

    scale = max |w| / 127 over the output's weights, at least 2**-126
    q     = w / scale, rounded half to even

both in float32, on the CPU whatever the device. These are single IEEE operations, so whoever has
the checkpoint has the same integers, and a blob need say no more than "int8"; another rule would
need another name. An int8 is exact in any float dtype, and the scale multiplies the finished sum.

References:
    [Dettmers22] LLM.int8(), arXiv:2208.07339 (vector-wise absmax; here weights only).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.core_model_loading import ConversionOps
from transformers.pytorch_utils import Conv1D
from transformers.quantizers import HfQuantizer, get_module_from_name, register_quantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

__all__ = ["Int8Embedding", "Int8Linear", "Quantisation", "hollow_out", "quantised"]

_METHOD = "llmcomp_int8"

_BLOCK = {"cpu": 1 << 20, "cuda": 1 << 26}
"""Weights widened at a time: on a CPU what its caches hold, on a GPU what takes few launches."""


def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Rounds a matrix to integers.

    Args:
        weight: [n_out, n_in], of any float dtype.

    Returns:
        int8[n_out, n_in], and the scales float32[n_out].

    >>> q, scale = quantised(torch.tensor([[0.5, -2.54, 0.01], [0.0, 0.0, 0.0]]))
    >>> q.tolist(), round(scale[0].item(), 4)
    ([[25, -127, 0], [0, 0, 0]], 0.02)
    """
    wide = weight.float()
    low, high = wide.aminmax(dim=1)
    scale = (torch.maximum(high, -low) / 127).clamp(min=torch.finfo(torch.float32).tiny)
    return (wide / scale[:, None]).round_().to(torch.int8), scale


class Int8Linear(nn.Module):
    """A linear layer: ``scale * (q @ x) + bias``, of float dtypes the input's.

    Attributes:
        weight: int8[n_out, n_in].
        scale: float32[n_out].
        bias: [n_out], or None.
        transposed: whether checkpoints hold it as [n_in, n_out], as GPT-2's do.
    """

    def __init__(
        self,
        weight: Tensor,
        scale: Tensor,
        bias: Tensor | None = None,
        *,
        transposed: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.bias = bias
        self.transposed = transposed

    def forward(self, x: Tensor) -> Tensor:
        """Maps [..., n_in] to [..., n_out]."""
        if x.requires_grad:  # the way back widens the weights again rather than keep them wide
            made: Tensor = checkpoint(self._product, x, use_reentrant=False)
            return made
        return self._product(x)

    def _product(self, x: Tensor) -> Tensor:
        n_rows = max(1, _BLOCK[x.device.type] // self.weight.shape[1])
        parts = [F.linear(x, rows.to(x.dtype)) for rows in torch.split(self.weight, n_rows)]
        y = torch.cat(parts, -1) * self.scale.to(x.dtype)
        return y if self.bias is None else y + self.bias


class Int8Embedding(nn.Module):
    """A table of vectors, int8 with one scale each; gives float32."""

    def __init__(self, weight: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Looks ids up: int64[...] -> float32[..., n_out]."""
        return self.weight[ids] * self.scale[ids, None]


def hollow_out(body: nn.Module) -> None:
    """Puts an empty `Int8Linear` in the place of every linear layer of a model without weights."""
    for parent in list(body.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear | Conv1D):
                transposed = isinstance(child, Conv1D)
                shape = child.weight.T.shape if transposed else child.weight.shape
                weight = torch.empty(shape, dtype=torch.int8, device="meta")
                scale = torch.empty(shape[0], dtype=torch.float32, device="meta")
                setattr(parent, name, Int8Linear(weight, scale, child.bias, transposed=transposed))


@dataclass
class Quantisation(QuantizationConfigMixin):
    """Asks ``from_pretrained`` for int8: no two layers' matrices are ever wide at a time."""

    quant_method: str = _METHOD


@register_quantizer(_METHOD)
class _Quantizer(HfQuantizer):
    """Answers what transformers asks as it loads."""

    def _process_model_before_weight_loading(self, model: Any, **_: Any) -> None:
        hollow_out(model.base_model)

    def param_needs_quantization(self, model: Any, param_name: str, **_: Any) -> bool:
        layer, name = get_module_from_name(model, param_name)
        return isinstance(layer, Int8Linear) and name == "weight"

    def get_quantize_ops(self) -> ConversionOps:
        return _Quantise()

    def is_serializable(self) -> bool:
        return False

    @property
    def is_trainable(self) -> bool:
        return False


class _Quantise(ConversionOps):
    """Turns a checkpoint's matrix into the two tensors of an `Int8Linear`."""

    def convert(
        self, input_dict: dict[str, list[Tensor]], *, full_layer_name: str, model: Any, **_: Any
    ) -> dict[str, Tensor]:
        ((found,),) = input_dict.values()
        layer, _name = get_module_from_name(model, full_layer_name)
        if layer.transposed:
            found = found.T
        # transformers leaves it to the quantiser to look at shapes
        if found.shape != layer.weight.shape:
            raise ValueError(
                f"{full_layer_name} is {list(found.shape)}; wanted {list(layer.weight.shape)}"
            )
        weight, scale = quantised(found)
        return {full_layer_name: weight, full_layer_name.removesuffix("weight") + "scale": scale}
