"""What the measurements of coded speech share: their options, five recordings, one of each speaker, and the coding."""

import argparse

import torch
from torch import Tensor

import codec
from encodec_eval.datasets import load_set


def options(about: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--bandwidths", type=float, nargs="+", default=[1.5, 6.0, 24.0])
    return parser.parse_args()


def recordings(rate: int) -> list[Tensor]:
    """Bundled ones, each `[1, T]`."""
    paths = [clip.path for clip in load_set("librispeech-mini").clips][::6]
    return [codec.audio.resample(*codec.audio.load(path), rate) for path in paths]


def coded(model: codec.EncodecModel, wav: Tensor, bandwidth: float) -> Tensor:
    """`[1, T]` after the codec."""
    with torch.inference_mode():
        return model(wav[None], bandwidth=bandwidth).audio_values[0, :, : wav.shape[-1]]
