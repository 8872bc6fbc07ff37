"""The loudness loss on signals whose order is known, and beside PESQ itself."""

import numpy as np
import pytest
import torch
from torchaudio.functional import bass_biquad, lowpass_biquad, treble_biquad

from codec import audio
from codec.training.loudness import LoudnessLoss
from encodec_eval.datasets import BUNDLED

RATE = 24_000
LOSS = LoudnessLoss(RATE)


@pytest.fixture(scope="module")
def speech():
    wav, rate = audio.load(BUNDLED / "librispeech-mini/test-other/1688/142285/1688-142285-0008.flac")
    return audio.resample(wav, rate, RATE)[None, :, : 4 * RATE]


def tone(hz, level):
    return level * torch.sin(2 * torch.pi * hz * torch.arange(RATE) / RATE).expand(1, 1, -1)


@pytest.mark.parametrize(
    "change",
    [
        lambda wav: 0.95 * wav,
        lambda wav: treble_biquad(wav, RATE, gain=6.0, central_freq=2000.0),
        lambda wav: treble_biquad(wav, RATE, gain=-6.0, central_freq=2000.0),
        lambda wav: wav * (1 + 0.1 * torch.sin(2 * torch.pi * 2 * torch.arange(wav.shape[-1]) / RATE)),
    ],
    ids=["gain", "treble", "no treble", "slow tremolo"],
)
def test_a_gain_or_filter_costs_next_to_nothing(speech, change):
    assert float(LOSS(speech, change(speech))) < 0.1


def test_nothing_costs_nothing(speech):
    assert float(LOSS(speech, speech)) < 0.02


def test_a_level_that_is_lost_costs(speech):
    assert float(LOSS(speech, 0.3 * speech)) > 1


def test_what_is_added_costs_more_than_what_is_left_out():
    one, both = tone(500, 0.3), tone(500, 0.3) + tone(3000, 0.03)
    assert float(LOSS(one, both)) > 1.3 * float(LOSS(both, one)) > 0


def test_it_does_not_depend_on_the_level_but_for_silence(speech):
    noisy = speech + 0.01 * torch.randn(speech.shape, generator=torch.Generator().manual_seed(0))
    assert float(LOSS(2 * speech, 2 * noisy)) == pytest.approx(float(LOSS(speech, noisy)), rel=0.02)


@pytest.mark.parametrize(
    "change",
    [
        *(lambda wav, noise, level=level: wav + level * noise for level in (0, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2)),
        lambda wav, noise: lowpass_biquad(lowpass_biquad(wav, RATE, 3000.0), RATE, 3000.0),
        lambda wav, noise: bass_biquad(wav, RATE, gain=6.0),
        lambda wav, noise: wav.clamp(-0.1, 0.1),
    ],
)
def test_it_is_what_pesqs_raw_score_loses(speech, change):
    pesq = pytest.importorskip("pesq").pesq
    changed = change(speech, torch.randn(speech.shape, generator=torch.Generator().manual_seed(0)))
    score = pesq(16_000, *(audio.resample(wav[0], RATE, 16_000)[0].numpy() for wav in (speech, changed)), "wb")
    raw = (3.8224 - np.log(4 / (score - 0.999) - 1)) / 1.3669  # P.862.2's mapping, turned around
    assert 4.5 - float(LOSS(speech, changed)) == pytest.approx(raw, abs=0.35)


@pytest.mark.parametrize("samples", [768, 5000, RATE])
def test_gradients_are_finite_on_silence_and_on_equals(samples):
    silence = torch.zeros(2, 1, samples)
    for reference, estimate in (
        (silence, silence),
        (silence, silence + 0.1),
        (silence + 0.1, silence),
        (torch.ones_like(silence), torch.ones_like(silence)),
    ):
        wav = estimate.clone().requires_grad_()
        LOSS(reference, wav).backward()
        assert torch.isfinite(wav.grad).all()
