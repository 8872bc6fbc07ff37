"""A network of another size that computes what a trained one does, so that capacity can move in the middle of training.

Channels of the narrow network stand first in every layer and never see the new ones: those begin with random weights
for what they take in, and weights of 0 for what they give on. After T. Chen, I. Goodfellow, J. Shlens, "Net2Net",
ICLR 2016, but with new features in place of copies, since copies learn the same.
"""

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from codec.errors import CheckpointError
from codec.layers import Conv, Lstm
from codec.model import EncodecModel


@torch.no_grad()
def widen(narrow: EncodecModel, wide: EncodecModel) -> None:
    """Copy `narrow` into the freshly made `wide`, in place.

    Raises `CheckpointError` unless `wide` differs only in being wider: other strides, layers or codebooks do not fit.
    """
    same = ("upsampling_ratios", "hidden_size", "codebook_size", "num_lstm_layers", "use_conv_shortcut", "kernel_size")
    differing = [name for name in same if getattr(narrow.config, name) != getattr(wide.config, name)]
    if differing or narrow.config.num_filters > wide.config.num_filters:
        raise CheckpointError(
            f"a model can only be widened, but it differs in {', '.join(differing or ['num_filters'])}"
        )
    wide.quantizer.load_state_dict(narrow.quantizer.state_dict())
    others = dict(narrow.named_modules())
    for name, module in wide.named_modules():
        old = others[name]
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            assert isinstance(old, nn.Conv1d | nn.ConvTranspose1d)
            transposed = isinstance(module, nn.ConvTranspose1d)  # weights [in, out, k], otherwise [out, in, k]
            weights = (w.transpose(0, 1) if transposed else w for w in (old.weight, module.weight))
            _embed(*weights)
            _embed(_bias(old), _bias(module))
        elif isinstance(module, Lstm):
            assert isinstance(old, Lstm)
            for parameter, value in old.lstm.named_parameters():
                target = module.lstm.get_parameter(parameter)
                for part, into in zip(value.chunk(4), target.chunk(4), strict=True):  # of the four gates
                    _embed(part, into)


@torch.no_grad()
def narrow_latents(model: EncodecModel, size: int) -> EncodecModel:
    """A copy of `model` with latents of `size` dimensions: those along which its codewords reach furthest.

    Nothing is lost if the codewords lie in a space of `size` dimensions.

    Raises `CheckpointError` for a `size` that is not smaller than the model's `hidden_size`, and for a model that
    normalises its latents.
    """
    if not 0 < size < model.config.hidden_size:
        raise CheckpointError(f"latents of {model.config.hidden_size} dimensions cannot be narrowed to {size}")
    if model.config.norm_type != "weight_norm":
        raise CheckpointError(f"latents after {model.config.norm_type} cannot be narrowed; expected weight_norm")
    codewords = torch.cat([codebook.embed for codebook in model.quantizer.codebooks]).double()
    axes = torch.linalg.eigh(codewords.T @ codewords).eigenvectors[:, -size:].to(model.dtype)
    narrow = EncodecModel(replace(model.config, hidden_size=size, codebook_dim=size))
    state = model.state_dict()
    for name, value in narrow.state_dict().items():
        if value.shape == state[name].shape:
            value.copy_(state[name])
    for codebook, old in zip(narrow.quantizer.codebooks, model.quantizer.codebooks, strict=True):
        codebook.embed.copy_(old.embed @ axes)
    last, old_last = (cast(Conv, each.encoder.layers[-1]).conv for each in (narrow, model))
    last.weight.copy_(torch.einsum("dn,dik->nik", axes, old_last.weight))
    _bias(last).copy_(axes.T @ _bias(old_last))
    first, old_first = (cast(Conv, each.decoder.layers[0]).conv for each in (narrow, model))
    first.weight.copy_(torch.einsum("dn,odk->onk", axes, old_first.weight))
    return narrow


def _embed(old: Tensor, new: Tensor) -> None:
    """Old rows become what they were and read nothing new; new rows stay as they are."""
    rows = len(old)
    if old.ndim > 1:
        new[:rows, old.shape[1] :] = 0
        new[:rows, : old.shape[1]] = old
    else:
        new[:rows] = old


def _bias(conv: nn.Conv1d | nn.ConvTranspose1d) -> Tensor:
    assert conv.bias is not None
    return conv.bias
