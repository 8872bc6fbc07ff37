"""A language model whose integer frequencies are the same on every machine, thread count, batch and chunk size.

Why that holds. All values are integers in float64 (fixed point: activations in units of 2^-12, weights of 2^-16).
1. Every sum of products (matrix products, means, variances, softmax sums) stays below 2^53 in magnitude, so each
   partial sum is exact in any order, with or without fused multiply-add. Activations are clamped to `LIMIT`; the bound
   for a given model's weights is checked when it is built.
2. Everything else is one operation of IEEE 754 on each element, correctly rounded by definition: + - * / sqrt, and
   rounding to the nearest integer. No library exp, erf, cos: those are tables of integers, no entry of which is closer
   to a rounding boundary than any library's error (a test measures that distance).
So the encoder may run over a whole clip at once and the decoder frame by frame on other hardware.
"""

import math
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.errors import CheckpointError
from codec.language_model import LanguageModel, Layer
from codec.range_coder import TOTAL

UNIT = 1 << 12  # of activations
WEIGHT_UNIT = 1 << 16
LIMIT = float(64 * UNIT)
EXACT = float(1 << 53)

EXP_STEPS = 256  # per nat
EXP_ONE = 1 << 20
TURN = 1 << 16  # steps of the cosine table
PHASE_BITS = 40
CHUNK = 256  # frames evaluated at once: bounds memory, changes no value


@lru_cache
def exp_table() -> Tensor:
    """`round(EXP_ONE * exp(-i / EXP_STEPS))`, down to its first zeros."""
    steps = np.arange(16 * EXP_STEPS)
    return torch.from_numpy(np.rint(EXP_ONE * np.exp(-steps / EXP_STEPS)))


@lru_cache
def gelu_table() -> Tensor:
    """GELU of `(i - 8 * UNIT) / UNIT` in units; below -8 it rounds to 0 and from 8 on to its argument."""
    values = [x * 0.5 * math.erfc(-x / UNIT / math.sqrt(2)) for x in range(-8 * UNIT, 8 * UNIT)]
    return torch.from_numpy(np.rint(values))


@lru_cache
def cosine_table() -> Tensor:
    return torch.from_numpy(np.rint(UNIT * np.cos(2 * np.pi * np.arange(TURN) / TURN)))


def _turns_per_frame(half: int, max_period: float) -> Tensor:
    """Frequencies of the position embedding in 2^-PHASE_BITS turns a frame: decimal, as its exp and ln are exact."""
    with localcontext(Context(prec=50)):
        two_pi = 2 * Decimal("3.14159265358979323846264338327950288419716939937511")
        step = Decimal(max_period).ln() / max(half - 1, 1)
        turns = [(1 << PHASE_BITS) * (-i * step).exp() / two_pi for i in range(half)]
        return torch.tensor([int(value.to_integral_value()) for value in turns])


def _fixed(x: Tensor, unit: int) -> Tensor:
    return (x.detach().cpu().double() * unit).round()


class _Linear:
    """Exact product with integer weights; the result is in units again and clamped."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = _fixed(weight, WEIGHT_UNIT), _fixed(bias, WEIGHT_UNIT * UNIT)
        largest = (self.weight.abs().sum(-1) * LIMIT + self.bias.abs()).max()
        if not largest < EXACT:
            raise CheckpointError(
                "language model has weights too large for exact coding: a row's sum must be below 2^19"
            )

    def __call__(self, x: Tensor) -> Tensor:
        return _bounded(F.linear(x, self.weight, self.bias).div_(WEIGHT_UNIT).round_())


class _Norm:
    """Layer norm over the last dimension."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        self.weight, self.bias = norm.weight.detach().double() * UNIT, norm.bias.detach().double() * UNIT
        self.epsilon = norm.eps * UNIT * UNIT

    def __call__(self, x: Tensor) -> Tensor:
        size = x.shape[-1]
        x = x - x.sum(-1, keepdim=True).div_(size).round_()
        variance = (x * x).sum(-1, keepdim=True).div_(size).add_(self.epsilon)
        return _bounded(x.div_(variance.sqrt_()).mul_(self.weight).add_(self.bias).round_())


def _bounded(x: Tensor) -> Tensor:
    return x.clamp_(-LIMIT, LIMIT)


def _gelu(x: Tensor) -> Tensor:
    index = (x + 8 * UNIT).clamp_(0, 16 * UNIT - 1).long()
    return torch.where(x < 8 * UNIT, gelu_table()[index], x)


def _exp(steps: Tensor) -> Tensor:
    """`EXP_ONE * exp(-steps / EXP_STEPS)` for integers `steps >= 0`."""
    table = exp_table()
    return table[steps.clamp_(max=len(table) - 1).long()]


