"""A language model whose integer frequencies are the same on every machine, thread count, batch and chunk size.

Why that holds. All values are integers in float64 (fixed point: activations in units of 2^-12, weights of 2^-16).
1. Every sum of products (matrix products, means, variances, softmax sums) stays below 2^53 in magnitude, so each
   partial sum is exact in any order, with or without fused multiply-add. Activations are clamped to `LIMIT`; the bound
   for a given model's weights is checked when it is built.
2. Everything else is one operation of IEEE 754 on each element, correctly rounded by definition: + - * / sqrt, and
   rounding to the nearest integer. No library exp, erf, cos: those are tables of integers, no entry of which is closer
   to a rounding boundary than any library's error (a test measures that distance).
So the encoder may run over a whole clip at once and the decoder frame by frame on other hardware.

Speed. A step of the decoder reads all weights once and does some 300 operations on small arrays. NumPy does all that:
an operation costs torch several times the microsecond that it costs NumPy, and its product with a row is slower. The
encoder's products, of many rows, are torch's.
"""

import math
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codec.errors import CheckpointError
from codec.lm import TOTAL
from codec.lm.model import LanguageModel, TransformerLayer

Array = NDArray[np.float64]

UNIT = 1 << 12  # of activations
WEIGHT_UNIT = 1 << 16
LIMIT = float(64 * UNIT)
EXACT = float(1 << 53)

EXP_STEPS = 256  # per nat
EXP_ONE = 1 << 20
TURN = 1 << 16  # steps of the cosine table
PHASE_BITS = 40
CHUNK = 256  # frames evaluated at once: bounds memory, changes no value
FEW_ROWS = 16  # products of up to so many rows are NumPy's


@lru_cache
def exp_table() -> Array:
    """`round(EXP_ONE * exp(-i / EXP_STEPS))`, down to its first zeros."""
    return np.rint(EXP_ONE * np.exp(-np.arange(16 * EXP_STEPS) / EXP_STEPS))


@lru_cache
def gelu_table() -> Array:
    """GELU of `(i - LIMIT) / UNIT` in units; below -8 it rounds to 0 and from 8 on to its argument."""
    limit, ends = int(LIMIT), 8 * UNIT
    values = [x * 0.5 * math.erfc(-x / UNIT / math.sqrt(2)) for x in range(-ends, ends)]
    return np.concatenate([np.zeros(limit - ends), np.rint(values), np.arange(ends, limit + 1)])


@lru_cache
def cosine_table() -> Array:
    return np.rint(UNIT * np.cos(2 * np.pi * np.arange(TURN) / TURN))


def _turns_per_frame(half: int, max_period: float) -> NDArray[np.int64]:
    """Frequencies of the position embedding in 2^-PHASE_BITS turns a frame: decimal, as its exp and ln are exact."""
    with localcontext(Context(prec=50)):
        two_pi = 2 * Decimal("3.14159265358979323846264338327950288419716939937511")
        step = Decimal(max_period).ln() / max(half - 1, 1)
        turns = [(1 << PHASE_BITS) * (-i * step).exp() / two_pi for i in range(half)]
        return np.array([int(value.to_integral_value()) for value in turns])


def _fixed(x: Tensor, unit: int) -> Tensor:
    return (x.detach().cpu().double() * unit).round()


