"""Questions with a known answer."""

import pytest
import torch

from encodec_eval.listening.controls import BEEP_LEVEL, bad, trap
from encodec_eval.loudness import RATE


def beeps(wav):
    """How often the level rises in a signal whose speech is zero."""
    loud = wav[0].unfold(0, 480, 480).abs().amax(dim=1) > BEEP_LEVEL / 2
    return int((loud[1:] & ~loud[:-1]).sum())


@pytest.mark.parametrize("answer", [1, 2, 3, 4])
@pytest.mark.parametrize("seconds", [2.1, 3.0, 10.0])
def test_a_trap_is_as_long_as_its_recording_and_has_all_its_beeps(seconds, answer):
    reference = torch.zeros(1, round(seconds * RATE))
    made = trap(reference, answer)
    assert made.shape == reference.shape, "a player stops where the recording ends, and shows its length"
    assert beeps(made) == answer


def test_a_trap_begins_as_its_recording_does():
    reference = torch.ones(2, 10 * RATE)
    made = trap(reference, 2)
    assert torch.equal(made[:, 1000 : 4 * RATE], reference[:, 1000 : 4 * RATE])


def test_beeps_are_never_cut_even_where_they_are_longer_than_the_recording():
    assert beeps(trap(torch.zeros(1, RATE), 4)) == 4


def test_noise_as_strong_as_the_speech_is_gold_of_bad_quality():
    reference = 0.1 * torch.sin(torch.arange(RATE) / 20)[None]
    noise = bad(reference, 0) - reference
    assert 10 * torch.log10(reference.square().mean() / noise.square().mean()) == pytest.approx(0, abs=0.3)
