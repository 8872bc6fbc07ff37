"""Muon: momentum whose matrix is made orthogonal before each step, and Adam for vectors.

K. Jordan, "Muon: an optimizer for hidden layers in neural networks", 2024. Here the step of a weight is relative to
the weight's own typical singular value, so one learning rate fits layers of any scale.
"""

import math
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim import Optimizer

ADAM_BETAS = (0.5, 0.9)  # of EnCodec's paper
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


class Muon(Optimizer):
    """Optimiser for convolutions, LSTMs and their biases.

    Args:
        params: parameters or groups of them; those of fewer than two dimensions are trained by Adam.
        lr: change of a matrix per step, relative to its typical singular value; a tensor in a CUDA graph.
        vector_lr: Adam's rate at the initial `lr`; it follows the schedule of `lr`.
        momentum: of both. beta2: of Adam's second moment.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        vector_lr: float = 3e-5,
        momentum: float = 0.95,
        beta2: float = 0.99,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "vector_ratio": vector_lr / lr if lr else 0.0, "momentum": momentum, "beta2": beta2}
        )

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["step"] = parameter.new_zeros(())
                    state["average"] = torch.zeros_like(parameter)
                state["step"] += 1
                if parameter.ndim >= 2:
                    self._matrix_step(parameter, state, group)
                else:
                    self._vector_step(parameter, state, group)

    def _matrix_step(self, parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        average = state["average"].mul_(group["momentum"]).add_(parameter.grad)
        direction = orthogonalise((parameter.grad + group["momentum"] * average).flatten(1))
        scale = parameter.norm() / min(direction.shape) ** 0.5
        parameter.sub_(direction.view_as(parameter) * (scale * group["lr"]))

    def _vector_step(self, parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        state.setdefault("square", torch.zeros_like(parameter))
        momentum, beta2, step = group["momentum"], group["beta2"], state["step"]
        gradient = cast(Tensor, parameter.grad)
        average = state["average"].lerp_(gradient, 1 - momentum) / (1 - momentum**step)
        square = state["square"].lerp_(gradient * gradient, 1 - beta2) / (1 - beta2**step)
        parameter.sub_(average / (square.sqrt() + 1e-10) * (group["lr"] * group["vector_ratio"]))


def orthogonalise(matrix: Tensor, iterations: int = 5) -> Tensor:
    """Push all singular values of `[m, n]` to about 1 (0.7 to 1.2), keeping the singular vectors."""
    a, b, c = _NEWTON_SCHULZ
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-12)
    for _ in range(iterations):
        square = wide @ wide.T
        wide = a * wide + (b * square + c * square @ square) @ wide
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


def warmed_cosine(step: int, steps: int, warmup_steps: int) -> float:
    """Factor of a learning rate: a linear rise times a cosine from 1 at step 0 to 0 at `steps`."""
    return min(1.0, (step + 1) / max(1, warmup_steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))
