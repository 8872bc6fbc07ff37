"""A checkpoint as a user would bring it, with random weights, and audio for it."""

from dataclasses import replace
from pathlib import Path

import torch

import codec
from codec.weights import FACEBOOK_CONFIGS


def random_48khz(folder: Path) -> Path:
    """A small network of the 48 kHz kind: stereo, group norm, scaled segments of 1 s that overlap."""
    torch.manual_seed(0)
    sizes = {"num_filters": 4, "num_lstm_layers": 1, "hidden_size": 16, "codebook_dim": 16}
    config = replace(FACEBOOK_CONFIGS["facebook/encodec_48khz"], **sizes)
    model = codec.EncodecModel(config)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith(".embed"):
                tensor.normal_()
    model.save_pretrained(folder)
    return folder


def save_noise(path: Path, channels: int, seconds: float = 1.15) -> None:
    """Noise at 48 kHz, of another level in each channel."""
    noise = torch.randn(channels, round(48_000 * seconds), generator=torch.Generator().manual_seed(0))
    codec.audio.save(path, noise * torch.tensor([[0.1], [0.05]])[:channels], 48_000)
