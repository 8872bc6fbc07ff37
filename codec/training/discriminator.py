"""Multi-scale STFT discriminator (paper, section 3.4): judges whether audio is real from complex spectrograms."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

_KERNEL = (3, 9)
_DILATIONS = (1, 2, 4)
_SLOPE = 0.2


class StftDiscriminator(nn.Module):
    """2D convolutions over one complex STFT (hop a quarter of the window), striding in frequency, dilated in time.

    Shape: `[B, C, T]` -> logits `[B, 1, frames, bands]` and the activations of its 5 layers.
    """

    def __init__(self, filters: int, channels: int = 1, window: int = 1024) -> None:
        super().__init__()
        # The spectrum is normalised by the energy of the window.
        hann = torch.hann_window(window)
        self.register_buffer("window", hann / hann.pow(2).sum().sqrt(), persistent=False)
        convs = [nn.Conv2d(2 * channels, filters, _KERNEL, padding=_same(_KERNEL))]
        convs += [
            nn.Conv2d(filters, filters, _KERNEL, (1, 2), dilation=(d, 1), padding=_same(_KERNEL, d)) for d in _DILATIONS
        ]
        convs.append(nn.Conv2d(filters, filters, (3, 3), padding=_same((3, 3))))
        # As in the reference code, the first convolution has no weight norm.
        self.convs = nn.ModuleList([convs[0], *(weight_norm(conv) for conv in convs[1:])])
        self.conv_post = weight_norm(nn.Conv2d(filters, 1, (3, 3), padding=_same((3, 3))))

    def forward(self, wav: Tensor) -> tuple[Tensor, list[Tensor]]:
        batch, channels, samples = wav.shape
        window = cast(Tensor, self.window)
        stft = torch.stft(
            wav.reshape(batch * channels, samples),
            len(window),
            len(window) // 4,
            window=window,
            center=False,
            return_complex=True,
        )
        stft = stft.view(batch, channels, *stft.shape[1:]).transpose(2, 3)
        x = torch.cat([stft.real, stft.imag], dim=1)
        activations = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), _SLOPE)
            activations.append(x)
        return self.conv_post(x), activations


class MultiScaleStftDiscriminator(nn.Module):
    """One `StftDiscriminator` per window length. The defaults are the paper's at 24 kHz; at 48 kHz windows are doubled.

    Shape: `[B, C, T]` with T of at least the longest window -> logits and activations of each discriminator.
    """

    def __init__(
        self, filters: int = 32, channels: int = 1, windows: Sequence[int] = (2048, 1024, 512, 256, 128)
    ) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(StftDiscriminator(filters, channels, window) for window in windows)

    def forward(self, wav: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        logits, activations = zip(*(each(wav) for each in self.discriminators), strict=True)
        return list(logits), list(activations)


def _same(kernel: tuple[int, int], dilation: int = 1) -> tuple[int, int]:
    return (kernel[0] - 1) * dilation // 2, (kernel[1] - 1) // 2
