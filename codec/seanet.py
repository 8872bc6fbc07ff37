"""SEANet: the convolutional encoder and decoder around the quantiser, built from `EncodecConfig`.

The modules stand at the indices of transformers' checkpoints, so the names of weights on disk are theirs.
"""

from typing import cast

from torch import Tensor, nn

from codec.config import EncodecConfig
from codec.layers import Conv, ConvTranspose, Elu, Layer, Lstm, ResidualBlock, State


class Stack(Layer):
    """Layers one after the other. State: a tuple of theirs."""

    layers: nn.ModuleList

    def step(self, x: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
        """One step of a stream.

        Args:
            x: the new input, `[B, C, T]`; at the start of a stream that goes on, at least `warmup_frames` frames of it.
            state: what the previous step returned; None at the start.
            last: nothing follows, give all that is left.

        Returns the new output `[B, C', T']` and the state for the next step.
        """
        x = x.transpose(1, 2)
        states = []
        for layer, before in zip(cast(list[Layer], self.layers), state or [None] * len(self.layers), strict=True):
            x, after = layer.step(x, before, last)
            states.append(after)
        return x.transpose(1, 2), tuple(states)


class Encoder(Stack):
    """Waveform `[B, C, T]` to latents `[B, D, F]` with `F = ceil(T / hop_length)`."""

    def __init__(self, config: EncodecConfig) -> None:
        super().__init__()
        channels = config.num_filters
        layers: list[nn.Module] = [Conv(config, config.audio_channels, channels, config.kernel_size)]
        for ratio in reversed(config.upsampling_ratios):
            layers += _residual_blocks(config, channels)
            layers += [Elu(), Conv(config, channels, 2 * channels, 2 * ratio, stride=ratio)]
            channels *= 2
        layers += [Lstm(config, channels), Elu(), Conv(config, channels, config.hidden_size, config.last_kernel_size)]
        self.layers = nn.ModuleList(layers)
        self.warmup_frames = _warmup_frames(self.layers, config.hop_length)


class Decoder(Stack):
    """Latents `[B, D, F]` to waveform `[B, C, F * hop_length]`."""

    def __init__(self, config: EncodecConfig) -> None:
        super().__init__()
        channels = config.num_filters * 2 ** len(config.upsampling_ratios)
        layers: list[nn.Module] = [
            Conv(config, config.hidden_size, channels, config.kernel_size),
            Lstm(config, channels),
        ]
        for ratio in config.upsampling_ratios:
            layers += [Elu(), ConvTranspose(config, channels, channels // 2, ratio)]
            channels //= 2
            layers += _residual_blocks(config, channels)
        layers += [Elu(), Conv(config, channels, config.audio_channels, config.last_kernel_size)]
        self.layers = nn.ModuleList(layers)
        self.warmup_frames = _warmup_frames(self.layers, 1)


def _residual_blocks(config: EncodecConfig, channels: int) -> list[nn.Module]:
    return [ResidualBlock(config, channels, config.dilation_growth_rate**j) for j in range(config.num_residual_layers)]


def _warmup_frames(layers: nn.ModuleList, steps_per_frame: int) -> int:
    """Frames a stream must begin with so that every convolution can reflect more steps than it pads."""
    frames, delay = 1, 0
    for layer in layers:
        for module in layer.modules():
            if isinstance(module, Conv):
                frames = max(frames, module.padding // steps_per_frame + 1)
        if isinstance(layer, ConvTranspose):
            steps_per_frame *= layer.stride
            delay += layer.trim_right < layer.stride  # it holds back less than one of its input steps
        elif isinstance(layer, Conv):
            steps_per_frame //= layer.stride
    return frames + delay
