"""Audio files in and out: levels are kept, bad files are named."""

import itertools
import logging
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf
import torch
import torchaudio

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


@pytest.mark.parametrize(("old", "new"), [(1999, 2000), (2000, 1999), (4001, 1000), (1009, 24_000)])
def test_rates_without_a_common_factor_get_the_same_filter_without_its_table(old, new, monkeypatch):
    wav = torch.randn(2, 1003, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = torchaudio.functional.resample(wav, old, new)
    monkeypatch.setattr(audio, "MAX_KERNEL", 0)
    monkeypatch.setattr(audio, "TAPS_AT_ONCE", 1000)
    found = audio.resample(wav, old, new)
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() < 1e-11


def test_usual_rates_are_resampled_by_torchaudio_to_the_bit():
    rates = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000, 384000)
    for old, new in itertools.permutations(rates, 2):
        wav = torch.randn(1, 500, generator=torch.Generator().manual_seed(0))
        assert torch.equal(audio.resample(wav, old, new), torchaudio.functional.resample(wav, old, new)), (old, new)


# A fresh process: its peak memory is that of this resampling alone.
PEAK = """
import resource, torch, codec.audio
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(codec.audio.resample(torch.zeros(1, {old} // 10), {old}, 24000).shape[-1])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.parametrize("old", [8009, 767_999])
def test_an_odd_rate_takes_little_memory(old):
    run = subprocess.run([sys.executable, "-c", PEAK.format(old=old)], capture_output=True, text=True, check=True)
    samples, megabytes = run.stdout.split()
    assert int(samples) == -(-(old // 10) * 24000 // old)
    assert float(megabytes) < 200


@pytest.mark.parametrize("rate", [999, 768_001, 2**31 - 1])
def test_rates_that_are_none_of_audio_are_refused(rate):
    with pytest.raises(AudioError, match=f"{rate} Hz: expected 1000 to 768000 Hz"):
        audio.resample(torch.zeros(1, 10), rate, 24_000)
    with pytest.raises(AudioError, match=f"{rate} Hz"):
        list(audio.resample_blocks([torch.zeros(1, 10)], 24_000, rate))


def write_flac_without_length(path, samples, rate):
    """As an encoder that writes to a pipe leaves it: the 36 bits of the length in STREAMINFO are 0."""
    sf.write(path, 0.1 * np.sin(np.arange(samples)), rate, format="FLAC")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # 4 bytes "fLaC", 4 of the block's header, then the length's upper 4 bits after 13 more
    data[22:26] = bytes(4)
    path.write_bytes(data)


def test_a_flac_from_a_pipe_is_counted_and_read(tmp_path):
    path = tmp_path / "piped.flac"
    write_flac_without_length(path, 200_000, 16_000)
    assert audio.info(path).frames == 200_000
    assert 16_000 < audio.info(path, at_most_s=1).frames < 200_000
    wav, rate = audio.load(path)
    assert (wav.shape, rate) == ((1, 200_000), 16_000)
    assert audio.load(path, start=150_000)[0].shape == (1, 50_000)
