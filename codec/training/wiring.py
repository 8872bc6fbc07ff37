"""Weights set by hand, so that a fresh network begins as the block transform of `codec.training.transform`.

Carried channels stand first in every layer, at `OFFSET` plus a signal of small deviation: there ELU is the identity.
Residual blocks and LSTMs begin almost silent, their skip connections carry the signal. Spare channels of the encoder
begin as level detectors; LSTM cells of both networks begin as gains that the levels control.
"""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from codec.errors import CheckpointError
from codec.layers import Conv, ConvTranspose, Lstm, ResidualBlock
from codec.model import EncodecModel
from codec.training.transform import EXPONENT, LEVEL_WEIGHT, BlockTransform

OFFSET = 0.25
DEVIATION = 0.12  # of carried channels
_LAST_DEVIATION = 0.06  # of those the encoder's LSTM raises
_DECODER_DEVIATION = 0.03  # of those the decoder's LSTM has raised
_ENCODER_GAIN, _DECODER_GAIN = 6.0, 14.0  # most that an LSTM adds to a signal, in units of the signal
_DECODER_REST = 0.25  # of the signal passes the decoder's LSTM at its lowest gain
_LEVEL_SCALE = 0.3  # of a level in nepers in the decoder
# Random weights are scaled by these where they stand beside the signal: small enough not to disturb it at the start,
# large enough that gradients reach them.
_QUIET_RESIDUAL = 0.01  # of a residual block's output
_QUIET_CELLS = 0.03  # of an LSTM's cell inputs
_QUIET_LATENTS = 0.1  # latents that carry no coefficient
_QUIET_DECODER_INPUTS = 0.3  # channels of the decoder's first layer that carry nothing
_QUIET_WAVEFORM = 1e-3  # of the last layer, which makes the waveform
_QUIET_SIGNAL_IN_LEVELS, _QUIET_LEVELS = 0.1, 0.3  # what a level takes from carried channels, and from other levels
_QUIET_OUTPUT_GATE = -1.5  # bias: such a gate passes 18 %
_ENCODER_GATES = -1.0  # bias of both gates of the encoder's gains: together such gates pass 7 %
_LEVEL_GATE = 1.0  # bias of output gates of cells that carry nothing: such a gate passes 73 %
_FORGETTING_GATE = -4.0  # bias: such a gate keeps 2 % of a cell, so that a gain is of the present frame alone
_QUIET_GATES = 0.1  # of the gates' inputs from the signal
_QUIET_RECURRENCE = 0.3
_LOUD_CELLS = 30  # of cells that carry nothing, relative to `_QUIET_CELLS`: there they are to shape the levels
_DETECTOR_DEVIATION = 2.4  # of a detector's hidden unit before its ELU, where the signal has its usual level
_DETECTOR_GAIN = 0.15
_DETECTOR_WIDTH = 0.4  # of the carried channels that one detector sees
_LEVEL_OFFSET = 0.1
_LEAST_DEVIATION = 0.03  # of a channel, relative to the loudest of its stage: bounds what the quietest is raised by
_INPUT_GATE, _FORGET_GATE, _CELL, _OUTPUT_GATE = range(4)  # the order of rows in the weights of nn.LSTM
_LEVEL_PASS = 1.5  # sum of the weights that pass a level on to the next stage


@torch.no_grad()
def wire(model: EncodecModel, transform: BlockTransform) -> None:
    """Set the weights of both networks. Raises `CheckpointError` where the architecture cannot carry the transform."""
    config = model.config
    if not config.use_causal_conv or config.use_conv_shortcut or config.num_lstm_layers != 1:
        raise CheckpointError("a companded start needs causal convolutions, identity shortcuts and one LSTM layer")
    if config.norm_type != "weight_norm" or len(transform.basis) + len(transform.bands) > config.hidden_size:
        raise CheckpointError("a companded start needs weight_norm and a latent for every coefficient and level")
    for module in model.modules():
        if isinstance(module, ResidualBlock):
            cast(Conv, module.block[3]).conv.weight.mul_(_QUIET_RESIDUAL)
        if isinstance(module, Lstm):
            lstm: Any = module.lstm
            for weights in lstm.parameters():
                weights[_rows(lstm, _CELL)].mul_(_QUIET_CELLS)
            lstm.bias_ih_l0[_rows(lstm, _OUTPUT_GATE)] = _QUIET_OUTPUT_GATE
    _wire_encoder(model, transform)
    _wire_decoder(model, transform)


