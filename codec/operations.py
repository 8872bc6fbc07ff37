"""What the layers compute with, on time-major activations `[B, T, C]`."""

import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ELU_BLOCK = 2**16  # numbers, whose temporaries stay in the processor's cache


def add_product(total: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """`total [B, T, out] += x [B, T, in] @ weight [in, out]`, within the matrix product."""
    return total.baddbmm_(x.to(total.dtype), weight.to(total.dtype).expand(len(x), -1, -1))


def elu(x: Tensor) -> Tensor:
    """ELU of `[B, T, C]`."""
    if torch.compiler.is_compiling() or x.device.type != "cpu" or x.numel() < ELU_BLOCK // 8:
        return F.elu(x)
    return cast(Tensor, _Elu.apply(x)) if x.requires_grad else _elu(x)


class _Elu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = _elu(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return torch.ops.aten.elu_backward(gradient, 1.0, 1.0, 1.0, True, *ctx.saved_tensors)


def _elu(x: Tensor) -> Tensor:
    # F.elu computes expm1, for 2 to 8 times as long as these steps take, except on little, where their calls cost more.
    y = torch.empty_like(x)
    steps = max(1, ELU_BLOCK // (x.shape[0] * x.shape[2]))
    for source, target in zip(torch.split(x, steps, dim=1), torch.split(y, steps, dim=1), strict=True):
        torch.maximum(source, source.clamp(max=0).mul_(math.log2(math.e)).exp2_().sub_(1), out=target)
    return y


def pad(x: Tensor, state: Tensor | None, left: int, right: int, mode: str) -> Tensor:
    """A copy of `x [B, T, C]` after `state`, padded in time, in one pass over the clip.

    Reflection of a clip shorter than the padding sees zeros after its end.
    """
    if mode == "circular" or x.shape[1] <= max(left, right):
        x = x if state is None else torch.cat([state, x], dim=1)
        surplus = max(0, max(left, right) + 1 - x.shape[1]) if mode == "reflect" and (left or right) else 0
        x = F.pad(x, (0, 0, 0, surplus)).transpose(1, 2)
        padded = F.pad(x, (left, right), mode).transpose(1, 2)
        return padded[:, : padded.shape[1] - surplus].contiguous()
    pieces = [x] if state is None else [state, x]
    # Padding looks no further than its own width into the clip.
    if left:
        pieces.insert(0, F.pad(x[:, : left + 1].transpose(1, 2), (left, 0), mode).transpose(1, 2)[:, :left])
    if right:
        pieces.append(F.pad(x[:, -right - 1 :].transpose(1, 2), (0, right), mode).transpose(1, 2)[:, right + 1 :])
    return torch.cat(pieces, dim=1)


@torch.no_grad()
def init_weights(conv: nn.Conv1d | nn.ConvTranspose1d, fan_in: int) -> None:
    """Keep the variance of the signal from layer to layer, and lay the weight out as the matrix products read it."""
    nn.init.normal_(conv.weight, std=fan_in**-0.5)
    nn.init.zeros_(cast(Tensor, conv.bias))
    conv.weight.data = conv.weight.data.transpose(1, 2).contiguous().transpose(1, 2)
