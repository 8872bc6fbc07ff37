"""Spectrograms: levels against closed forms, and the picture itself."""

import numpy as np
import pytest
import torch

from encodec_eval.demo import spectrograms
from encodec_eval.types import UndefinedError


def test_a_full_scale_sine_reads_0_db_at_its_frequency():
    rate = 16000
    sine = np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
    level = spectrograms.level_db(sine, rate)
    frequencies = np.linspace(0, rate / 2, level.shape[0])
    inner = level[:, 8:-8]
    assert inner.max() == pytest.approx(0, abs=0.01)
    assert frequencies[inner.mean(axis=1).argmax()] == pytest.approx(1000, abs=1)
    quieter = spectrograms.level_db(sine / 100, rate)[:, 8:-8]
    assert quieter.max() == pytest.approx(-40, abs=0.01)


def test_codebook_bits_of_known_codes():
    codes = torch.stack([torch.zeros(8), torch.arange(8)]).long()[None]
    assert spectrograms.codebook_bits(codes) == pytest.approx([0, 3])


def test_the_picture_shows_both_and_their_difference(tmp_path):
    wav = 0.1 * torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    codes = torch.randint(0, 1024, (1, 4, 75), generator=torch.Generator().manual_seed(0))
    figure = spectrograms.draw(wav, 16000, wav / 2, 16000, "half", codes)
    panels = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title(loc="left") for axes in panels] == ["Original", "half", "half minus original"]
    difference = panels[2].images[0].get_array()
    loud = panels[1].images[0].get_array() > panels[1].images[0].get_clim()[0] + 10
    assert np.asarray(difference[loud]) == pytest.approx(-6.02, abs=0.1)
    assert spectrograms.save(figure, tmp_path / "p.png").stat().st_size > 10000


def test_silence_has_no_picture():
    with pytest.raises(UndefinedError, match="silent"):
        spectrograms.draw(torch.zeros(1, 16000), 16000, torch.zeros(1, 16000), 16000, "x", None)
