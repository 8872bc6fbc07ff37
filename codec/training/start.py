"""The start of the small bundled models: a wired transform, an encoder taught to compand, codebooks by k-means.

A small network trained from random weights on a CPU learns almost nothing in an hour. This start costs minutes, and
leaves encoder and codebooks good enough to be frozen while the decoder is trained on audio.
"""

import logging
import math
from collections.abc import Callable

import torch
from torch import Tensor

from codec.model import EncodecModel
from codec.training import transform
from codec.training.optimizer import Muon, warmed_cosine
from codec.training.quantizer import QuantizerTrainer
from codec.training.transform import BlockTransform
from codec.training.wiring import wire

logger = logging.getLogger(__name__)

_LEVEL_SHARE = 3.0  # of the squared error of levels in the regression's loss, beside 1 of coefficients
_POWER_FLOOR = 0.1  # of a frame, relative to the mean: quiet frames need not be right to the last decibel
_WARM_UP = 20  # steps
_REPORTED = 20  # last steps that the reported errors are a mean of

Batches = Callable[[int], Tensor]  # step -> audio [B, C, T]


def companded_start(
    model: EncodecModel,
    batches: Batches,
    transform_batches: int = 50,
    encoder_steps: int = 1800,
    latents: int = 400_000,
    lr: float = 8e-3,
) -> BlockTransform:
    """Prepare `model` in place from training audio. Deterministic for the same batches and torch seed.

    Args:
        batches: audio `[B, C, T]` of a step, T a multiple of the hop.
        transform_batches: to fit the transform to. encoder_steps: of regression to it, at rates from `lr` to 0.
        latents: number of frames that the codebooks are fitted to.

    Returns the transform. Raises `CheckpointError` for an architecture that cannot carry it.
    """
    config = model.config
    ratios = tuple(reversed(config.upsampling_ratios))
    widths = [config.num_filters * 2 ** (index + 1) for index in range(len(ratios))]
    fitted = transform.fit(torch.cat([batches(i) for i in range(transform_batches)]), ratios, widths)
    wire(model, fitted)
    model.requires_grad_(True)
    error = teach_encoder(model, fitted, lambda i: batches(transform_batches + i), encoder_steps, lr)
    logger.info("encoder: %.1f dB of error in companded coefficients, %.2f dB in levels", *error)
    frames, step, parts = 0, transform_batches + encoder_steps, []
    with torch.no_grad():
        while frames < latents:
            parts.append(model.encoder(batches(step)))
            frames, step = frames + parts[-1].shape[0] * parts[-1].shape[2], step + 1
    QuantizerTrainer(model.quantizer).start(torch.cat(parts))
    return fitted


def teach_encoder(
    model: EncodecModel, fitted: BlockTransform, batches: Batches, steps: int, lr: float
) -> tuple[float, float]:
    """Train the encoder by regression. Returns the last steps' mean errors in dB: coefficients (relative), levels."""
    optimizer = Muon(model.encoder.parameters(), lr, vector_lr=1e-3, momentum=0.9)
    errors: list[tuple[float, float]] = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * warmed_cosine(step, steps, warmup_steps=_WARM_UP)
        wav = batches(step)
        coefficients, levels, unused = regression_errors(model.encoder(wav), fitted.latents(wav), len(fitted.basis))
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(coefficients + _LEVEL_SHARE * levels + unused)
        optimizer.step()
        level_db = 20 / math.log(10) * math.sqrt(float(levels.detach()) / len(fitted.bands)) / transform.LEVEL_WEIGHT
        errors.append((10 * math.log10(float(coefficients.detach())), level_db))
        if (step + 1) % 100 == 0:
            logger.info("encoder step %d: %.1f dB, levels %.2f dB", step + 1, *errors[-1])
    mean = torch.tensor(errors[-_REPORTED:]).mean(dim=0)
    return float(mean[0]), float(mean[1])


def regression_errors(latents: Tensor, wanted: Tensor, coefficients: int) -> tuple[Tensor, Tensor, Tensor]:
    """Squared errors of `[B, D, F]`: coefficients relative to a frame's power, levels, and latents without a use."""
    used = wanted.shape[1]
    error = (latents[:, :used] - wanted).pow(2)
    size = wanted[:, :coefficients].pow(2).sum(dim=1)
    relative = (error[:, :coefficients].sum(dim=1) / (size + _POWER_FLOOR)).mean()
    return relative, error[:, coefficients:].sum(dim=1).mean(), latents[:, used:].pow(2).sum(dim=1).mean()
