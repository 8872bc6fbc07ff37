"""Audio files in and out: levels are kept, bad files are named."""

import logging

import numpy as np
import pytest
import soundfile as sf
import torch

from codec import AudioError, audio


def tone(samples: int = 4_000, channels: int = 1) -> torch.Tensor:
    t = torch.arange(samples) / 16_000
    return torch.stack([0.5 * torch.sin(2 * torch.pi * (440 + 110 * c) * t) for c in range(channels)])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("name", "subtype", "error"), [("a.wav", "PCM_16", 2**-15), ("a.flac", "PCM_24", 2**-23)])
def test_round_trip_keeps_the_level(tmp_path, channels, name, subtype, error):
    wav = tone(channels=channels)
    audio.save(tmp_path / name, wav, 16_000, subtype)
    assert audio.info(tmp_path / name) == audio.AudioInfo(16_000, channels, 4_000)
    assert audio.info(tmp_path / name).duration_s == 0.25
    loaded, rate = audio.load(tmp_path / name)
    assert rate == 16_000
    assert loaded.shape == wav.shape
    assert (loaded - wav).abs().max() <= error


def test_excerpts_and_blocks_are_parts_of_the_whole(tmp_path):
    audio.save(tmp_path / "a.wav", tone(), 16_000, "FLOAT")
    whole, _ = audio.load(tmp_path / "a.wav")
    assert torch.equal(audio.load(tmp_path / "a.wav", start=7, frames=100)[0], whole[:, 7:107])
    assert torch.equal(audio.load(tmp_path / "a.wav", start=3_990, frames=100)[0], whole[:, 3_990:])
    blocks = list(audio.stream(tmp_path / "a.wav", block=1_500))
    assert [block.shape[1] for block in blocks] == [1_500, 1_500, 1_000]
    assert torch.equal(torch.cat(blocks, dim=1), whole)
    with pytest.raises(AudioError, match="start must be below"):
        audio.load(tmp_path / "a.wav", start=4_000)


def test_one_sample_and_silence_work(tmp_path):
    for name, wav in [("one.wav", torch.full((1, 1), 0.25)), ("silent.wav", torch.zeros(2, 100))]:
        audio.save(tmp_path / name, wav, 8_000)
        assert torch.equal(audio.load(tmp_path / name)[0], wav)


def test_clipping_is_counted_and_said(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        audio.save(tmp_path / "a.wav", torch.tensor([[0.5, 1.5, -2.0]]), 8_000)
    assert "2 of 3 samples are beyond full scale" in caplog.text
    assert audio.load(tmp_path / "a.wav")[0].tolist() == [[0.5, 1 - 2**-15, -1.0]]
    caplog.clear()
    audio.save(tmp_path / "b.wav", torch.tensor([[0.5, 1.5, -2.0]]), 8_000, "FLOAT")
    assert audio.load(tmp_path / "b.wav")[0].tolist() == [[0.5, 1.5, -2.0]]
    assert not caplog.text


def test_bad_files_are_named(tmp_path):
    (tmp_path / "text.wav").write_text("this is not audio")
    (tmp_path / "nothing.wav").write_bytes(b"")
    sf.write(tmp_path / "empty.wav", np.zeros(0), 8_000)
    sf.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 8_000, "FLOAT")
    sf.write(tmp_path / "inf.wav", np.array([0.0, np.inf]), 8_000, "FLOAT")
    audio.save(tmp_path / "good.flac", tone(40_000), 16_000)
    (tmp_path / "cut.flac").write_bytes((tmp_path / "good.flac").read_bytes()[:2_000])
    for name, message in [
        ("missing.wav", "is not a file"),
        ("text.wav", "not audio"),
        ("nothing.wav", "not audio"),
        ("empty.wav", "no samples"),
        ("nan.wav", "NaN"),
        ("inf.wav", "NaN or infinite"),
        ("cut.flac", "damaged|ends after"),
        (".", "is not a file"),
    ]:
        with pytest.raises(AudioError, match=message):
            audio.load(tmp_path / name)


def test_bad_arrays_are_not_written(tmp_path):
    for wav, message in [
        (torch.tensor([[torch.nan]]), "NaN"),
        (torch.zeros(3), "channels, samples"),
        (torch.zeros(1, 9), "cannot write"),
    ]:
        with pytest.raises(AudioError, match=message):
            audio.save(tmp_path / "a.unknown", wav, 8_000)
    assert not list(tmp_path.iterdir())


def test_channels():
    stereo = torch.tensor([[1.0, 0.0], [0.0, 0.5]])
    assert audio.to_channels(stereo, 1).tolist() == [[0.5, 0.25]]
    assert audio.to_channels(stereo, 2) is stereo
    assert audio.to_channels(stereo[:1], 2).tolist() == [[1.0, 0.0], [1.0, 0.0]]
    with pytest.raises(AudioError, match="3 channels"):
        audio.to_channels(torch.zeros(3, 5), 1)


def test_resampling_keeps_a_tone_and_its_length():
    wav = tone(16_000)
    there = audio.resample(wav, 16_000, 24_000)
    assert there.shape == (1, 24_000)
    expected = 0.5 * torch.sin(2 * torch.pi * 440 * torch.arange(24_000) / 24_000)
    assert (there[0, 200:-200] - expected[200:-200]).abs().max() < 2e-3
    assert audio.resample(wav, 16_000, 16_000) is wav
