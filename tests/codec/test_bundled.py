"""The bundled checkpoints on real recordings: they carry the sound, keep quiet, and open in transformers."""

from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor

import codec
import encodec_eval
from codec import audio, hub
from tests.oracles import assert_same_codes

DATA = Path(encodec_eval.__file__).parent / "data"
SPEECH = DATA / "librispeech-mini/test-other/1688/142285/1688-142285-0001.flac"
GUITAR = DATA / "clips-48k/guit_em9.flac"
LEAST_DB = {"encodec_48khz_tiny": 12.0}  # SNR at the highest rate; others reach 7 dB


def _clip(name: str) -> Path:
    config = codec.EncodecConfig.from_pretrained(name)
    return GUITAR if config.audio_channels == 2 else SPEECH


CLIPS = [(name, _clip(name), LEAST_DB.get(name, 7.0)) for name in hub.bundled_models()]


def clip_for(model: codec.EncodecModel, path: Path, duration_s: float = 4.0) -> Tensor:
    wav, rate = audio.load(path)
    wav = audio.resample(audio.to_channels(wav, model.config.audio_channels), rate, model.config.sampling_rate)
    return wav[None, :, : round(duration_s * model.config.sampling_rate)]


def round_trip(model: codec.EncodecModel, x: Tensor, bandwidth: float) -> Tensor:
    encoded = model.encode(x, bandwidth=bandwidth)
    return model.decode(encoded.audio_codes, encoded.audio_scales).audio_values[..., : x.shape[-1]]


def test_the_bundled_models_are_found():
    assert {"encodec_24khz_tiny", "encodec_48khz_tiny"} <= set(hub.bundled_models())


@pytest.mark.parametrize(("name", "path", "least_db"), CLIPS)
def test_every_bandwidth_is_better_than_the_one_below(name, path, least_db):
    model = codec.load_model(name)
    x = clip_for(model, path)
    outputs = [round_trip(model, x, kbps) for kbps in model.config.target_bandwidths]
    snr_db = [float(10 * torch.log10(x.pow(2).sum() / (y - x).pow(2).sum())) for y in outputs]
    assert snr_db == sorted(snr_db)
    assert snr_db[-1] > least_db
    assert all(abs(float((y - x).mean())) < 0.005 for y in outputs), "an offset was added"


@pytest.mark.parametrize(("name", "path", "least_db"), CLIPS)
def test_silence_stays_silent(name, path, least_db):
    model = codec.load_model(name)
    silence = torch.zeros_like(clip_for(model, path, 2.5))
    for kbps in model.config.target_bandwidths:
        assert float(round_trip(model, silence, kbps).abs().max()) < 2e-3, f"{kbps} kbps"


@pytest.mark.parametrize(("name", "path", "least_db"), CLIPS)
def test_full_scale_is_not_exceeded_by_much(name, path, least_db):
    model = codec.load_model(name)
    x = clip_for(model, path)
    x = x / x.abs().max()
    for kbps in model.config.target_bandwidths:
        assert 0.2 < float(round_trip(model, x, kbps).abs().max()) < 1.5, f"{kbps} kbps"


def test_segments_join_without_a_click():
    """Where segments of the 48 kHz model meet, the error is no rougher than within them."""
    model = codec.load_model("encodec_48khz_tiny")
    x = clip_for(model, GUITAR, 8.0)
    error = round_trip(model, x, 6.0) - x
    roughness = error.diff(n=2).pow(2).mean(dim=(0, 1)).unfold(0, 240, 240).mean(dim=1)  # by 5 ms
    stride, inside = model.config.chunk_stride // 240, torch.ones(len(roughness), dtype=torch.bool)
    joints = [n for k in range(1, len(roughness) // stride + 1) for n in range(k * stride, k * stride + 3)]
    joints = [n for n in joints if n < len(roughness)]
    inside[joints] = False
    assert roughness[joints].max() < roughness[inside].max()
    assert roughness[joints].mean() < 2 * roughness[inside].mean()


@pytest.mark.parametrize(("name", "path", "least_db"), CLIPS)
def test_transformers_gives_the_same_codes_and_sound(name, path, least_db):
    ours = codec.EncodecModel.from_pretrained(name, dtype=torch.float64)
    theirs = transformers.EncodecModel.from_pretrained(hub.BUNDLED_FOLDER / name, dtype=torch.float64)
    x = clip_for(ours, path, 3.0).double()
    kbps = ours.config.target_bandwidths[-1]
    with torch.no_grad():
        expected = theirs.encode(x, torch.ones_like(x, dtype=torch.bool), bandwidth=kbps)
        codes = ours.encode(x, bandwidth=kbps)
        assert_same_codes(codes.audio_codes, expected.audio_codes)
        wanted = theirs.decode(expected.audio_codes, expected.audio_scales).audio_values
    actual = ours.decode(codes.audio_codes, codes.audio_scales).audio_values
    assert torch.allclose(actual, wanted, rtol=0, atol=1e-9)
