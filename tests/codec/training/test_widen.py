"""Widening keeps what a network computes, and the new channels learn."""

from dataclasses import replace

import pytest
import torch

from codec import CheckpointError, EncodecConfig, EncodecModel
from codec.training.widen import narrow_latents, widen

NARROW = EncodecConfig(
    num_filters=4, num_lstm_layers=1, hidden_size=16, codebook_size=64, target_bandwidths=(0.9, 1.8), compress=2
)


def _models(**changes) -> tuple[EncodecModel, EncodecModel]:
    torch.manual_seed(0)
    return EncodecModel(NARROW).double(), EncodecModel(replace(NARROW, **changes)).double()


@pytest.mark.parametrize("shortcut", [True, False])
def test_a_wider_model_computes_the_same(shortcut):
    torch.manual_seed(0)
    narrow = EncodecModel(replace(NARROW, use_conv_shortcut=shortcut)).double()
    wide = EncodecModel(replace(NARROW, use_conv_shortcut=shortcut, num_filters=6)).double()
    widen(narrow, wide)
    wav = 0.1 * torch.randn(2, 1, 3 * 320 + 7, dtype=torch.float64)
    torch.testing.assert_close(wide.encoder(wav), narrow.encoder(wav), atol=1e-12, rtol=0)
    codes = narrow.encode(wav, bandwidth=1.8).audio_codes
    assert torch.equal(codes, wide.encode(wav, bandwidth=1.8).audio_codes)
    torch.testing.assert_close(wide.decode(codes, [None])[0], narrow.decode(codes, [None])[0], atol=1e-12, rtol=0)


def test_gradients_reach_the_new_channels():
    narrow, wide = _models(num_filters=6)
    widen(narrow, wide)
    wide.requires_grad_(True)
    wide.decoder(torch.randn(1, 16, 5, dtype=torch.float64)).pow(2).sum().backward()
    last = wide.decoder.layers[-1].conv.weight
    assert last[:, 4:].abs().max() == 0
    assert last.grad[:, 4:].abs().max() > 0


@pytest.mark.parametrize("changes", [{"num_filters": 3}, {"kernel_size": 5}, {"num_filters": 6, "num_lstm_layers": 2}])
def test_what_cannot_be_widened_is_refused(changes):
    with pytest.raises(CheckpointError, match="only be widened"):
        widen(*_models(**changes))


def test_latents_lose_dimensions_that_no_codeword_uses():
    torch.manual_seed(0)
    model = EncodecModel(replace(NARROW, hidden_size=20, codebook_dim=20)).double()
    space = torch.linalg.qr(torch.randn(20, 16, dtype=torch.float64)).Q
    for codebook in model.quantizer.codebooks:
        codebook.embed.copy_(codebook.embed @ space @ space.T)
    narrow = narrow_latents(model, 16).double()
    wav = 0.1 * torch.randn(2, 1, 3 * 320 + 7, dtype=torch.float64)
    codes = model.encode(wav, bandwidth=1.8).audio_codes
    assert torch.equal(codes, narrow.encode(wav, bandwidth=1.8).audio_codes)
    torch.testing.assert_close(narrow.decode(codes, [None])[0], model.decode(codes, [None])[0], atol=1e-6, rtol=0)


def test_latents_cannot_be_made_wider():
    with pytest.raises(CheckpointError, match="16 dimensions cannot be narrowed to 20"):
        narrow_latents(EncodecModel(NARROW), 20)


def test_normalised_latents_are_not_narrowed():
    with pytest.raises(CheckpointError, match="after time_group_norm"):
        narrow_latents(EncodecModel(replace(NARROW, norm_type="time_group_norm", use_causal_conv=False)), 8)