def _product(a: Array, b: Array) -> Array:
    if a.shape[-2] == 1:  # small: the call is what costs
        return np.matmul(a, b)
    product: Array = torch.matmul(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    return product


class _Linear:
    """Exact product with integer weights `[out, in]`; the result is in units again and clamped.

    `weight` holds them divided by `WEIGHT_UNIT`: a power of two, so the product needs only to be rounded.
    """

    def __init__(self, weight: Tensor, bias: Tensor, offset: float = 0.0) -> None:
        """`offset` (an even integer) is added to the results, which are then not clamped."""
        rows, biases = _fixed(weight, WEIGHT_UNIT), _fixed(bias, WEIGHT_UNIT * UNIT) + offset * WEIGHT_UNIT
        largest = (rows.abs().sum(-1) * LIMIT + biases.abs()).max()
        if not largest < EXACT:
            raise CheckpointError(
                "language model has weights too large for exact coding: a row's sum must be below 2^19"
            )
        rows /= WEIGHT_UNIT
        # In memory the longer dimension comes last: the faster layout for one row.
        self.weight: Array = (rows.t().contiguous().t() if rows.shape[0] >= rows.shape[1] else rows).numpy()
        self.bias: Array = (biases / WEIGHT_UNIT).numpy()
        self.clamped = not offset

    def __call__(self, x: Array) -> Array:
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) <= FEW_ROWS:
            product: Array = np.matmul(rows, self.weight.T)
            product += self.bias
        else:
            operands = (torch.from_numpy(operand) for operand in (self.bias, rows, self.weight.T))
            product = torch.addmm(*operands).numpy()
        np.rint(product, out=product)
        if self.clamped:
            _bounded(product)
        return product.reshape(*x.shape[:-1], len(self.bias))


