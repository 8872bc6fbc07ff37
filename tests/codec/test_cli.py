"""The command line `ecdc`, on real recordings with the bundled models."""

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

import codec
from codec.__main__ import main
from tests import ROOT
from tests.codec.ecdc.corpus import FOLDER, read_entry

SPEECH = ROOT / "encodec_eval/data/librispeech-mini/test-other/2033/164914/2033-164914-0000.flac"
MODEL = ["--model", "encodec_24khz_tiny"]


@pytest.fixture
def clip(tmp_path):
    """Two seconds of stereo at 44.1 kHz."""
    t = np.arange(88_200) / 44_100
    sf.write(tmp_path / "in.flac", np.stack([0.3 * np.sin(440 * t), 0.2 * np.sin(990 * t)], 1), 44_100)
    return tmp_path / "in.flac"


def test_there_and_back(clip, capsys):
    assert main(["compress", str(clip), *MODEL]) == 0
    packed = clip.with_suffix(".ecdc")
    assert main(["info", str(packed)]) == 0
    assert "2.000 s (48000 samples at 24000 Hz)" in capsys.readouterr().out
    assert main(["decompress", str(packed)]) == 0
    heard, rate = sf.read(clip.with_suffix(".wav"))
    assert (rate, heard.shape) == (24_000, (48_000,))
    wav, rate = codec.audio.load(clip)
    mono = codec.audio.resample(codec.audio.to_channels(wav, 1), rate, 24_000)
    assert packed.read_bytes() == codec.compress(codec.load_model(MODEL[1]), mono, 6.0)


@pytest.mark.parametrize("flags", [["--lm"], ["--lm", "--compat"]])
def test_language_model_files(tmp_path, flags):
    wav, rate = codec.audio.load(SPEECH)
    clip = tmp_path / "speech.flac"
    codec.audio.save(clip, wav[:, : 3 * rate], rate)
    packed = str(clip.with_suffix(".ecdc"))
    assert main(["compress", str(clip), *flags, packed, "-b", "1.5", *MODEL]) == 0
    assert main(["compress", str(clip), packed + "0", "-b", "1.5", *MODEL]) == 0
    assert main(["decompress", packed, str(clip.with_name("a.wav"))]) == 0
    assert main(["decompress", packed + "0", str(clip.with_name("b.wav"))]) == 0
    assert clip.with_name("a.wav").read_bytes() == clip.with_name("b.wav").read_bytes()
    assert len(Path(packed).read_bytes()) < len(Path(packed + "0").read_bytes())


def test_pipes(clip, monkeypatch, capsysbinary):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(clip.read_bytes())))
    assert main(["compress", "-", *MODEL]) == 0
    packed = capsysbinary.readouterr().out
    assert packed.startswith(b"ECDC")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(packed)))
    assert main(["decompress", "-"]) == 0
    assert sf.info(io.BytesIO(capsysbinary.readouterr().out)).frames == 48_000


def test_rescaling_is_asked_for_and_told(tmp_path, caplog):
    wav, rate = codec.audio.load(SPEECH)
    wav = wav[:, :rate] / wav[:, :rate].abs().max()
    codec.audio.save(tmp_path / "loud.wav", 4 * wav, rate, "FLOAT")
    codec.audio.save(tmp_path / "full.wav", wav, rate, "FLOAT")
    for name, flags in (("loud", ["--rescale"]), ("full", [])):
        assert main(["compress", str(tmp_path / f"{name}.wav"), *flags, *MODEL]) == 0
    assert [record.message for record in caplog.records if "level lowered" in record.message] == [
        "peak 4.000 is beyond full scale: level lowered by that factor"
    ]
    assert (tmp_path / "loud.ecdc").read_bytes() == (tmp_path / "full.ecdc").read_bytes()


