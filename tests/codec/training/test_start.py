"""The companded start: the transform inverts, the wired networks carry it, the encoder learns it."""

from pathlib import Path

import pytest
import torch

from codec import CheckpointError, EncodecConfig, EncodecModel, audio
from codec.training import transform
from codec.training.configs import CONFIGS
from codec.training.data import Augmentation, Crops
from codec.training.start import companded_start, regression_errors
from codec.training.wiring import wire
from encodec_eval.datasets import load_set

SMALL = EncodecConfig(num_filters=8, num_lstm_layers=1, upsampling_ratios=(2, 4, 5, 8), use_conv_shortcut=False)


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """Real speech: the first clips of the bundled recordings."""
    folder = tmp_path_factory.mktemp("speech")
    for clip in load_set("librispeech-mini").clips[:6]:
        wav, rate = audio.load(clip.path)
        audio.save(folder / f"{Path(clip.path).stem}.flac", wav, rate)
    return Crops(folder, 24_000, 1, 9600, 12, Augmentation(mix_probability=0.0, silence_rms=0.01))


@pytest.fixture(scope="module")
def fitted(crops):
    wav = torch.cat([crops[step] for step in range(6)])
    return transform.fit(wav, tuple(reversed(SMALL.upsampling_ratios)), (16, 32, 64, 128))


def _si_snr_db(reference, estimate) -> float:
    scaled = (reference * estimate).sum() / estimate.pow(2).sum() * estimate
    return float(10 * torch.log10(reference.pow(2).sum() / (reference - scaled).pow(2).sum()))


def test_the_basis_is_orthonormal_and_latents_invert(crops, fitted):
    flat = fitted.basis.flatten(1)
    torch.testing.assert_close(flat @ flat.T, torch.eye(len(flat)), atol=1e-5, rtol=0)
    wav = crops[20]
    projected = torch.einsum("bcft,kct->bkf", wav.view(12, 1, -1, 320), fitted.basis)
    projected = torch.einsum("bkf,kct->bcft", projected, fitted.basis).flatten(2)
    torch.testing.assert_close(fitted.audio(fitted.latents(wav)), projected, atol=1e-5, rtol=0)
    assert _si_snr_db(wav, projected) > 11  # 102 of 320 coefficients hold speech


def test_companding_halves_the_spread_of_levels(crops, fitted):
    wav = crops[21]
    quiet, loud = fitted.latents(0.1 * wav), fitted.latents(wav)
    kept = len(fitted.basis)
    ratio = loud[:, :kept].norm() / quiet[:, :kept].norm()
    assert float(ratio) == pytest.approx(10**0.5, rel=0.1)  # 20 dB become 10
    levels = (loud - quiet)[:, kept:].mean() / transform.LEVEL_WEIGHT
    assert float(levels) == pytest.approx(2.303, rel=0.15)  # and stand in the levels, in nepers


def test_wired_decoder_inverts_the_transform(crops, fitted):
    torch.manual_seed(0)
    model = EncodecModel(SMALL)
    wire(model, fitted)
    wav = crops[22]
    latents = fitted.latents(wav)
    unused = torch.zeros(len(latents), SMALL.hidden_size - latents.shape[1], latents.shape[2])
    with torch.no_grad():
        decoded = model.decoder(torch.cat([latents, unused], dim=1))
    assert _si_snr_db(wav, decoded) > 9


def test_the_start_carries_stereo(crops):
    config = CONFIGS["encodec_48khz_tiny"].model
    mono = torch.cat([crops[step] for step in range(4)])
    wav = torch.cat([mono, 0.5 * mono.roll(40, dims=-1)], dim=1)
    stereo = transform.fit(wav, tuple(reversed(config.upsampling_ratios)), (16, 32, 64, 128))
    torch.manual_seed(0)
    model = EncodecModel(config)
    wire(model, stereo)
    latents = stereo.latents(wav)
    unused = torch.zeros(len(latents), config.hidden_size - latents.shape[1], latents.shape[2])
    with torch.no_grad():
        decoded = model.decoder(torch.cat([latents, unused], dim=1))
    assert _si_snr_db(wav[:, 0], decoded[:, 0]) > 6
    assert _si_snr_db(wav[:, 1], decoded[:, 1]) > 6


@pytest.mark.slow
def test_start_teaches_the_encoder_and_fits_the_codebooks(crops):
    """A small part of the real start: the encoder learns most of the transform, 24 kbps carry a waveform."""
    torch.manual_seed(0)
    model = EncodecModel(SMALL)
    fitted = companded_start(model, crops.__getitem__, transform_batches=6, encoder_steps=30, latents=15_000)
    wav = crops[100]
    with torch.no_grad():
        latents = model.encoder(wav)
        codes = model.quantizer.encode(latents)
        errors = [float((model.quantizer.decode(codes[:k]) - latents).pow(2).mean()) for k in (2, 8, 32)]
        decoded = model.decoder(model.quantizer.decode(codes))
    wanted = fitted.latents(wav)
    assert float(regression_errors(latents, wanted, len(fitted.basis))[0]) < 0.6
    assert float(latents.pow(2).mean()) > errors[0] > errors[1] > errors[2]
    assert _si_snr_db(wav, decoded) > 0


def test_an_architecture_that_cannot_carry_it_is_refused(fitted):
    with pytest.raises(CheckpointError, match="causal"):
        wire(EncodecModel(EncodecConfig(num_filters=8)), fitted)


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_every_configuration_builds(name):
    config = CONFIGS[name]
    model = EncodecModel(config.model)
    parameters = sum(value.numel() for value in model.state_dict().values())
    if "tiny" in name:
        assert parameters <= 6e6  # 12 MB in float16
    else:  # the paper's models: 14.85 M parameters beside the codebooks
        assert sum(value.numel() for value in model.parameters()) == pytest.approx(14.85e6, rel=0.01)
