"""The language model as facebook's `.ecdc` files need it: stepwise, float32, to the last bit encodec's probabilities.

Their files hold only for the very bits that `encodec.model.LMModel` computes on this machine with this thread count, so
each step here makes the same products on the same shapes. One shortcut is taken where a probe of this machine's matrix
kernels shows that it changes no bit: a row's keys and values are kept instead of being projected anew at every step.
NumPy does what IEEE 754 defines to the bit: sums, products, rounding.

A product with one row waits for its matrix, which comes from memory, cache line by cache line. Reading a number of each
line beforehand, in a loop that need not wait, halves its time: that is what each `lines` below is for.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from codec.errors import CheckpointError
from codec.lm import TOTAL
from codec.lm.model import LanguageModel, TransformerLayer

ROWS = 4  # rows are projected at least this many at a time: kernels treat fewer rows differently
ROUND_OFF, MIN_SHARE = np.float32(1e-8), 2
LINE = 16  # numbers of a cache line


@lru_cache
def _rows_are_independent(dim: int, context: int, threads: int) -> bool:
    """Whether a row projected among the last `ROWS` gets the bits it gets among all, for every number of rows."""
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(context + 1, dim, generator=generator), torch.randn(2 * dim, dim, generator=generator)
    bias = torch.randn(2 * dim, generator=generator)
    whole = F.linear(x, weight, bias)
    return all(
        torch.equal(F.linear(x[:rows], weight, bias), whole[:rows])
        and torch.equal(F.linear(x[rows - ROWS : rows], weight, bias), whole[rows - ROWS : rows])
        for rows in range(ROWS, context + 2)
    )


class _Linear:
    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = weight.detach(), bias.detach()
        self.lines = self.weight.numpy().reshape(-1)[::LINE]

    def __call__(self, x: Tensor) -> Tensor:
        np.maximum.reduce(self.lines)
        return F.linear(x, self.weight, self.bias)


class _Norm:
    def __init__(self, norm: nn.LayerNorm) -> None:
        self.arguments = norm.normalized_shape, norm.weight.detach(), norm.bias.detach(), norm.eps

    def __call__(self, x: Tensor) -> Tensor:
        return torch.layer_norm(x, *self.arguments)


class _StreamedLayer:
    """One layer with the inputs of its past and, where `keep`, their keys and values, in buffers used in turn."""

    def __init__(self, layer: TransformerLayer, context: int, keep: bool) -> None:
        attention = layer.self_attn
        dim = attention.embed_dim
        self.context, self.keep = context, keep
        self.heads, self.head_dim = attention.num_heads, attention.head_dim
        weight, bias = attention.in_proj_weight, attention.in_proj_bias
        self.query, self.pair = _Linear(weight[:dim], bias[:dim]), _Linear(weight[dim:], bias[dim:])
        self.out, self.up, self.down = (
            _Linear(linear.weight, linear.bias) for linear in (attention.out_proj, layer.linear1, layer.linear2)
        )
        self.norm1, self.norm2 = _Norm(layer.norm1), _Norm(layer.norm2)
        self.inputs = torch.zeros(2 * context, dim)
        self.pairs = torch.zeros(2 * context, 2 * dim)  # keys, values
        self.lines = self.pairs.numpy()[:, ::LINE]
        self.used = 1  # the zero row before the first frame

    def step(self, x: Tensor) -> Tensor:
        """`[1, 1, D]` -> `[1, 1, D]`."""
        if self.used == len(self.inputs):
            self.inputs[: self.context] = self.inputs[self.context :].clone()
            self.pairs[: self.context] = self.pairs[self.context :].clone()
            self.used = self.context
        self.inputs[self.used] = x[0, 0]
        self.used += 1
        first = max(0, self.used - 1 - self.context)
        # With few rows, and where kernels demand it, all rows of the window are projected again.
        known = self.keep and self.used > 2 * ROWS
        start, fresh = (self.used - ROWS, self.used - 1) if known else (first, first)
        pair = self.pair(self.inputs[start : self.used].unsqueeze(1))
        self.pairs[fresh : self.used] = pair[fresh - start :, 0]
        x = self.norm1(x + self._attend(x, first))
        return self.norm2(x + self.down(F.gelu(self.up(x))))

    def _attend(self, x: Tensor, first: int) -> Tensor:
        query = self.query(x).view(1, 1, self.heads, self.head_dim)
        np.maximum.reduce(self.lines[first : self.used], axis=None)
        pairs = self.pairs[first : self.used].view(1, -1, 2 * self.heads, self.head_dim)
        query, key, value = (rows.transpose(1, 2) for rows in (query, *pairs.chunk(2, dim=2)))
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.view(1, -1)).view(1, 1, -1)


class CompatibleLanguageModel:
    """A run of `lm` over one sequence: call `step` for frame after frame. Float32 models on the CPU only."""

    def __init__(self, lm: LanguageModel, codebooks: int) -> None:
        config = lm.config
        if not 1 <= codebooks <= config.codebooks:
            raise CheckpointError(f"language model {lm.name} has 1 to {config.codebooks} codebooks, not {codebooks}")
        threads = torch.get_num_threads()
        keep = _rows_are_independent(config.dim, config.context, threads)
        self.codebooks, self.position = codebooks, 0
        self.embeddings = [lm.embedding(k).weight.detach().numpy() for k in range(codebooks)]
        half = config.dim // 2
        self.periods = config.max_period ** (torch.arange(half).view(1, 1, -1) / (half - 1))
        self.norm_in = _Norm(lm.transformer.norm_in)
        self.layers = [_StreamedLayer(layer, config.context, keep) for layer in lm.layers()]
        self.heads = [_Linear(lm.head(k).weight, lm.head(k).bias) for k in range(codebooks)]

    @torch.inference_mode()
    def step(self, previous: Sequence[int]) -> NDArray[np.int32]:
        """Ends of all codes' shares `[K, size]`, after the frame `previous [K]` (as `1 + code`; zeros at first)."""
        first, *others = (rows[code] for rows, code in zip(self.embeddings, previous, strict=True))
        x = torch.from_numpy(sum(others, first).reshape(1, 1, -1))
        phase = torch.tensor([[[self.position]]]) / self.periods
        x = self.norm_in(x) + torch.cat([torch.cos(phase), torch.sin(phase)], dim=-1)
        for layer in self.layers:
            x = layer.step(x)
        self.position += 1
        logits = torch.cat([head(x) for head in self.heads], dim=-1)
        # The layout matters to the bits: [1, size, K, 1] with codes contiguous is what the reference hands to softmax.
        logits = logits.view(1, self.codebooks, 1, -1).permute(0, 3, 1, 2)
        return cumulative(torch.softmax(logits, dim=1)[0, :, :, 0].t().numpy())


def cumulative(probabilities: NDArray[np.float32]) -> NDArray[np.int32]:
    """`[K, size]` -> ends of the shares of `TOTAL`, with the operations of encodec's coder."""
    shares = np.divide(probabilities, ROUND_OFF, order="C")
    np.floor(shares, out=shares)
    shares *= ROUND_OFF
    shares *= np.float32((1 - MIN_SHARE * probabilities.shape[-1] / TOTAL) * TOTAL)
    whole = shares.astype(np.int32)  # rounded down
    whole += MIN_SHARE
    return np.add.accumulate(whole, -1, dtype=np.int32, out=whole)
