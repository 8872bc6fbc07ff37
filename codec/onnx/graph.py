"""Encoder and decoder as graphs of plain operations, for `torch.onnx.export`: the layers' own are tuned to the CPU.

Activations are channels first, `[B, C, T]`. All that depends on whether a graph sees a whole clip or the next piece of
a stream is in its memory: `_Clip` or `_Stream`.
"""

import math
from typing import TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.layers import Conv, ConvTranspose, Lstm, ResidualBlock
from codec.model import EncodecModel
from codec.seanet import Stack

_MOST_STATE = 2**22


class EncoderGraph(nn.Module):
    """Audio `[B, C, T]` and the number of codebooks `[1]` to codes `[B, K, F]`, and scales `[B, 1]` with `normalize`.

    With `stream` a state `[B, S]`, zeros at the start of a clip, comes after the audio and, changed, after the codes.
    """

    def __init__(self, model: EncodecModel, code_type: torch.dtype, stream: bool) -> None:
        super().__init__()
        self.stack = model.encoder
        self.normalize = model.config.normalize
        self.code_type = code_type
        self.stream = stream
        self.embeds = nn.ParameterList([book.embed.detach() for book in model.quantizer.codebooks])
        self.minus_half_norms = nn.ParameterList([-0.5 * embed.pow(2).sum(dim=1) for embed in self.embeds])

    def forward(self, audio: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        outputs = []
        if self.normalize:
            scale = audio.mean(dim=1).pow(2).mean(dim=-1, keepdim=True).sqrt() + 1e-8
            audio = audio / scale.unsqueeze(1)
            outputs.append(scale)
        memory = _Stream(others[0]) if self.stream else _Clip()
        latents = _run(self.stack, audio, memory).transpose(1, 2)
        residual = latents.reshape(-1, latents.shape[2])
        codes = []
        for embed, minus_half_norms in zip(self.embeds, self.minus_half_norms, strict=True):
            indices = F.linear(residual, embed, minus_half_norms).argmax(dim=1)
            residual = residual - F.embedding(indices, embed)
            codes.append(indices.view(latents.shape[:2]))
        every = torch.stack(codes, dim=1).to(self.code_type)
        wanted = _first_of_axis_1(every, others[-1])
        return (wanted, *outputs, *memory.after(audio))


class DecoderGraph(nn.Module):
    """Codes `[B, K, F]`, of any number of codebooks, to audio `[B, C, T]`; after the codes come scales `[B, 1]` with
    `normalize`, or with `stream` the state, as in `EncoderGraph`."""

    def __init__(self, model: EncodecModel, stream: bool) -> None:
        super().__init__()
        self.stack = model.decoder
        self.normalize = model.config.normalize
        self.stream = stream
        self.size = model.config.codebook_size
        self.embeds = nn.Parameter(torch.cat([book.embed.detach() for book in model.quantizer.codebooks]))

    def forward(self, codes: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        rows = codes.long() + self.size * torch.arange(codes.shape[1]).view(1, -1, 1)
        latents = F.embedding(rows, self.embeds).sum(dim=1).transpose(1, 2)
        memory = _Stream(others[0]) if self.stream else _Clip()
        audio = _run(self.stack, latents, memory)
        if self.normalize:
            audio = audio * others[0].unsqueeze(2)
        return (audio, *memory.after(audio))


def state_size(stack: Stack, channels: int) -> int:
    """How many numbers the state of one item of a stream has, for the encoder or decoder with so many channels in."""
    memory = _Stream(torch.zeros(1, _MOST_STATE))
    with torch.no_grad():
        _run(stack, torch.zeros(1, channels, stack.warmup_frames * stack.steps_per_frame), memory)
    return memory.place


class _Clip:
    """A whole clip: reflection before it and after, which sees zeros after a clip that is too short for it."""

    def pad(self, x: Tensor, left: int, half: int, stride: int) -> Tensor:
        """`left` steps before `x`, and after it `half` and those that complete the last frame, or more."""
        before, after = _reflections(x, left, half, half + stride - 1, stride)
        return torch.cat([*before, x, *after], dim=2)

    def add(self, x: Tensor, stride: int) -> Tensor:
        return x

    def lstm(self, x: Tensor) -> Tensor:
        return x.new_zeros(2, 1, x.shape[1], x.shape[2])

    def keep_lstm(self, state: Tensor) -> None:
        pass

    def after(self, x: Tensor) -> tuple[Tensor, ...]:
        return ()


class _Stream:
    """The next piece of a stream. The state `[B, S]` says in its first number whether the clip has begun.

    An incomplete last frame is completed as at the end of a clip; the state after it is of no use. A clip that ends in
    its first piece is the whole clip, however short.
    """

    def __init__(self, state: Tensor) -> None:
        self.state = state
        self.started = state[:, :1].unsqueeze(2) > 0
        self.place = 1
        self.kept: list[Tensor] = []

    def _take(self, *shape: int) -> Tensor:
        start, self.place = self.place, self.place + math.prod(shape)
        return self.state[:, start : self.place].reshape(-1, *shape)

    def pad(self, x: Tensor, left: int, half: int, stride: int) -> Tensor:
        before, after = _reflections(x, left, 0, stride - 1, stride)  # of a clip that begins here
        if left:
            x = torch.cat([torch.where(self.started, self._take(x.shape[1], left), *before), x], dim=2)
            self.kept.append(x[:, :, -left:].flatten(1))
        if stride == 1:
            return x
        later = x.index_select(2, x.shape[2] - 2 - torch.arange(stride - 1))
        return torch.cat([x, torch.where(self.started, later, *after)], dim=2)

    def add(self, x: Tensor, stride: int) -> Tensor:
        self.kept.append(x[:, :, -stride:].flatten(1))
        return torch.cat([x[:, :, :stride] + self._take(x.shape[1], stride), x[:, :, stride:]], dim=2)

    def lstm(self, x: Tensor) -> Tensor:
        return self._take(2, 1, x.shape[2]).permute(1, 2, 0, 3)

    def keep_lstm(self, state: Tensor) -> None:
        self.kept.append(state.permute(2, 0, 1, 3).flatten(1))

    def after(self, x: Tensor) -> tuple[Tensor, ...]:
        return (torch.cat([torch.ones_like(self.state[:, :1]), *self.kept], dim=1),)


_Memory: TypeAlias = _Clip | _Stream


def _reflections(x: Tensor, left: int, half: int, right: int, stride: int) -> tuple[list[Tensor], list[Tensor]]:
    """`left` steps before the clip `x`, and `right` steps after it: none, or one tensor each.

    They reflect the clip as if zeros made it long enough, for `half` and what completes the last frame, or for `left`.
    """
    count = torch.full((), x.shape[2], dtype=torch.int64)
    longest = torch.clamp(half + -count % stride, min=left) + 1
    last = torch.maximum(count, longest) - 1

    def reflected(positions: Tensor) -> Tensor:
        source = last - (last - positions).abs()
        inside = (source < count).to(x.dtype)
        return x.index_select(2, torch.minimum(source, count - 1).clamp(min=0)) * inside

    before = [reflected(torch.arange(left, 0, -1))] if left else []
    return before, [reflected(count + torch.arange(right))] if right else []


def _run(stack: Stack, x: Tensor, memory: _Memory) -> Tensor:
    for layer in stack.layers:
        if isinstance(layer, Conv):
            x = _conv(layer, x, memory)
        elif isinstance(layer, ConvTranspose):
            x = _conv_transpose(layer, x, memory)
        elif isinstance(layer, Lstm):
            x = _lstm(layer.lstm, x, memory)
        elif isinstance(layer, ResidualBlock):
            _, conv, _, conv_out = cast(list[Conv], layer.block)
            shortcut = _conv(layer.shortcut, x, memory) if isinstance(layer.shortcut, Conv) else x
            x = shortcut + _conv(conv_out, _conv(conv, x, memory), memory)
    return x


def _conv(layer: Conv, x: Tensor, memory: _Memory) -> Tensor:
    if layer.elu:
        x = F.elu(x)
    if layer.span > 1:
        half = 0 if layer.causal else layer.padding // 2
        x = memory.pad(x, layer.padding - half, half, layer.stride)
    y = F.conv1d(x, layer.conv.weight, layer.conv.bias, layer.stride, dilation=layer.conv.dilation)
    return y if layer.norm is None else _group_norm(layer.norm, y)


def _conv_transpose(layer: ConvTranspose, x: Tensor, memory: _Memory) -> Tensor:
    y = memory.add(F.conv_transpose1d(F.elu(x), layer.conv.weight, None, layer.stride), layer.stride)
    y = y + cast(Tensor, layer.conv.bias).unsqueeze(1)
    if layer.norm is not None:
        y = _group_norm(layer.norm, y)
    return y[:, :, layer.stride - layer.trim_right : y.shape[2] - layer.trim_right]


def _group_norm(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """Of one group. Its sums over a whole segment are in float64: runtimes add float32 one after the other, torch in
    blocks, and the difference can decide a code."""
    centred = x - x.double().mean(dim=(1, 2), keepdim=True).to(x.dtype)
    deviation = (centred.double().pow(2).mean(dim=(1, 2), keepdim=True) + norm.eps).sqrt().to(x.dtype)
    return centred / deviation * norm.weight.unsqueeze(1) + norm.bias.unsqueeze(1)


def _lstm(lstm: nn.LSTM, x: Tensor, memory: _Memory) -> Tensor:
    """ONNX's own operation: `torch.export` would unroll it."""
    size = lstm.hidden_size
    y = x.permute(2, 0, 1)  # [T, B, C]
    for w_in, w_hidden, b_in, b_hidden in lstm.all_weights:
        state = memory.lstm(y)
        reordered = [_gates_of_onnx(weight) for weight in (w_in, w_hidden, b_in, b_hidden)]
        inputs = (y, reordered[0], reordered[1], torch.cat(reordered[2:], dim=1), None, state[0], state[1])
        after = (1, y.shape[1], size)
        y, hidden, cell = torch.onnx.ops.symbolic_multi_out(
            "LSTM", inputs, {"hidden_size": size}, dtypes=(y.dtype,) * 3, shapes=((y.shape[0], *after), after, after)
        )
        memory.keep_lstm(torch.stack([hidden, cell]))
        y = y.squeeze(1)
    return x + y.permute(1, 2, 0)


def _gates_of_onnx(weight: Tensor) -> Tensor:
    """Torch's gates are in, forget, new, out; those of ONNX in, out, forget, new, with an axis for directions."""
    opened, kept, new, shown = weight.chunk(4)
    return torch.cat([opened, shown, kept, new]).unsqueeze(0)


def _first_of_axis_1(x: Tensor, count: Tensor) -> Tensor:
    """The first `count` `[1]` of `x`; the shape that the graph then claims is put right after the export."""
    inputs = (x, torch.zeros_like(count), count, torch.ones_like(count))
    return torch.onnx.ops.symbolic("Slice", inputs, dtype=x.dtype, shape=x.shape)
