"""Training of the residual quantiser: k-means start, codebooks as moving averages, dead codewords replaced."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from codec.quantizer import ResidualVectorQuantizer, nearest

BLOCK = 8192  # rows of a search at a time, which bounds the memory


class QuantizerTrainer(nn.Module):
    """Updates the codebooks of a quantiser; they learn from assignments, never from gradients.

    Args:
        quantizer: whose codebooks are changed in place.
        decay: of the moving averages of counts and sums per codeword (0.99 in the paper).
        dead_below: a codeword is replaced by a random residual when its share of assignments falls below this fraction
            of an even share.
        seed: of the choice of replacements; the same in every process of a distributed run.
    """

    counts: Tensor
    sums: Tensor

    def __init__(
        self, quantizer: ResidualVectorQuantizer, decay: float = 0.99, dead_below: float = 0.03, seed: int = 0
    ) -> None:
        super().__init__()
        self._quantizer = [quantizer]  # in a list: its buffers belong to the model's state, not to this module's
        self.decay = decay
        self.dead_below = dead_below
        self.generator = torch.Generator().manual_seed(seed)
        embeds = torch.stack([codebook.embed for codebook in quantizer.codebooks])
        self.register_buffer("counts", torch.ones(embeds.shape[:2]))
        self.register_buffer("sums", embeds.clone())
        self.started = False

    @property
    def quantizer(self) -> ResidualVectorQuantizer:
        return self._quantizer[0]

    @torch.no_grad()
    def start(self, latents: Tensor, iterations: int = 10) -> None:
        """Fit every codebook by k-means on what the ones before it leave over of `latents [B, D, F]`."""
        residual = _gather(_rows(latents))
        for index, codebook in enumerate(self.quantizer.codebooks):
            codebook.embed.copy_(kmeans(residual, len(codebook.embed), iterations, self.generator))
            indices = codebook.search(residual)
            counts = torch.bincount(indices, minlength=len(codebook.embed)).to(residual.dtype)
            self.counts[index] = counts.clamp(min=1e-3)
            self.sums[index] = codebook.embed * self.counts[index].unsqueeze(1)
            residual = residual - F.embedding(indices, codebook.embed)
        self.started = True

    def forward(self, latents: Tensor, codebooks: int | Sequence[int]) -> tuple[Tensor, Tensor]:
        """Quantise `[B, D, F]` with a number of codebooks, one for all items or one for each; learn in training mode.

        Returns the quantised latents `[B, D, F]`, whose gradient goes straight to `latents`, and the codes `[K, B, F]`
        of the largest number of codebooks, 0 where an item uses fewer.
        """
        batch, dimension, frames = latents.shape
        counts = torch.tensor([codebooks] * batch if isinstance(codebooks, int) else list(codebooks))
        if len(counts) != batch or int(counts.min()) < 1 or int(counts.max()) > len(self.quantizer.layers):
            raise ValueError(
                f"expected 1 to {len(self.quantizer.layers)} codebooks for each of {batch} items, got {counts.tolist()}"
            )
        order, back = _sorted(tuple(counts.tolist()), latents.device)
        with torch.no_grad():
            if self.training and not self.started:
                self.start(latents)
            residual = _rows(latents[order]).clone()
            codes, assigned = [], []
            for index, codebook in enumerate(self.quantizer.codebooks[: _largest(counts)]):
                rows = residual[: int((counts > index).sum()) * frames].clone()
                indices = codebook.search(rows)
                residual[: len(rows)] -= F.embedding(indices, codebook.embed)
                assigned.append((rows, indices))
                codes.append(F.pad(indices, (0, len(residual) - len(indices))).view(batch, frames))
            if self.training:
                self._learn(assigned)
            residual = residual.view(batch, frames, dimension).transpose(1, 2)[back]
        # (x - residual) as a value, the identity as a derivative.
        return latents - residual.detach(), torch.stack(codes)[:, back]

    def _learn(self, assigned: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Moving averages of the first codebooks from the residuals `[M, D]` and the index of each one's codeword."""
        used = len(assigned)
        counts, sums = torch.zeros_like(self.counts[:used]), torch.zeros_like(self.sums[:used])
        for index, (rows, indices) in enumerate(assigned):
            counts[index].index_add_(0, indices, torch.ones_like(indices, dtype=counts.dtype))
            sums[index].index_add_(0, indices, rows)
        if dist.is_initialized():  # once for all codebooks: messages between processes cost more than what is in them
            dist.all_reduce(counts)
            dist.all_reduce(sums)
        self.counts[:used].mul_(self.decay).add_(counts, alpha=1 - self.decay)
        self.sums[:used].mul_(self.decay).add_(sums, alpha=1 - self.decay)
        for index, (rows, _) in enumerate(assigned):
            mean = self.counts[index].mean()
            dead = self.counts[index] < self.dead_below * mean
            # A CUDA graph cannot look at numbers while it is recorded.
            recording = rows.is_cuda and torch.cuda.is_current_stream_capturing()
            if recording or bool(dead.any()):
                pool = _gather(rows)
                source: dict[str, Any] = {"device": pool.device} if recording else {"generator": self.generator}
                chosen = torch.randint(len(pool), (len(dead),), **source).to(pool.device)
                # A newcomer counts as an average codeword, or it would be dead again at once.
                self.counts[index] = torch.where(dead, mean, self.counts[index])
                self.sums[index] = torch.where(dead.unsqueeze(1), pool[chosen] * mean, self.sums[index])
            self.quantizer.codebooks[index].embed.copy_(self.sums[index] / self.counts[index].unsqueeze(1))

    def get_extra_state(self) -> dict[str, Any]:
        return {"started": self.started, "generator": self.generator.get_state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.started = state["started"]
        self.generator.set_state(state["generator"].cpu())


def kmeans(points: Tensor, clusters: int, iterations: int, generator: torch.Generator, sample: int = 100_000) -> Tensor:
    """Lloyd's algorithm from random points of `[M, D]`: centres `[clusters, D]`. A cluster that is empty begins anew.

    The iterations run on at most `sample` points, then two on all of them: far from the end few points show the way,
    but a centre is only as good as the mean it is. With fewer points than clusters, points are repeated.
    """

    def some(count: int) -> Tensor:
        chosen = torch.randperm(len(points), generator=generator)
        if count > len(points):
            chosen = torch.randint(len(points), (count,), generator=generator)
        return points[chosen[:count].to(points.device)]

    centres = some(clusters).clone()
    few = some(sample) if len(points) > sample else points
    for part in [few] * iterations + [points] * (2 if len(points) > sample else 0):
        indices = torch.cat([nearest(rows, centres) for rows in torch.split(part, BLOCK)])
        counts = torch.bincount(indices, minlength=clusters)
        centres = torch.zeros_like(centres).index_add_(0, indices, part) / counts.clamp(min=1).unsqueeze(1)
        if int((counts == 0).sum()):
            centres[counts == 0] = some(int((counts == 0).sum()))
    return centres


@lru_cache(maxsize=8)
def _sorted(counts: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """The order of items by falling number of codebooks, and back: the rows that a codebook quantises come first.

    Kept, because a CUDA graph cannot contain the copy to the GPU.
    """
    order = torch.tensor(counts).argsort(descending=True, stable=True)
    return order.to(device), order.argsort().to(device)


def _rows(latents: Tensor) -> Tensor:
    return latents.detach().transpose(1, 2).reshape(-1, latents.shape[1])


def _largest(counts: Tensor) -> int:
    """Of all processes, which must update every codebook together."""
    most = counts.max()
    if dist.is_initialized():
        dist.all_reduce(most, dist.ReduceOp.MAX)
    return int(most)


def _gather(rows: Tensor) -> Tensor:
    """The rows of all processes, in the same order everywhere; processes may hold different numbers of rows."""
    if not dist.is_initialized():
        return rows
    parts: list[Tensor | None] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, rows.cpu())
    return torch.cat([cast(Tensor, part) for part in parts]).to(rows.device)
