"""Losses and the balancer against values worked by hand."""

import math

import pytest
import torch

from codec.training import losses
from codec.training.balancer import Balancer


def test_time_and_commitment_loss_by_hand():
    reference, estimate = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]), torch.tensor([[[1.0, 0.0, 3.0, 8.0]]])
    assert float(losses.time_loss(reference, estimate)) == 1.5
    latents = reference.clone().requires_grad_()
    codewords = estimate.clone().requires_grad_()
    loss = losses.commitment_loss(latents, codewords)
    assert float(loss.detach()) == 5.0
    loss.backward()
    assert codewords.grad is None
    assert latents.grad[0, 0].tolist() == [0, 1.0, 0, -2.0]  # 2 (x - q) / 4


def test_hinge_losses_by_hand():
    real, fake = [torch.tensor([2.0, 0.5])], [torch.tensor([-3.0, 0.0])]
    assert float(losses.discriminator_loss(real, fake)) == pytest.approx((0 + 0.5) / 2 + (0 + 1) / 2)
    assert float(losses.adversarial_loss(fake)) == pytest.approx((4 + 1) / 2)


def test_feature_matching_is_relative_to_the_reference():
    real, fake = (
        [[torch.tensor([2.0, -4.0])], [torch.tensor([10.0])]],
        [[torch.tensor([1.0, -4.0])], [torch.tensor([5.0])]],
    )
    expected = (0.5 / 3 + 5 / 10) / 2
    assert float(losses.feature_matching_loss(real, fake)) == pytest.approx(expected)
    louder = [[[100 * x for x in layers] for layers in maps] for maps in (real, fake)]
    assert float(losses.feature_matching_loss(*louder)) == pytest.approx(expected, rel=1e-6)


def test_mel_bank_is_triangles_of_height_one():
    bank = losses.mel_bank(2048, 64, 24_000)
    assert bank.shape == (1025, 64)
    assert float(bank.max()) <= 1
    # Neighbouring triangles add up to 1 between the first and the last peak.
    inside = bank.sum(dim=1)[10:900]
    torch.testing.assert_close(inside, torch.ones_like(inside), atol=1e-4, rtol=0)


SPECTRAL = [
    losses.MelLoss(24_000),
    losses.LogMelLoss(24_000),
    losses.BandNoiseLoss(24_000),
    losses.LongTermSpectrumLoss(24_000),
]


@pytest.mark.parametrize("loss", SPECTRAL)
def test_spectral_losses_are_zero_only_for_the_reference(loss):
    generator = torch.Generator().manual_seed(0)
    wav = 0.1 * torch.randn(2, 2, 4800, generator=generator)
    near, far = wav + 0.01 * torch.randn(wav.shape, generator=generator), torch.zeros_like(wav)
    assert float(loss(wav, wav)) < 1e-3 < float(loss(wav, near)) < float(loss(wav, far))


def test_mel_loss_is_linear_in_level():
    generator = torch.Generator().manual_seed(0)
    wav, other = torch.randn(2, 1, 1, 4800, generator=generator)
    loss = losses.MelLoss(24_000)
    assert float(loss(3 * wav, 3 * other)) == pytest.approx(3 * float(loss(wav, other)), rel=1e-4)


def test_log_mel_is_the_level_difference_in_nepers_of_power():
    wav = torch.randn(1, 1, 48_000, generator=torch.Generator().manual_seed(0))
    assert float(losses.LogMelLoss(24_000)(wav, 0.5 * wav)) == pytest.approx(math.log(4), rel=0.01)
    assert float(losses.LogMelLoss(24_000)(10 * wav, 5 * wav)) == pytest.approx(math.log(4), rel=0.01)


def test_long_term_spectrum_is_the_squared_level_difference():
    wav = torch.randn(1, 1, 48_000, generator=torch.Generator().manual_seed(0))
    assert float(losses.LongTermSpectrumLoss(24_000)(wav, 0.5 * wav)) == pytest.approx(math.log(4) ** 2, rel=0.01)


def test_long_term_spectrum_hears_a_buzz_that_log_mel_does_not():
    """Pulses at 75 Hz, with as much power as noise and as even a spectrum from band to band."""
    generator = torch.Generator().manual_seed(0)
    wav, noise = torch.randn(2, 1, 1, 48_000, generator=generator)
    buzz = torch.zeros(1, 1, 48_000)
    buzz[..., ::320] = 320**0.5
    log_mel, long_term = ([float(loss(wav, other)) for other in (noise, buzz)] for loss in SPECTRAL[1::2])
    assert log_mel[1] < log_mel[0]
    assert long_term[1] > 30 * long_term[0]


def test_band_noise_is_the_amplitude_ratio():
    """White noise 20 dB below white noise has a tenth of its amplitude in every band (the floor adds a little)."""
    generator = torch.Generator().manual_seed(0)
    wav, noise = torch.randn(2, 1, 1, 48_000, generator=generator)
    assert float(losses.BandNoiseLoss(24_000)(wav, wav + 0.1 * noise)) == pytest.approx(0.1, rel=0.12)


@pytest.mark.parametrize("loss", SPECTRAL)
def test_gradients_are_finite_at_silence_and_at_identity(loss):
    for wav in (torch.zeros(1, 1, 4800), torch.randn(1, 1, 4800, generator=torch.Generator().manual_seed(0))):
        estimate = wav.clone().requires_grad_()
        loss(wav, estimate).backward()
        assert bool(estimate.grad.isfinite().all())


@pytest.mark.parametrize("scales", [(1.0, 1.0), (1e-4, 1e4)])
def test_balancer_weights_are_the_fractions_of_the_gradient_norm(scales):
    """Orthogonal losses with weights 3 and 1: parts of norm 3/4 and 1/4, whatever the losses' own scale."""
    output = torch.zeros(2, 4, requires_grad=True)
    first, second = scales[0] * output[:, :2].sum() / 2, scales[1] * 5 * output[:, 2:].sum() / 2
    gradient = Balancer({"first": 3.0, "second": 1.0}).gradient({"first": first, "second": second}, output)
    torch.testing.assert_close(gradient[:, :2].norm(dim=1), torch.full((2,), 0.75 / 2))
    torch.testing.assert_close(gradient[:, 2:].norm(dim=1), torch.full((2,), 0.25 / 2))


def test_balancer_averages_norms_over_calls():
    balancer = Balancer({"loss": 1.0}, decay=0.5)
    for scale in (1.0, 4.0):
        output = torch.zeros(1, 1, requires_grad=True)
        gradient = balancer.gradient({"loss": scale * output.sum()}, output)
    # Norms 1 then 4 with decay 1/2: mean (0.5 * 1 + 4) / 1.5 = 3.
    assert float(gradient) == pytest.approx(4 / 3)
    restored = Balancer({"loss": 1.0}, decay=0.5)
    restored.load_state_dict(balancer.state_dict())
    assert restored.norms == balancer.norms


def test_balancer_shares_only_among_the_losses_given():
    output = torch.zeros(1, 3, requires_grad=True)
    gradient = Balancer({"here": 1.0, "later": 3.0}).gradient({"here": output.sum()}, output)
    assert float(gradient.norm()) == pytest.approx(1.0)
    assert math.isclose(float(gradient[0, 0]), 1 / math.sqrt(3), rel_tol=1e-6)


def test_balancer_refuses_unknown_losses_and_bad_weights():
    output = torch.zeros(1, requires_grad=True)
    with pytest.raises(ValueError, match="some of"):
        Balancer({"a": 1.0}).gradient({"b": output.sum()}, output)
    with pytest.raises(ValueError, match="positive"):
        Balancer({"a": 0.0})
