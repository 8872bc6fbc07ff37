"""SEANet: the convolutional encoder and decoder around the quantiser, built from `EncodecConfig`.

The modules stand at the indices of transformers' checkpoints, so the names of weights on disk are theirs; the
places of its ELUs are empty, because the layer after each runs it on the copy it pads.
"""

from typing import TypeAlias

import torch
from torch import Tensor, nn

from codec.config import EncodecConfig
from codec.layers import Conv, ConvTranspose, Layer, Lstm, ResidualBlock, State

States: TypeAlias = tuple[State, ...]


class Stack(Layer):
    """Layers one after the other. State: a tuple of theirs."""

    layers: nn.ModuleList
    block_frames = 128

    def __init__(self, config: EncodecConfig, layers: list[nn.Module], steps_per_frame: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.steps_per_frame = steps_per_frame
        self.warmup_frames = _warmup_frames(self.layers, steps_per_frame)
        self.streamable = config.use_causal_conv and config.norm_type == "weight_norm"

    def step(self, x: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
        """One step of a stream.

        Args:
            x: the new input, `[B, C, T]`; at the start of a stream at least `warmup_frames` frames,
                unless they are also its end.
            state: what the previous step returned; None at the start.
            last: nothing follows, give all that is left.

        Returns the new output `[B, C', T']` and the state for the next step.
        """
        lstm = next(i for i, layer in enumerate(self.layers) if isinstance(layer, Lstm))
        states = state or (None,) * len(self.layers)
        x, before = self._run_in_blocks(slice(0, lstm), x.transpose(1, 2), states[:lstm], last)
        x, at = self._run(slice(lstm, lstm + 1), x, states[lstm : lstm + 1], last)
        x, after = self._run_in_blocks(slice(lstm + 1, None), x, states[lstm + 1 :], last)
        return x.transpose(1, 2), before + at + after

    def _run(self, part: slice, x: Tensor, states: States, last: bool) -> tuple[Tensor, States]:
        after: list[State] = []
        for layer, state in zip(self.layers[part], states, strict=True):
            new = None
            if isinstance(layer, Layer):
                x, new = layer.step(x, state, last)
            after.append(new)
        return x, tuple(after)

    def _run_in_blocks(self, part: slice, x: Tensor, states: States, last: bool) -> tuple[Tensor, States]:
        """As `_run`, but one item and `block_steps` of its steps after the other, for the processor's cache.

        Only the LSTM, which reads all its weights every step, is faster on the whole batch. In training everything
        is: each operation costs a call forward, a node and a call backward.
        """
        if x.device.type != "cpu" or self.training:
            return self._run(part, x, states, last)
        if len(x) > 1 and last and all(state is None for state in states):
            return torch.cat([self._run_in_blocks(part, item, states, last)[0] for item in torch.split(x, 1)]), states
        steps = max(self.block_frames, self.warmup_frames) * (self.steps_per_frame if part.start == 0 else 1)
        if not self.streamable or x.shape[1] < 2 * steps:
            return self._run(part, x, states, last)
        outputs = []
        blocks = torch.split(x, steps, dim=1)
        for n, block in enumerate(blocks):
            output, states = self._run(part, block, states, last and n == len(blocks) - 1)
            outputs.append(output)
        return torch.cat(outputs, dim=1), states


class Encoder(Stack):
    """Waveform `[B, C, T]` to latents `[B, D, F]` with `F = ceil(T / hop_length)`."""

    def __init__(self, config: EncodecConfig) -> None:
        channels = config.num_filters
        layers: list[nn.Module] = [Conv(config, config.audio_channels, channels, config.kernel_size)]
        for ratio in reversed(config.upsampling_ratios):
            layers += _residual_blocks(config, channels)
            layers += [nn.Identity(), Conv(config, channels, 2 * channels, 2 * ratio, stride=ratio, elu=True)]
            channels *= 2
        layers += [Lstm(config, channels), nn.Identity()]
        layers += [Conv(config, channels, config.hidden_size, config.last_kernel_size, elu=True)]
        super().__init__(config, layers, config.hop_length)


class Decoder(Stack):
    """Latents `[B, D, F]` to waveform `[B, C, F * hop_length]`."""

    def __init__(self, config: EncodecConfig) -> None:
        channels = config.num_filters * 2 ** len(config.upsampling_ratios)
        layers: list[nn.Module] = [
            Conv(config, config.hidden_size, channels, config.kernel_size),
            Lstm(config, channels),
        ]
        for ratio in config.upsampling_ratios:
            layers += [nn.Identity(), ConvTranspose(config, channels, channels // 2, ratio)]
            channels //= 2
            layers += _residual_blocks(config, channels)
        layers += [nn.Identity(), Conv(config, channels, config.audio_channels, config.last_kernel_size, elu=True)]
        super().__init__(config, layers, 1)


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
