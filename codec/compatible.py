"""The language model as facebook's `.ecdc` files need it: stepwise, float32, to the last bit encodec's probabilities.

Their files hold only for the very bits that `encodec.model.LMModel` computes on this machine with this thread count, so
each step here makes the same calls on the same shapes. Two shortcuts are taken where a probe of this machine's matrix
kernels shows that they change no bit: a row's keys and values are kept instead of being projected anew at every step,
and all output heads are one product.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from codec.errors import CheckpointError
from codec.language_model import LanguageModel, Layer
from codec.range_coder import TOTAL

ROWS = 4  # rows are projected at least this many at a time: kernels treat fewer rows differently
ROUND_OFF, MIN_SHARE = 1e-8, 2


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


@lru_cache
def _heads_are_independent(dim: int, size: int, codebooks: int, threads: int) -> bool:
    """Whether one product with all heads' weights gives the bits of a product with each."""
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(1, 1, dim, generator=generator), torch.randn(codebooks, size, dim, generator=generator)
    bias = torch.randn(codebooks, size, generator=generator)
    parts = [F.linear(x, weight[k], bias[k]) for k in range(codebooks)]
    return torch.equal(F.linear(x, weight.flatten(0, 1), bias.flatten()), torch.cat(parts, dim=-1))


class _Layer:
    """One layer with the inputs of its past and, where `keep`, their keys and values, in buffers used in turn."""

    def __init__(self, layer: Layer, context: int, keep: bool) -> None:
        self.layer, self.context, self.keep = layer, context, keep
        attention = layer.self_attn
        dim = attention.embed_dim
        self.query_weight, self.pair_weight = torch.split(attention.in_proj_weight.detach(), [dim, 2 * dim])
        self.query_bias, self.pair_bias = torch.split(attention.in_proj_bias.detach(), [dim, 2 * dim])
        self.inputs = torch.zeros(2 * context, dim)
        self.pairs = torch.zeros(2, 2 * context, dim)
        self.used = 1  # the zero row before the first frame

    def step(self, x: Tensor) -> Tensor:
        """`[1, 1, D]` -> `[1, 1, D]`."""
        if self.used == len(self.inputs):
            self.inputs[: self.context] = self.inputs[self.context :].clone()
            self.pairs[:, : self.context] = self.pairs[:, self.context :].clone()
            self.used = self.context
        self.inputs[self.used] = x[0, 0]
        self.used += 1
        first = max(0, self.used - 1 - self.context)
        # With few rows, and where kernels demand it, all rows of the window are projected again.
        known = self.keep and self.used > 2 * ROWS
        start = self.used - ROWS if known else first
        pair = F.linear(self.inputs[start : self.used].unsqueeze(1), self.pair_weight, self.pair_bias)
        fresh = slice(self.used - 1, self.used) if known else slice(first, self.used)
        self.pairs[:, fresh] = torch.unflatten(pair[:, 0], -1, (2, -1)).transpose(0, 1)[:, fresh.start - start :]
        x = self.layer.norm1(x + self._attend(x, self.pairs[0, first : self.used], self.pairs[1, first : self.used]))
        out: Tensor = self.layer.norm2(x + self.layer.linear2(F.gelu(self.layer.linear1(x))))
        return out

    def _attend(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        heads = self.layer.self_attn.num_heads
        query, key, value = (
            torch.unflatten(rows, -1, (heads, -1)).transpose(0, 1).unsqueeze(0)
            for rows in (F.linear(x, self.query_weight, self.query_bias)[0], keys, values)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=x.new_zeros(1, 1, 1, len(keys)))
        mixed = self.layer.self_attn.out_proj(mixed.permute(2, 0, 1, 3).reshape(1, -1))
        return mixed.view(1, 1, -1)


class CompatibleLanguageModel:
    """A run of `lm` over one sequence: call `step` for frame after frame. Float32 models on the CPU only."""

    def __init__(self, lm: LanguageModel, codebooks: int) -> None:
        config = lm.config
        if not 1 <= codebooks <= config.codebooks:
            raise CheckpointError(f"language model {lm.name} has 1 to {config.codebooks} codebooks, not {codebooks}")
        threads = torch.get_num_threads()
        keep = _rows_are_independent(config.dim, config.context, threads)
        self.lm, self.codebooks, self.position = lm, codebooks, 0
        self.layers = [_Layer(layer, config.context, keep) for layer in lm.layers()]
        heads = [lm.head(k) for k in range(codebooks)]
        self.fused = None
        if _heads_are_independent(config.dim, config.codebook_size, codebooks, threads):
            self.fused = torch.cat([h.weight for h in heads]), torch.cat([h.bias for h in heads])

    @torch.no_grad()
    def step(self, previous: Tensor) -> Tensor:
        """Ends of all codes' shares `[K, size]`, after the frame `previous [K]` (as `1 + code`; zeros at first)."""
        lm, config = self.lm, self.lm.config
        x: Tensor = lm.embedding(0)(previous[:1])
        for k in range(1, self.codebooks):
            x = x + lm.embedding(k)(previous[k : k + 1])
        half = config.dim // 2
        phase = torch.tensor([[[self.position]]]) / (
            config.max_period ** (torch.arange(half).view(1, 1, -1) / (half - 1))
        )
        x = lm.transformer.norm_in(x.unsqueeze(0)) + torch.cat([torch.cos(phase), torch.sin(phase)], dim=-1)
        for layer in self.layers:
            x = layer.step(x)
        self.position += 1
        if self.fused is None:
            logits = torch.cat([lm.head(k)(x) for k in range(self.codebooks)], dim=-1)
        else:
            logits = F.linear(x, *self.fused)
        # The layout matters to the bits: [1, size, K, 1] with codes contiguous is what the reference hands to softmax.
        logits = logits.view(1, self.codebooks, 1, -1).permute(0, 3, 1, 2)
        return cumulative(torch.softmax(logits, dim=1)[0, :, :, 0].t())


def cumulative(probabilities: Tensor) -> Tensor:
    """Float32 `[K, size]` -> ends of the shares of `TOTAL`, int64, with the operations of encodec's coder."""
    rounded = (probabilities / ROUND_OFF).floor() * ROUND_OFF
    mixed = (1 - MIN_SHARE * probabilities.shape[-1] / TOTAL) * TOTAL
    return ((mixed * rounded).floor().long() + MIN_SHARE).cumsum(-1)