class _Layer:
    def __init__(self, layer: Layer) -> None:
        attention = layer.self_attn
        self.heads = attention.num_heads
        self.project = _Linear(attention.in_proj_weight, attention.in_proj_bias)
        self.out = _Linear(attention.out_proj.weight, attention.out_proj.bias)
        self.up = _Linear(layer.linear1.weight, layer.linear1.bias)
        self.down = _Linear(layer.linear2.weight, layer.linear2.bias)
        self.norm1, self.norm2 = _Norm(layer.norm1), _Norm(layer.norm2)
        self.sharpness = EXP_STEPS / (UNIT * UNIT * math.sqrt(attention.head_dim))

    def split(self, x: Tensor) -> Tensor:
        """`[B, n, D]` -> query, key, value `[3, B, H, n, D / H]`."""
        return torch.unflatten(self.project(x), -1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)

    def finish(self, x: Tensor, query: Tensor, keys: Tensor, values: Tensor, hidden: Tensor | None) -> Tensor:
        scores = (query @ keys.transpose(-1, -2)).mul_(self.sharpness).round_()
        if hidden is not None:
            scores.masked_fill_(hidden, -EXACT)
        weights = _exp(scores.amax(-1, keepdim=True) - scores)
        mixed = (weights @ values).div_(weights.sum(-1, keepdim=True)).round_()
        x = self.norm1(x + self.out(mixed.transpose(1, 2).flatten(2)))
        return self.norm2(x + self.down(_gelu(self.up(x))))


@dataclass
class State:
    """What `advance` carries on: keys and values `[layers, 2, B, H, capacity, D / H]`, rows in use, frames seen."""

    cache: Tensor
    used: int
    position: int


class PortableLanguageModel:
    """Exact fixed-point version of a `LanguageModel`, for its first `codebooks` codebooks.

    Raises `CheckpointError` if the weights are too large for its guarantee.
    """

    def __init__(self, lm: LanguageModel, codebooks: int | None = None) -> None:
        config = self.config = lm.config
        self.codebooks = config.codebooks if codebooks is None else codebooks
        if not 1 <= self.codebooks <= config.codebooks:
            raise CheckpointError(f"language model {lm.name} has 1 to {config.codebooks} codebooks, not {codebooks}")
        if config.context > 1 << 14 or config.dim > 1 << 10 or 4 * config.codebook_size > TOTAL:
            raise CheckpointError(f"language model {lm.name} is too large for exact coding")
        used = range(self.codebooks)
        embeddings = torch.stack([_fixed(lm.embedding(k).weight, UNIT) for k in used])
        if embeddings.abs().max() > LIMIT:
            raise CheckpointError(f"language model {lm.name} has embeddings beyond 64, too large for exact coding")
        self._embeddings = embeddings.float()
        self._norm_in = _Norm(lm.transformer.norm_in)
        self._layers = [_Layer(layer) for layer in lm.layers()]
        self._heads = _Linear(torch.cat([lm.head(k).weight for k in used]), torch.cat([lm.head(k).bias for k in used]))
        self._turns = _turns_per_frame(config.dim // 2, config.max_period)

    def start(self, batch: int, frames: int) -> State:
        """State before the first of `frames` frames of `batch` sequences: one all-zero key, as in training."""
        config = self.config
        shape = config.heads, min(config.context + CHUNK, frames + 1), config.dim // config.heads
        cache = torch.zeros(config.layers, 2, batch, *shape, dtype=torch.float64)
        for layer, rows in zip(self._layers, cache, strict=True):
            rows[..., :1, :] = layer.split(torch.zeros(batch, 1, config.dim, dtype=torch.float64))[1:]
        return State(cache, 1, 0)

    def advance(self, previous: Tensor, state: State) -> Tensor:
        """Features `[B, n, D]` of the next `n <= CHUNK` frames; moves `state` on.

        `previous [B, K, n]` holds the frames before each of them as `1 + code`, or 0 before the first.
        """
        n, context = previous.shape[-1], self.config.context
        rows = torch.arange(self.codebooks)[:, None]
        x = torch.unflatten(self._embeddings[rows, previous.transpose(0, 1).flatten(1)].double().sum(0), 0, (-1, n))
        x = self._norm_in(x).add_(self._positions(state.position, n))
        if state.used + n > state.cache.shape[-2]:
            state.cache[..., :context, :] = state.cache[..., state.used - context : state.used, :].clone()
            state.used = context
        first, end = max(0, state.used - context), state.used + n
        hidden = None
        if n > 1:
            distance = torch.arange(state.used, end)[:, None] - torch.arange(first, end)
            hidden = (distance < 0) | (distance > context)
        for layer, cache in zip(self._layers, state.cache, strict=True):
            query, key, value = layer.split(x)
            cache[0, ..., state.used : end, :] = key
            cache[1, ..., state.used : end, :] = value
            x = layer.finish(x, query, cache[0, ..., first:end, :], cache[1, ..., first:end, :], hidden)
        state.used, state.position = end, state.position + n
        return x

    def cumulative(self, features: Tensor) -> Tensor:
        """Features `[..., D]` -> increasing ends of the shares of all codes, `[..., K, codebook_size]`, integers.

        Every code owns at least 2 of `TOTAL`.
        """
        size = self.config.codebook_size
        logits = torch.unflatten(self._heads(features), -1, (self.codebooks, size)).mul_(EXP_STEPS / UNIT).round_()
        weights = _exp(logits.amax(-1, keepdim=True) - logits)
        total = weights.sum(-1, keepdim=True)
        return weights.mul_(TOTAL - 2 * size).div_(total).floor_().add_(2).cumsum_(-1)

    def _positions(self, first: int, n: int) -> Tensor:
        phase = (torch.arange(first, first + n)[:, None] * self._turns) & ((1 << PHASE_BITS) - 1)
        index = phase >> (PHASE_BITS - TURN.bit_length() + 1)
        return torch.cat([cosine_table()[index], cosine_table()[(index - TURN // 4) % TURN]], dim=-1)
