"""The layers of SEANet, each able to run on a whole clip or on a stream piece by piece with the same result.

Activations are time-major, `[B, T, C]`: the samples a causal layer carries over are then one block of memory, and
1x1 and transposed convolutions are plain matrix products. Every layer has

    step(x, state, last) -> (y, state)

where `state` is what the layer needs of the past (None at the start of a clip, never changed in place) and `last`
says that nothing follows. `forward(x)` is `step(x, None, last=True)` without the state.
"""

import math
from typing import Any, TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.config import EncodecConfig
from codec.operations import add_product, elu, init_weights, pad

State: TypeAlias = Any  # None, a Tensor, or a nested tuple of these
FEW_FRAMES = 24  # for which oneDNN and nn.LSTM would rearrange their weights for longer than they compute


class Layer(nn.Module):
    """A layer without memory, and the base of those that have some."""

    def step(self, x: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.step(x, None, last=True)[0]


class Conv(Layer):
    """Convolution over time, after an ELU with `elu`, whose padding makes `ceil(T / stride)` frames of T samples.

    Causal: all fixed padding is on the left. Otherwise it is split, the larger half on the left. The last, incomplete
    frame is padded on the right. State: the samples `[B, *, C]`, after the ELU, that frames to come still need.
    """

    def __init__(
        self,
        config: EncodecConfig,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        elu: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, kernel_size, stride, dilation=dilation)
        self.norm = _norm(config, out_channels)
        self.causal = config.use_causal_conv
        self.pad_mode = config.pad_mode
        self.elu = elu
        self.stride = stride
        self.span = (kernel_size - 1) * dilation + 1
        self.padding = self.span - stride
        init_weights(self.conv, fan_in=in_channels * kernel_size)

    @property
    def matrix(self) -> Tensor:
        """The weight `[out, in]` of a 1x1 convolution."""
        return self.conv.weight[:, :, 0]

    def step(self, x: Tensor, state: Tensor | None, last: bool) -> tuple[Tensor, Tensor | None]:
        if not last:
            _require_streamable(self.causal, self.norm)
            if state is None and x.shape[1] <= self.padding:
                raise ValueError(f"a stream must begin with more than {self.padding} steps, not {x.shape[1]}")
        carried = 0 if state is None else state.shape[1] - self.padding
        left = self.padding if state is None else 0
        right = -(x.shape[1] + carried) % self.stride if last else 0
        if not self.causal:
            half = self.padding // 2
            left, right = left - half, right + half
        if self.elu:
            x = elu(x)  # before the padding, which repeats samples or adds zeros, and ELU(0) = 0
        if self.span == 1:
            return _normalise(self.norm, self._convolve(x)), None
        x = pad(x, state, left, right, self.pad_mode)
        frames = max(0, (x.shape[1] - self.span) // self.stride + 1)
        rest = None if last else x[:, frames * self.stride :].clone()
        if frames == 0:
            return x.new_empty(x.shape[0], 0, self.conv.out_channels), rest
        return _normalise(self.norm, self._convolve(x)), rest

    def _convolve(self, x: Tensor) -> Tensor:
        """The convolution of the padded `x`, in one of four ways by its shape.

        What each brings was measured as the time of a whole encoder or decoder without it, relative to with it: medians
        in one process with one thread, AMD EPYC, torch 2.14, two runs, 1 s of audio or a frame of a stream, released
        architectures and `encodec_24khz_tiny`. Ratios within 0.95 and 1.05 are noise.
        """
        if self.span == 1:
            return self._one_product(x)
        if self.span == self.conv.kernel_size[0] == 2 * self.stride:
            return self._two_products(x)
        if x.shape[1] - self.span < FEW_FRAMES * self.stride:
            return self._product_of_windows(x)
        return self._as_image(x)

    def _one_product(self, x: Tensor) -> Tensor:
        """A 1x1 convolution is a matrix product. 1.05 to 1.09 in frames of the small model's streams, else noise."""
        return F.linear(x, self.matrix, self.conv.bias)

    def _two_products(self, x: Tensor) -> Tensor:
        """Cut into rows of one stride, a frame is its row times half of the kernel plus the next row times the rest.

        0.92 to 1.07, no gain on that machine; the results of record have the rounding of this way.
        """
        rows = x[:, : x.shape[1] // self.stride * self.stride].reshape(len(x), -1, self.stride * x.shape[2])
        own, following = self.conv.weight.transpose(1, 2).reshape(self.conv.out_channels, 2, -1).unbind(dim=1)
        return add_product(F.linear(rows[:, :-1], own, self.conv.bias), rows[:, 1:], following.T)

    def _product_of_windows(self, x: Tensor) -> Tensor:
        """For few frames: one product, where oneDNN would rearrange the weights first.

        0.94 to 1.06, no gain on that machine; the results of record have the rounding of this way.
        """
        windows = x.unfold(1, self.span, self.stride)[..., :: self.conv.dilation[0]].transpose(2, 3).flatten(2)
        return F.linear(windows, self.conv.weight.transpose(1, 2).flatten(1), self.conv.bias)

    def _as_image(self, x: Tensor) -> Tensor:
        """One row of a channels_last image is this layout, and the fast path of oneDNN.

        Against `F.conv1d` 1.12 to 1.21 in 1 s of the released 24 kHz model, 1.01 to 1.32 in that of 48 kHz.
        """
        y = F.conv2d(
            x.transpose(1, 2).unsqueeze(2),
            self.conv.weight.unsqueeze(2),
            self.conv.bias,
            stride=(1, self.stride),
            dilation=(1, self.conv.dilation[0]),
        )
        return y.squeeze(2).transpose(1, 2)


class ConvTranspose(Layer):
    """ELU, then a transposed convolution that turns T frames into `T * stride` samples; its kernel is
    two strides long.

    Every frame writes two blocks of `stride` samples: one of its own and one that adds to the next frame's.
    Causal: `trim_right_ratio` of the surplus block is cut at the end, the rest at the start. Otherwise half at each.
    State: what the last frame adds to the next block, `[B, 1, stride * C]`.
    """

    def __init__(self, config: EncodecConfig, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(in_channels, out_channels, 2 * stride, stride)
        self.norm = _norm(config, out_channels)
        self.causal = config.use_causal_conv
        self.stride = stride
        self.trim_right = math.ceil(stride * config.trim_right_ratio) if self.causal else stride // 2
        init_weights(self.conv, fan_in=2 * in_channels)

    def step(self, x: Tensor, state: Tensor | None, last: bool) -> tuple[Tensor, Tensor | None]:
        if not last:
            _require_streamable(self.causal, self.norm)
        # The cuts together are one block; a causal model that cuts it all at the end never needs the block after the
        # last frame. A frame of zeros makes it where it is needed, for its samples or for the norm's statistics.
        flush = last and (self.trim_right < self.stride or self.norm is not None)
        if x.shape[1] == 0 and (state is None or not flush):
            return x.new_empty(x.shape[0], 0, self.conv.out_channels), None if last else state
        x = elu(x)
        if flush:
            x = torch.cat([x, x.new_zeros(x.shape[0], 1, x.shape[2])], dim=1)
        # The weight lies in memory as [in, kernel, out], see `init_weights`: each half is a matrix, no copy.
        own, following = self.conv.weight.transpose(1, 2).reshape(x.shape[2], 2, -1).unbind(dim=1)
        blocks = F.linear(x, own.T, cast(Tensor, self.conv.bias).repeat(self.stride))
        add_product(blocks[:, 1:], x[:, :-1], following)
        if state is not None:
            blocks[:, :1] += state
        samples = _normalise(self.norm, blocks.reshape(len(x), -1, self.conv.out_channels))
        start = self.stride - self.trim_right if state is None else 0
        end = samples.shape[1] - (self.trim_right if flush else 0)
        return samples[:, start:end], None if last else x[:, -1:] @ following


class Lstm(Layer):
    """LSTM with a skip connection. State: its hidden and cell state, each `[layers, B, C]`."""

    def __init__(self, config: EncodecConfig, channels: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, channels, config.num_lstm_layers)

    def step(self, x: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
        if x.shape[1] == 0:
            return x, state
        few = x.shape[1] <= FEW_FRAMES and x.device.type == "cpu" and not torch.compiler.is_compiling()
        run = self._frame_by_frame if few else self.lstm
        y, state = run(x.transpose(0, 1), state)
        return x + y.transpose(0, 1), None if last else state

    def _frame_by_frame(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """As nn.LSTM `[T, B, C]`: each layer takes its input of all frames in one product, then step after step."""
        if state is None:
            state = (x.new_zeros(self.lstm.num_layers, *x.shape[1:]),) * 2
        after = []
        for (w_in, w_hidden, b_in, b_hidden), hidden, cell in zip(self.lstm.all_weights, *state, strict=True):
            outputs = []
            for gates in F.linear(x, w_in, b_in + b_hidden):
                opened, kept, new, shown = torch.chunk(gates + F.linear(hidden, w_hidden), 4, dim=-1)
                cell = kept.sigmoid() * cell + opened.sigmoid() * new.tanh()
                hidden = shown.sigmoid() * cell.tanh()
                outputs.append(hidden)
            x = torch.stack(outputs)
            after.append((hidden, cell))
        hiddens, cells = zip(*after, strict=True)
        return x, (torch.stack(hiddens), torch.stack(cells))


class ResidualBlock(Layer):
    """ELU, convolution, ELU, 1x1 convolution, added to the input or to a 1x1 convolution of it.

    State: that of the first convolution, the only one with memory.
    """

    def __init__(self, config: EncodecConfig, channels: int, dilation: int) -> None:
        super().__init__()
        hidden = channels // config.compress
        self.block = nn.ModuleList(
            [
                nn.Identity(),  # the places of ELUs, which run inside the layer after them
                Conv(config, channels, hidden, config.residual_kernel_size, dilation=dilation, elu=True),
                nn.Identity(),
                Conv(config, hidden, channels, kernel_size=1, elu=True),
            ]
        )
        self.shortcut = Conv(config, channels, channels, kernel_size=1) if config.use_conv_shortcut else nn.Identity()

    def step(self, x: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
        _, conv, _, conv_out = cast(list[Conv], self.block)
        y, state = conv.step(x, state, last)
        shortcut = self.shortcut
        if not isinstance(shortcut, Conv) or shortcut.norm is not None:
            return shortcut(x) + conv_out(y), state
        bias = cast(Tensor, conv_out.conv.bias) + cast(Tensor, shortcut.conv.bias)
        return add_product(F.linear(elu(y), conv_out.matrix, bias), x, shortcut.matrix.T), state


def _norm(config: EncodecConfig, channels: int) -> nn.GroupNorm | None:
    # Weight norm is a parametrisation of training: it is folded into the weights at load.
    return nn.GroupNorm(1, channels) if config.norm_type == "time_group_norm" else None


def _normalise(norm: nn.GroupNorm | None, x: Tensor) -> Tensor:
    if norm is None:
        return x
    # One row of a channels_last image, which the norm reads and writes in place of order.
    return norm(x.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)


def _require_streamable(causal: bool, norm: nn.GroupNorm | None) -> None:
    if norm is not None or not causal:
        raise ValueError("a layer that is not causal, or normalises over time, cannot run on a stream")
