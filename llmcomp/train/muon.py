"""Muon for the hidden matrices, AdamW for the rest, in one optimiser.

In: parameters with gradients. Out: the same parameters, moved. Knows nothing of models or data.

References:
    [Muon] Keller Jordan et al., https://kellerjordan.github.io/posts/muon/ (2024): momentum, then
        orthogonalisation by a quintic Newton-Schulz iteration in bfloat16.
    [Moonlight] Liu et al., arXiv:2502.16982: decoupled weight decay, and the factor
        ``0.2 * sqrt(max(rows, columns))`` that gives Muon's update the RMS of AdamW's.
    [AdamW] Loshchilov, Hutter, arXiv:1711.05101.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from llmcomp.train.recipe import OptimizerRecipe

__all__ = ["MuonAdamW", "orthogonalize", "split_parameters"]

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # [Muon]: steepest at zero, not meant to converge
NEWTON_SCHULZ_STEPS = 5
ADAM_BETAS = (0.9, 0.95)
ADAM_EPSILON = 1e-10


def orthogonalize(matrices: Tensor) -> Tensor:
    """Replaces the singular values of each matrix by values near one [Muon].

    Args:
        matrices: float32[N, R, C].

    Returns:
        bfloat16[N, R, C], singular values roughly in [0.7, 1.2].
    """
    a, b, c = NEWTON_SCHULZ
    x = matrices.bfloat16()
    tall = x.size(1) > x.size(2)
    if tall:  # the products below are then of the smaller side
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Returns the 2-D hidden matrices, and the others (embedding, norms), each once."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        hidden = parameter.ndim == 2 and "embed_tokens" not in name and "lm_head" not in name
        (matrices if hidden else others).append(parameter)
    return matrices, others


class MuonAdamW:
    """One optimiser for both kinds of parameters.

    Invariant: `state_dict` and the parameters determine every later step.
    """

    def __init__(self, model: nn.Module, recipe: OptimizerRecipe) -> None:
        self._recipe = recipe
        self._matrices, self._others = split_parameters(model)
        self._momentum = [torch.zeros_like(p) for p in self._matrices]
        self._first = [torch.zeros_like(p) for p in self._others]
        self._second = [torch.zeros_like(p) for p in self._others]
        self._n_steps = 0

    @torch.no_grad()
    def step(self, lr_factor: float) -> float:
        """Clips the gradients, moves the parameters, drops the gradients.

        Args:
            lr_factor: the schedule's value in [0, 1], times both learning rates.

        Returns:
            The global norm of the gradient before clipping.
        """
        parameters = self._matrices + self._others
        norm = nn.utils.clip_grad_norm_(parameters, self._recipe.clip)
        self._n_steps += 1
        self._step_muon(lr_factor * self._recipe.muon_lr)
        self._step_adam(lr_factor * self._recipe.adam_lr)
        for parameter in parameters:
            parameter.grad = None
        return float(norm)

    def _step_muon(self, lr: float) -> None:
        """Moves the matrices; those of one shape go through Newton-Schulz as one batch."""
        beta = self._recipe.momentum
        by_shape: dict[torch.Size, list[int]] = defaultdict(list)
        for index, parameter in enumerate(self._matrices):
            by_shape[parameter.shape].append(index)
        for (n_rows, n_columns), indices in by_shape.items():
            nesterov = []
            for index in indices:
                gradient = _gradient(self._matrices[index])
                momentum = self._momentum[index].lerp_(gradient, 1 - beta)
                nesterov.append(gradient.lerp(momentum, beta))
            updates = orthogonalize(torch.stack(nesterov)).float()
            scale = 0.2 * max(n_rows, n_columns) ** 0.5
            for index, update in zip(indices, updates, strict=True):
                parameter = self._matrices[index]
                parameter.mul_(1 - lr * self._recipe.weight_decay)
                parameter.add_(update, alpha=-lr * scale)

    def _step_adam(self, lr: float) -> None:
        """Moves embeddings and norms; only the former (2-D) decay."""
        beta1, beta2 = ADAM_BETAS
        correct1, correct2 = 1 - beta1**self._n_steps, 1 - beta2**self._n_steps
        for parameter, first, second in zip(self._others, self._first, self._second, strict=True):
            gradient = _gradient(parameter)
            first.lerp_(gradient, 1 - beta1)
            second.lerp_(gradient.square(), 1 - beta2)
            if parameter.ndim == 2:
                parameter.mul_(1 - lr * self._recipe.weight_decay)
            denominator = (second / correct2).sqrt_().add_(ADAM_EPSILON)
            parameter.addcdiv_(first, denominator, value=-lr / correct1)

    def state_dict(self) -> dict[str, Any]:
        """Returns the moments and the step count, by reference."""
        return {
            "momentum": self._momentum,
            "first": self._first,
            "second": self._second,
            "n_steps": self._n_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave."""
        for name, mine in (
            ("momentum", self._momentum),
            ("first", self._first),
            ("second", self._second),
        ):
            _copy(mine, state[name])
        self._n_steps = state["n_steps"]


def _gradient(parameter: nn.Parameter) -> Tensor:
    """Returns the gradient, which every parameter must have."""
    if parameter.grad is None:
        raise RuntimeError("a parameter has no gradient; call backward() before step()")
    return parameter.grad


def _copy(targets: Iterable[Tensor], sources: Iterable[Tensor]) -> None:
    """Copies tensor by tensor; the two lists must be equally long."""
    for target, source in zip(targets, sources, strict=True):
        target.copy_(source)