def _wire_encoder(model: EncodecModel, transform: BlockTransform) -> None:
    layers = model.encoder.layers
    first, *strided, last = [layer for layer in layers if isinstance(layer, Conv)]
    carried = [model.config.audio_channels, *(len(stage.basis) for stage in transform.stages)]
    scales = _scales(transform, _LAST_DEVIATION)
    first.conv.weight[: carried[0]] = 0
    first.conv.weight[: carried[0], :, -1] = torch.diag(scales[0])
    _bias(first.conv)[: carried[0]] = OFFSET
    for index, (conv, stage) in enumerate(zip(strided, transform.stages, strict=True)):
        n, kept, weight = carried[index], carried[index + 1], conv.conv.weight
        weight[:kept] = 0
        weight[:kept, :n, conv.stride :] = stage.basis * scales[index + 1].view(-1, 1, 1) / scales[index].view(-1, 1)
        _centre(conv, kept, n)
        _pass_levels(conv, n, kept)
    below = iter(carried)
    n = next(below)
    for layer in layers[1:]:
        if isinstance(layer, ResidualBlock):
            _detect_levels(layer, n)
        elif isinstance(layer, Conv) and layer is not last:
            n = next(below)
    kept, bands = len(transform.basis), len(transform.bands)
    last.conv.weight[:kept] = 0
    last.conv.weight[kept:].mul_(_QUIET_LATENTS)
    last.conv.weight[:kept, :kept, -1] = torch.diag(transform.weights * transform.gain / scales[-1])
    _centre(last, kept, kept)
    last.conv.weight[kept + bands :].fill_(0)
    lstm: Any = next(layer for layer in layers if isinstance(layer, Lstm)).lstm
    _make_gains(lstm, kept, _ENCODER_GAIN, gate_bias=_ENCODER_GATES)
    lstm.weight_ih_l0[_rows(lstm, _CELL, kept)].mul_(_LOUD_CELLS)
    lstm.bias_ih_l0[_rows(lstm, _OUTPUT_GATE, kept)] = _LEVEL_GATE


def _wire_decoder(model: EncodecModel, transform: BlockTransform) -> None:
    layers = model.decoder.layers
    first, last = (layer for layer in layers if isinstance(layer, Conv))
    transposed = [layer for layer in layers if isinstance(layer, ConvTranspose)][::-1]
    carried = [model.config.audio_channels, *(len(stage.basis) for stage in transform.stages)]
    scales = _scales(transform, _DECODER_DEVIATION)
    kept = len(transform.basis)
    first.conv.weight[:kept] = 0
    first.conv.weight[kept:].mul_(_QUIET_DECODER_INPUTS)
    rest = scales[-1] / (transform.weights * transform.gain) * _DECODER_REST
    first.conv.weight[:kept, :kept, -1] = torch.diag(rest)
    _bias(first.conv)[:kept] = OFFSET
    for index in range(len(transform.bands)):
        first.conv.weight[kept + index].fill_(0)
        first.conv.weight[kept + index, kept + index, -1] = _LEVEL_SCALE / LEVEL_WEIGHT
    first.conv.weight[-1] = 0
    _bias(first.conv)[-1] = 1.0
    lstm: Any = next(layer for layer in layers if isinstance(layer, Lstm)).lstm
    # sigmoid(b)^2 of the gain on top of the rest gives 1 at the mean level, and w the slope of its logarithm there.
    share = (1 / _DECODER_REST - 1) / _DECODER_GAIN
    half = math.sqrt(share)
    _make_gains(lstm, kept, _DECODER_GAIN, gate_bias=math.log(half / (1 - half)))
    slope = EXPONENT / (2 * (1 - half) * (1 - _DECODER_REST)) / _LEVEL_SCALE
    for gate in (_INPUT_GATE, _OUTPUT_GATE):
        for index, band in enumerate(transform.bands):
            lstm.weight_ih_l0[gate * lstm.hidden_size + band, kept + index] = slope
    for index, (conv, stage) in enumerate(zip(transposed, transform.stages, strict=True)):
        n, above, weight = carried[index], carried[index + 1], conv.conv.weight
        own = stage.basis * scales[index].view(-1, 1) / scales[index + 1].view(-1, 1, 1)
        weight[:, :n].fill_(0)
        weight[:above, :n, : conv.stride] = own
        # The inputs' offsets make a constant that differs from tap to tap: a channel that is always 1 cancels it.
        weight[-1, :n, : conv.stride] = -OFFSET * own.sum(dim=0)
        _bias(conv.conv)[:n] = OFFSET
        weight[:, -1].fill_(0)
        _bias(conv.conv)[-1] = 1.0
    last.conv.weight.mul_(_QUIET_WAVEFORM)
    last.conv.weight[:, : carried[0]] = 0
    last.conv.weight[:, : carried[0], -1] = torch.diag(1 / scales[0])
    _bias(last.conv)[:] = -OFFSET / scales[0]