class _Norm:
    """TransformerLayer norm over the last dimension."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        self.weight: Array = norm.weight.detach().double().numpy() * UNIT
        self.bias: Array = norm.bias.detach().double().numpy() * UNIT
        self.epsilon = norm.eps * UNIT * UNIT

    def __call__(self, x: Array) -> Array:
        size = x.shape[-1]
        mean = np.add.reduce(x, -1, keepdims=True)
        mean /= size
        x = x - np.rint(mean, out=mean)
        variance = np.add.reduce(x * x, -1, keepdims=True)
        variance /= size
        variance += self.epsilon
        x /= np.sqrt(variance, out=variance)
        x *= self.weight
        x += self.bias
        return _bounded(np.rint(x, out=x))


def _bounded(x: Array) -> Array:
    return np.minimum(np.maximum(x, -LIMIT, out=x), LIMIT, out=x)


def _gelu(x: Array) -> Array:
    """GELU of `x - LIMIT`, clamped."""
    return gelu_table().take(x.astype(np.intp), mode="clip")


def _exp(steps: Array) -> Array:
    """`EXP_ONE * exp(-steps / EXP_STEPS)` for integers `steps >= 0`; the table ends with zeros."""
    return exp_table().take(steps.astype(np.intp), mode="clip")


class _ExactLayer:
    def __init__(self, layer: TransformerLayer) -> None:
        attention = layer.self_attn
        self.heads = attention.num_heads
        self.project = _Linear(attention.in_proj_weight, attention.in_proj_bias)
        self.out = _Linear(attention.out_proj.weight, attention.out_proj.bias)
        self.up = _Linear(layer.linear1.weight, layer.linear1.bias, offset=LIMIT)  # as `_gelu` wants it
        self.down = _Linear(layer.linear2.weight, layer.linear2.bias)
        self.norm1, self.norm2 = _Norm(layer.norm1), _Norm(layer.norm2)
        self.sharpness = EXP_STEPS / (UNIT * UNIT * math.sqrt(attention.head_dim))

    def split(self, x: Array) -> Array:
        """`[B, n, D]` -> query, key, value `[3, B, H, n, D / H]`."""
        return self.project(x).reshape(*x.shape[:2], 3, self.heads, -1).transpose(2, 0, 3, 1, 4)

    def finish(self, x: Array, query: Array, keys: Array, values: Array, hidden: NDArray[np.bool_] | None) -> Array:
        scores = _product(query, keys.swapaxes(-1, -2))
        scores *= self.sharpness
        np.rint(scores, out=scores)
        if hidden is not None:
            scores[..., hidden] = -EXACT
        weights = _exp(np.subtract(np.maximum.reduce(scores, -1, keepdims=True), scores, out=scores))
        mixed = _product(weights, values)
        mixed /= np.add.reduce(weights, -1, keepdims=True)
        np.rint(mixed, out=mixed)
        x = self.norm1(x + self.out(mixed.swapaxes(1, 2).reshape(x.shape)))
        return self.norm2(x + self.down(_gelu(self.up(x))))


@dataclass
class State:
    """What `advance` carries on: keys and values `[layers, 2, B, H, capacity, D / H]`, rows in use, frames seen.

    `positions [frames, D]` are the position embeddings of all frames to come.
    """

    cache: Array
    positions: Array
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
        self._embeddings = embeddings.float().numpy()
        self._norm_in = _Norm(lm.transformer.norm_in)
        self._layers = [_ExactLayer(layer) for layer in lm.layers()]
        self._heads = _Linear(torch.cat([lm.head(k).weight for k in used]), torch.cat([lm.head(k).bias for k in used]))
        self._turns = _turns_per_frame(config.dim // 2, config.max_period)

    def start(self, batch: int, frames: int) -> State:
        """State before the first of `frames` frames of `batch` sequences: one all-zero key, as in training."""
        config = self.config
        shape = config.heads, min(config.context + CHUNK, frames + 1), config.dim // config.heads
        cache = np.zeros((config.layers, 2, batch, *shape))
        for layer, rows in zip(self._layers, cache, strict=True):
            rows[..., :1, :] = layer.split(np.zeros((batch, 1, config.dim)))[1:]
        return State(cache, self._positions(frames), 1, 0)

    def advance(self, previous: NDArray[np.int64], state: State) -> Array:
        """Features `[B, n, D]` of the next `n <= CHUNK` frames; moves `state` on.

        `previous [B, K, n]` holds the frames before each of them as `1 + code`, or 0 before the first.
        """
        n, context = previous.shape[-1], self.config.context
        embedded = self._embeddings[np.arange(self.codebooks), previous.swapaxes(1, 2)]
        x = self._norm_in(np.add.reduce(embedded, -2, dtype=np.float64))
        x += state.positions[state.position : state.position + n]
        if state.used + n > state.cache.shape[-2]:
            state.cache[..., :context, :] = state.cache[..., state.used - context : state.used, :].copy()
            state.used = context
        first, end = max(0, state.used - context), state.used + n
        hidden = None
        if n > 1:
            distance = np.arange(state.used, end)[:, None] - np.arange(first, end)
            hidden = (distance < 0) | (distance > context)
        for layer, cache in zip(self._layers, state.cache, strict=True):
            query, *pair = layer.split(x)
            cache[..., state.used : end, :] = pair
            x = layer.finish(x, query, cache[0, ..., first:end, :], cache[1, ..., first:end, :], hidden)
        state.used, state.position = end, state.position + n
        return x

    def cumulative(self, features: Array) -> NDArray[np.int32]:
        """Features `[..., D]` -> increasing ends of the shares of all codes, `[..., K, codebook_size]`, integers.

        Every code owns at least 2 of `TOTAL`.
        """
        size = self.config.codebook_size
        logits = self._heads(features).reshape(*features.shape[:-1], self.codebooks, size)
        logits *= EXP_STEPS / UNIT
        np.rint(logits, out=logits)
        weights = _exp(np.subtract(np.maximum.reduce(logits, -1, keepdims=True), logits, out=logits))
        total = np.add.reduce(weights, -1, keepdims=True)
        weights *= TOTAL - 2 * size
        weights /= total
        shares = weights.astype(np.int32)  # rounded down
        shares += 2
        return np.add.accumulate(shares, -1, dtype=np.int32, out=shares)

    def _positions(self, frames: int) -> Array:
        phase = (np.arange(frames)[:, None] * self._turns) & ((1 << PHASE_BITS) - 1)
        index = phase >> (PHASE_BITS - TURN.bit_length() + 1)
        return cosine_table()[np.concatenate([index, (index - TURN // 4) % TURN], axis=-1)]
