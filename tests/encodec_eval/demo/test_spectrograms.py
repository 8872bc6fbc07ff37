"""Spectrograms: levels against closed forms, and the picture itself."""

import io
import itertools

import numpy as np
import pytest
import torch
from matplotlib.text import Text

from encodec_eval.demo import spectrograms
from encodec_eval.spectrogram import level_db
from encodec_eval.types import UndefinedError


def test_a_full_scale_sine_reads_0_db_at_its_frequency():
    rate = 16000
    sine = np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
    level = level_db(sine, rate)
    frequencies = np.linspace(0, rate / 2, level.shape[0])
    inner = level[:, 8:-8]
    assert inner.max() == pytest.approx(0, abs=0.01)
    assert frequencies[inner.mean(axis=1).argmax()] == pytest.approx(1000, abs=1)
    quieter = level_db(sine / 100, rate)[:, 8:-8]
    assert quieter.max() == pytest.approx(-40, abs=0.01)


def test_codebook_bits_of_known_codes():
    codes = torch.stack([torch.zeros(8), torch.arange(8)]).long()[None]
    assert spectrograms.codebook_bits(codes) == pytest.approx([0, 3])


def test_the_panels_show_both_and_their_difference(tmp_path):
    wav = 0.1 * torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    codes = torch.randint(0, 1024, (1, 4, 75), generator=torch.Generator().manual_seed(0))
    panels = spectrograms.panels(wav, 16000, wav / 2, 16000, "half", codes)
    assert [name for name, _, _ in panels] == ["original", "version", "difference", "codebooks"]
    figures = [draw() for _, _, draw in panels]
    axes = [next(axes for axes in figure.axes if axes.get_title(loc="left")) for figure in figures]
    titles = [each.get_title(loc="left") for each in axes]
    assert titles == ["Original", "half", "half minus original", "Entropy of the entries used"]
    difference = axes[2].images[0].get_array()
    loud = axes[1].images[0].get_array() > axes[1].images[0].get_clim()[0] + 10
    assert np.asarray(difference[loud]) == pytest.approx(-6.02, abs=0.1)
    for name, figure in zip("abcd", figures, strict=True):
        assert spectrograms.save(figure, tmp_path / f"{name}.png").stat().st_size > 5000


def contrast(first, second):
    """Of two greys, 0 to 1, as WCAG 2 defines it."""
    bright, dark = sorted((((value + 0.055) / 1.055) ** 2.4 for value in (first, second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_the_ink_reads_on_white_and_on_black():
    ink = int(spectrograms.INK[1:3], 16) / 255
    assert contrast(ink, 1.0) >= 4.5
    assert (((ink + 0.055) / 1.055) ** 2.4 + 0.05) / 0.05 >= 4.5


@pytest.mark.parametrize("samples", [4000, 16000 * 30])
def test_no_text_of_a_panel_runs_into_another(samples):
    wav = 0.1 * torch.randn(1, samples, generator=torch.Generator().manual_seed(0))
    codes = torch.randint(0, 1024, (1, 32, 75), generator=torch.Generator().manual_seed(0))
    for name, _, draw in spectrograms.panels(wav, 16000, wav / 2, 16000, "Opus 12 kbps", codes):
        figure = draw()
        figure.savefig(io.BytesIO())
        texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
        inside = [(text, box) for text, box in boxes if box.x1 > 0 and box.y1 > 0]
        for (one, first), (other, second) in itertools.combinations(inside, 2):
            assert not first.overlaps(second), f"{name}: {one!r} runs into {other!r}"


def test_silence_has_no_picture():
    with pytest.raises(UndefinedError, match="silent"):
        spectrograms.panels(torch.zeros(1, 16000), 16000, torch.zeros(1, 16000), 16000, "x", None)
