"""Training crops: lengths, rates, channels, silence, levels, and that a step's batch depends on nothing else."""

import math
from dataclasses import replace

import pytest
import torch

from codec import AudioError, audio
from codec.training.data import Augmentation, Crops

PLAIN = Augmentation(gain_db=(0.0, 0.0), mix_probability=0.0, silence_rms=0.01)


def _sine(seconds: float, rate: int, channels: int, hertz: float = 440.0) -> torch.Tensor:
    time = torch.arange(int(seconds * rate)) / rate
    return 0.5 * torch.sin(2 * math.pi * hertz * time).repeat(channels, 1)


@pytest.fixture
def folder(tmp_path):
    audio.save(tmp_path / "mono.wav", _sine(2, 16_000, 1), 16_000)
    (tmp_path / "below").mkdir()
    audio.save(tmp_path / "below" / "stereo.flac", _sine(3, 48_000, 2), 48_000)
    (tmp_path / "notes.txt").write_text("not audio")
    return tmp_path


@pytest.mark.parametrize(("rate", "channels"), [(24_000, 1), (48_000, 2)])
def test_crops_of_several_rates_and_channel_counts(folder, rate, channels):
    crops = Crops(folder, rate, channels, rate // 4, 8, PLAIN)
    batch = crops[0]
    assert batch.shape == (8, channels, rate // 4)
    assert crops.hours == pytest.approx(5 / 3600)
    torch.testing.assert_close(batch.pow(2).mean(dim=-1), torch.full((8, channels), 0.125), atol=0.002, rtol=0)


def test_a_batch_depends_on_seed_rank_and_step_alone(folder):
    def crops(**options):
        return Crops(folder, 24_000, 1, 6000, 2, Augmentation(mix_probability=0.5), **options)

    used = crops(seed=1)
    for step in range(3):
        used[step]
    assert torch.equal(used[7], crops(seed=1)[7])
    others = [crops(seed=1)[8], crops(seed=2)[7], crops(seed=1, rank=1)[7]]
    assert not any(torch.equal(used[7], other) for other in others)


def test_silence_is_skipped(tmp_path):
    wav = torch.cat([torch.zeros(1, 24_000 * 9), _sine(1, 24_000, 1)], dim=1)
    audio.save(tmp_path / "mostly_silent.wav", wav, 24_000)
    batch = Crops(tmp_path, 24_000, 1, 2400, 16, PLAIN)[0]
    assert float(batch.pow(2).mean(dim=-1).sqrt().min()) > 0.01
    audio.save(tmp_path / "mostly_silent.wav", torch.zeros(1, 24_000), 24_000)
    with pytest.raises(AudioError, match="silent"):
        Crops(tmp_path, 24_000, 1, 2400, 1, PLAIN)[0]


def test_gain_mixing_and_full_scale(folder):
    quiet = Augmentation(gain_db=(-20.0, -20.0), mix_probability=0.0)
    assert float(Crops(folder, 24_000, 1, 6000, 4, quiet)[0].pow(2).mean()) == pytest.approx(0.05**2 / 2, rel=0.02)
    loud = Augmentation(gain_db=(0.0, 0.0), mix_probability=1.0, mix_db=(20.0, 20.0))
    assert float(Crops(folder, 24_000, 1, 6000, 4, loud)[0].abs().max()) == pytest.approx(1.0, rel=0.01)


def test_a_faster_crop_is_as_long_and_higher(folder):
    speeds = (0.8, 1.2)
    batch = Crops(folder, 24_000, 1, 6000, 16, replace(PLAIN, speeds=speeds))[0]
    assert batch.shape == (16, 1, 6000)
    peaks = torch.fft.rfft(batch[:, 0] * torch.hann_window(6000)).abs().argmax(dim=1) * 24_000 / 6000
    assert set(peaks.tolist()) == {440 * speed for speed in speeds}


def test_normalised_items_have_unit_loudness(folder):
    batch = Crops(folder, 48_000, 2, 4800, 4, Augmentation(), normalize=True)[0]
    torch.testing.assert_close(batch.mean(dim=1).pow(2).mean(dim=-1), torch.ones(4))


def test_a_folder_without_audio_is_refused(tmp_path):
    audio.save(tmp_path / "short.wav", _sine(0.1, 24_000, 1), 24_000)
    with pytest.raises(AudioError, match="no audio"):
        Crops(tmp_path, 24_000, 1, 24_000, 1, PLAIN)
