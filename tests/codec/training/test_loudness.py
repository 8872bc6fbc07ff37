"""The loudness loss on signals whose order is known, and beside PESQ itself."""

import numpy as np
import pytest
import torch

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


def test_a_difference_below_the_masking_threshold_costs_nothing(speech):
    assert float(LOSS(speech, speech)) < 0.02
    assert float(LOSS(speech, 0.95 * speech)) == pytest.approx(float(LOSS(speech, speech)), rel=0.05)
    assert float(LOSS(speech, 0.3 * speech)) > 0.5


def test_what_is_added_costs_more_than_what_is_left_out():
    one, both = tone(500, 0.3), tone(500, 0.3) + tone(3000, 0.03)
    assert float(LOSS(one, both)) > 1.3 * float(LOSS(both, one)) > 0


def test_it_does_not_depend_on_the_level_but_for_silence(speech):
    noisy = speech + 0.01 * torch.randn(speech.shape, generator=torch.Generator().manual_seed(0))
    assert float(LOSS(2 * speech, 2 * noisy)) == pytest.approx(float(LOSS(speech, noisy)), rel=0.02)


def test_it_orders_noise_as_pesq_does(speech):
    pesq = pytest.importorskip("pesq").pesq
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(speech.shape, generator=generator)
    versions = [speech + level * noise for level in (1e-4, 1e-3, 3e-3, 1e-2, 3e-2)]
    scores = [
        pesq(16_000, *(audio.resample(wav[0], RATE, 16_000)[0].numpy() for wav in (speech, each)), "wb")
        for each in versions
    ]
    assert np.argsort(scores).tolist() == np.argsort([-float(LOSS(speech, each)) for each in versions]).tolist()
    assert np.ptp(scores) > 2


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