def _scales(transform: BlockTransform, last_deviation: float) -> list[Tensor]:
    """What carried channels are multiplied with after each stage, from the waveform on, to reach their deviation."""
    stages = transform.stages
    wave = torch.full((stages[0].basis.shape[1],), DEVIATION / _wave_deviation(transform))
    scales = [wave]
    for stage in stages:
        deviation = last_deviation if stage is stages[-1] else DEVIATION
        scales.append(deviation / stage.deviations.clamp(min=_LEAST_DEVIATION * float(stage.deviations.max())))
    return scales


def _wave_deviation(transform: BlockTransform) -> float:
    """Of the waveform: the basis is orthonormal, so powers add up."""
    first = transform.stages[0]
    return float((first.deviations.pow(2).sum() / first.basis[0].numel()).sqrt())


def _centre(conv: Conv, rows: int, inputs: int) -> None:
    """The bias that cancels the offsets of the inputs; all but latents get an offset of their own."""
    offset = 0.0 if conv.stride == 1 else OFFSET
    _bias(conv.conv)[:rows] = offset - OFFSET * conv.conv.weight[:rows, :inputs].sum(dim=(1, 2))


def _bias(conv: nn.Conv1d | nn.ConvTranspose1d) -> Tensor:
    return cast(Tensor, conv.bias)


def _detect_levels(block: ResidualBlock, carried: int) -> None:
    """Pairs of hidden units see opposite sides of a random mixture of neighbouring channels; their sum is its size."""
    first, last = cast(Conv, block.block[1]).conv, cast(Conv, block.block[3]).conv
    pairs, spare = first.out_channels // 2, last.out_channels - carried
    if not pairs or not spare:
        return
    width = max(1, int(_DETECTOR_WIDTH * carried))
    first.weight.fill_(0)
    last.weight[carried:].fill_(0)
    for pair in range(pairs):
        start = max(0, pair * carried // pairs - width // 2)
        window = first.weight[pair, start : min(carried, start + width)]
        window.normal_(std=_DETECTOR_DEVIATION / DEVIATION / math.sqrt(first.kernel_size[0] * carried))
        first.weight[pairs + pair] = -first.weight[pair]
        target = carried + pair * spare // pairs
        last.weight[target, [pair, pairs + pair]] = _DETECTOR_GAIN / max(1.0, pairs / spare) ** 0.5
    _bias(first)[:] = -OFFSET * first.weight[:, :carried].sum(dim=(1, 2))


def _pass_levels(conv: Conv, carried: int, kept: int) -> None:
    """Spare channels pass on the mean of spare channels below."""
    weight = conv.conv.weight
    spare_in, spare_out = weight.shape[1] - carried, weight.shape[0] - kept
    weight[kept:, :carried].mul_(_QUIET_SIGNAL_IN_LEVELS)
    weight[kept:, carried:].mul_(_QUIET_LEVELS)
    for index in range(spare_out):
        weight[kept + index, carried + index * spare_in // spare_out] += _LEVEL_PASS / weight.shape[2]
    _bias(conv.conv)[kept:] = _LEVEL_OFFSET


def _make_gains(lstm: Any, carried: int, most: float, gate_bias: float) -> None:
    """Cells of carried channels: their own input, times two gates; they forget at once."""
    lstm.weight_hh_l0.mul_(_QUIET_RECURRENCE)
    for gate in (_INPUT_GATE, _OUTPUT_GATE):
        rows = _rows(lstm, gate, 0, carried)
        lstm.weight_ih_l0[rows].mul_(_QUIET_GATES)
        lstm.weight_hh_l0[rows].mul_(_QUIET_GATES)
        lstm.bias_ih_l0[rows] = gate_bias
        lstm.bias_hh_l0[rows] = 0
    lstm.bias_ih_l0[_rows(lstm, _FORGET_GATE, 0, carried)] = _FORGETTING_GATE
    lstm.bias_hh_l0[_rows(lstm, _FORGET_GATE)] = 0
    rows = _rows(lstm, _CELL, 0, carried)
    lstm.weight_ih_l0[rows].fill_(0)
    lstm.weight_hh_l0[rows].fill_(0)
    lstm.weight_ih_l0[rows, :carried] = most * torch.eye(carried)
    lstm.bias_ih_l0[rows] = -most * OFFSET
    lstm.bias_hh_l0[rows] = 0


def _rows(lstm: Any, part: int, first: int = 0, end: int | None = None) -> slice:
    """Rows of an LSTM's weights: of one of its gates or its cell inputs, from cell `first` to before `end`."""
    start = part * lstm.hidden_size
    return slice(start + first, start + (lstm.hidden_size if end is None else end))