def test_the_user_is_told_of_clipping(tmp_path):
    """In a process of its own: pytest replaces the handlers that print warnings."""
    model = codec.load_model(MODEL[1])
    with torch.no_grad():
        [p.mul_(10) for name, p in model.decoder.named_parameters() if name.startswith("layers.15.")]
    model.save_pretrained(tmp_path / "loud")
    wav, rate = codec.audio.load(SPEECH)
    louder = codec.load_model(tmp_path / "loud")
    packed = tmp_path / "x.ecdc"
    packed.write_bytes(codec.compress(louder, codec.audio.resample(wav[:, :rate], rate, 24_000), 24.0))
    command = [sys.executable, "-m", "codec", "decompress", str(packed), "--model", str(tmp_path / "loud")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    heard, _ = codec.audio.load(tmp_path / "x.wav")
    told = re.search(
        r"^(.*): (\d+) of 24000 samples are beyond full scale and were clipped$", done.stderr, re.MULTILINE
    )
    assert told is not None, done.stderr
    assert told[1] == str(tmp_path / "x.wav")
    assert 0 < int(told[2]) <= int((heard.abs() > 0.999).sum())


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["--lm"]])
def test_memory_grows_with_the_segment_not_the_file(tmp_path, flags):
    """Ten times the audio, or four with a language model, takes at most 10 % more memory at its peak, both ways.

    What allocators keep differs by 12 % between runs of the same file, hence the highest of three, and grows for some
    minutes with a language model, hence the longer files."""
    wav, rate = codec.audio.load(SPEECH)
    second = wav[:, :rate]
    peaks = {}
    for seconds, runs in ((180, 3), (720, 1)) if flags else ((60, 3), (600, 1)):
        clip, packed = tmp_path / f"{seconds}.wav", tmp_path / f"{seconds}.ecdc"
        codec.audio.save_blocks(clip, [second] * seconds, rate)
        for direction, command in (
            ("compress", ["compress", str(clip), str(packed), "-f", *flags, *MODEL]),
            ("decompress", ["decompress", str(packed), str(tmp_path / "out.wav"), "-f"]),
        ):
            peaks[direction, seconds] = max(peak_mb(*command) for _ in range(runs))
    short, long = sorted({seconds for _, seconds in peaks})
    for direction in ("compress", "decompress"):
        assert peaks[direction, long] < 1.1 * peaks[direction, short], peaks


def peak_mb(*arguments: str) -> float:
    """Peak memory of the command line in a process of its own."""
    code = f"import resource, sys; from codec.__main__ import main; assert main({list(arguments)!r}) == 0; "
    code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return float(done.stdout)


def test_errors_are_one_line_and_leave_nothing(clip, tmp_path, capsys):
    packed = tmp_path / "x.ecdc"
    packed.write_bytes(b"RIFF" + bytes(20))
    (tmp_path / "text.wav").write_text("no audio")
    before = sorted(tmp_path.iterdir())
    for arguments, message in [
        (["compress", str(clip), str(packed), *MODEL], "exists; --force overwrites it"),
        (["compress", str(tmp_path / "none.wav"), *MODEL], "is not a file"),
        (["compress", str(tmp_path / "text.wav"), *MODEL], "is not audio"),
        (["compress", str(clip), "-b", "7", *MODEL], "Select one of"),
        (["compress", str(clip), "--model", "nosuch"], "no model 'nosuch'"),
        (["compress", str(clip), "--lm-weights", str(packed), *MODEL], "is not a readable language model"),
        (["decompress", str(packed), str(tmp_path / "out.wav")], "not an .ecdc file"),
        (["info", str(packed)], "not an .ecdc file"),
    ]:
        assert main(arguments) == 2, arguments
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
        assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(SystemExit) as exit_info:
        main(["compress"])
    assert exit_info.value.code == 2


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_corpus_of_the_fuzzer(path):
    """Every kept input reads to its end or raises `EcdcError`; valid files do not raise."""
    error = None
    try:
        read_entry(path.read_bytes())
    except codec.EcdcError as caught:
        error = caught
    assert error is None or not path.name.startswith("valid"), error


@pytest.mark.parametrize(
    ("old", "new"), [(44_100, 24_000), (16_000, 24_000), (48_000, 24_000), (24_000, 48_000), (8_000, 24_000)]
)
@pytest.mark.parametrize("size", [37, 1000, 5001])
def test_resampling_in_blocks_leaves_no_seams(old, new, size):
    wav = torch.randn(2, 5000, generator=torch.Generator().manual_seed(0))
    whole = codec.audio.resample(wav, old, new)
    blocks = torch.cat(list(codec.audio.resample_blocks(torch.split(wav, size, dim=1), old, new)), dim=1)
    assert blocks.shape == whole.shape
    assert (blocks - whole).abs().max() < 1e-5
