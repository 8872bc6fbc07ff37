"""Losses of held-out recordings at every bandwidth, from whole clips through the exported model."""

from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from codec import audio
from codec.errors import AudioError
from codec.model import EncodecModel
from codec.training.data import EXTENSIONS
from codec.training.losses import LogMelLoss


class Validation:
    """Clips of a folder, at most `limit` of them evenly drawn, at most `longest_s` seconds of each.

    Raises `AudioError` for a folder without audio, or a file that cannot be read.
    """

    def __init__(self, folder: str | PathLike[str], limit: int | None = None, longest_s: float = 10.0) -> None:
        files = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in EXTENSIONS)
        if not files:
            raise AudioError(f"{folder} has no audio ({', '.join(EXTENSIONS)})")
        count = min(limit or len(files), len(files))
        self.files = [files[index * len(files) // count] for index in range(count)]
        self.longest_s = longest_s

    @torch.no_grad()
    def __call__(self, model: EncodecModel) -> dict[str, float]:
        """Mean SI-SNR in dB and log-mel loss in nepers, by names such as `si_snr_6`."""
        config = model.config
        log_mel = LogMelLoss(config.sampling_rate)
        rows: dict[str, list[float]] = {}
        for file in self.files:
            wav, rate = audio.load(file, 0, round(self.longest_s * audio.info(file).sample_rate))
            wav = audio.resample(audio.to_channels(wav, config.audio_channels), rate, config.sampling_rate)[None]
            for bandwidth in config.target_bandwidths:
                decoded = model(wav, bandwidth=bandwidth).audio_values
                rows.setdefault(f"si_snr_{bandwidth:g}", []).append(float(si_snr(wav, decoded)))
                rows.setdefault(f"log_mel_{bandwidth:g}", []).append(float(log_mel(wav, decoded)))
        return {name: sum(values) / len(values) for name, values in rows.items()}


def si_snr(reference: Tensor, estimate: Tensor) -> Tensor:
    """Scale-invariant SNR in dB of `[B, C, T]`, the mean over batch and channels (arXiv 1811.02508)."""
    reference, estimate = (x - x.mean(dim=-1, keepdim=True) for x in (reference, estimate))
    energy = reference.pow(2).sum(dim=-1, keepdim=True)
    target = (reference * estimate).sum(dim=-1, keepdim=True) / (energy + 1e-12) * reference
    ratio = target.pow(2).sum(dim=-1) / ((estimate - target).pow(2).sum(dim=-1) + 1e-12)
    return 10 * torch.log10(ratio + 1e-12).mean()
