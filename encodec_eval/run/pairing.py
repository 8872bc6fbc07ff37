"""Reference and output side by side: one rate, one length, no lag. Done once a pair; metrics are formulas only."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.audio import MAX_RATE, MIN_RATE, resample, to_channels
from encodec_eval.types import Metric, UndefinedError

MAX_LAG_S = 0.05
MISSING_S = 0.05
EXCESS_S = 0.25
SILENCE = 1e-5


class Pair:
    """A clip and what a system made of it, aligned at the clip's own rate; `lag_s` is the delay that was removed.

    `reference` is `[C, T]` at `sample_rate`. The output is resampled to that rate and brought to as many channels.
    Raises `UndefinedError` where no metric has a meaning: a wrong shape or rate, NaN or infinite samples, a silent
    reference or output, or an output that lacks more than 50 ms or exceeds the reference by more than 250 ms (decoders
    may pad the end).
    """

    def __init__(self, reference: Tensor, sample_rate: int, output: Tensor, output_rate: int) -> None:
        if output.ndim != 2 or output.shape[0] not in (1, 2) or not output.numel():
            raise UndefinedError(f"the output has shape {list(output.shape)}; expected [1 or 2, samples]")
        if not MIN_RATE <= output_rate <= MAX_RATE:
            raise UndefinedError(f"the output has {output_rate} Hz; expected {MIN_RATE} to {MAX_RATE}")
        if not torch.isfinite(output).all():
            raise UndefinedError("the output holds NaN or infinite samples")
        for name, wav in (("reference", reference), ("output", output)):
            if wav.abs().max() < SILENCE:
                raise UndefinedError(f"the {name} is silent (peak below {SILENCE:g})")
        estimate = resample(to_channels(output, reference.shape[0]), output_rate, sample_rate)
        excess_s = (estimate.shape[-1] - reference.shape[-1]) / sample_rate
        if not -MISSING_S <= excess_s <= EXCESS_S:
            raise UndefinedError(
                f"the output is {abs(excess_s):.3f} s {'longer' if excess_s > 0 else 'shorter'} than the clip"
            )
        lag = find_lag(reference.mean(0), estimate.mean(0), round(MAX_LAG_S * sample_rate))
        reference, estimate = reference[:, max(-lag, 0) :], estimate[:, max(lag, 0) :]
        length = min(reference.shape[-1], estimate.shape[-1])
        self.sample_rate = sample_rate
        self.lag_s = lag / sample_rate
        self._audio = torch.stack([reference[:, :length], estimate[:, :length]])
        self._cache: dict[tuple[int, str], NDArray[np.float64]] = {}

    def at(self, sample_rate: int | None, channels: Literal["mono", "each"]) -> tuple[NDArray[np.float64], int]:
        """Both as `[2, C, T]` (reference first) at a rate, None for the clip's own, and that rate."""
        rate = sample_rate or self.sample_rate
        if (rate, channels) not in self._cache:
            audio = self._audio.mean(1, keepdim=True) if channels == "mono" else self._audio
            self._cache[rate, channels] = resample(audio, self.sample_rate, rate).double().numpy()
        return self._cache[rate, channels], rate


def measure(metric: Metric, pair: Pair) -> float:
    """A pair metric's value: the mean over channels, and over pieces by their length where it limits that.

    Raises `UndefinedError` if any piece has no value: a mean over the rest would hide it.
    """
    audio, rate = pair.at(metric.sample_rate, metric.channels)
    pieces = split(audio, metric.max_piece_s, rate)
    values = []
    for n, piece in enumerate(pieces):
        try:
            channels = [metric.function(piece[0, c], piece[1, c], rate) for c in range(piece.shape[1])]
        except UndefinedError as error:
            raise UndefinedError(
                f"piece {n + 1} of {len(pieces)}: {error}" if len(pieces) > 1 else str(error)
            ) from error
        values.append(float(np.mean(channels)))
    value = float(np.average(values, weights=[piece.shape[-1] for piece in pieces]))
    if not np.isfinite(value):
        raise UndefinedError(f"{metric.name} gave {value}")
    return value


def split(audio: NDArray[np.float64], max_piece_s: float | None, sample_rate: int) -> list[NDArray[np.float64]]:
    """`[..., T]` in the fewest equal pieces that are not longer than `max_piece_s`."""
    length = audio.shape[-1]
    count = 1 if max_piece_s is None else max(1, int(np.ceil(length / (max_piece_s * sample_rate))))
    return np.array_split(audio, count, axis=-1)


def find_lag(reference: Tensor, estimate: Tensor, max_lag: int) -> int:
    """Samples by which `estimate [T]` comes late, by the largest cross-correlation of either sign within `max_lag`.

    Zero unless another lag correlates by more than 1 % better, so that noise does not move an output that is in time.
    """
    size = 1 << (max(reference.shape[-1], estimate.shape[-1]) + max_lag).bit_length()
    spectrum = torch.fft.rfft(estimate.double(), size) * torch.fft.rfft(reference.double(), size).conj()
    correlation = torch.fft.irfft(spectrum, size).abs()
    around = torch.cat([correlation[-max_lag:], correlation[: max_lag + 1]])
    best = int(around.argmax())
    return best - max_lag if around[best] > 1.01 * around[max_lag] else 0
