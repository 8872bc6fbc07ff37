"""One clip through every rate: files, sizes, scores, and what is refused."""

import csv
import io
import os
import zipfile

import numpy as np
import pytest
import soundfile as sf
import torch

import codec
from codec.ecdc import compress_codes, read_codes
from codec.lm.model import LanguageModelConfig
from encodec_eval.datasets import BUNDLED
from encodec_eval.demo.helpers import HelperDiedError, Helpers
from encodec_eval.demo.session import Session, Version, code_clip, load_clip, open_ecdc
from encodec_eval.systems import Encodec
from encodec_eval.types import EvalError, Point

SPEECH = BUNDLED / "librispeech-mini/test-other/1688/142285/1688-142285-0008.flac"
TINY = "encodec_24khz_tiny"


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """Three seconds of speech at 16 kHz through all bandwidths and Opus at 12 kbps."""
    session = Session(tmp_path_factory.mktemp("session"), TINY)
    audio, sample_rate = codec.audio.load(SPEECH, frames=48000)
    stages = [
        (len(session.versions), sum(bool(version.scores) for version in session.versions))
        for _ in code_clip(session, audio, sample_rate, Encodec(TINY), [12])
    ]
    return session, audio, stages


def test_versions_come_one_after_the_other_and_then_their_scores(heard):
    _, _, stages = heard
    assert stages[:7] == [(n, 0) for n in range(7)]
    assert stages == sorted(stages)
    assert stages[-1] == (6, 6)
    assert len(stages) == 1 + 6 + 6 + 5 + 1, "the original, versions, scores, files with the language model, the end"


def test_a_helper_that_dies_leaves_a_reason_and_the_next_call_has_another(tmp_path):
    helpers = Helpers(1)
    with pytest.raises(HelperDiedError, match="ended with status"):
        helpers.submit(os._exit, 3).result()
    with pytest.raises(ZeroDivisionError):
        helpers.submit(divmod, 1, 0).result()
    assert helpers.submit(divmod, 7, 2).result() == (3, 1)
    version = Version(Point("a@1", "a", 1.0), tmp_path / "a.wav", 1.0, None, 0)
    died = helpers.submit(os._exit, 3)
    Session(tmp_path, "a").take(version, died, "clip", ["pesq"])
    assert version.scores["pesq"].value is None
    assert "ended with status 3" in version.scores["pesq"].reason


def test_the_audio_is_what_the_model_decodes_from_the_first_codebooks(heard):
    session, audio, _ = heard
    model = codec.load_model(TINY)
    x = codec.audio.resample(audio, 16000, 24000)[None]
    for version in session.versions[:5]:
        codes = model.encode(x, bandwidth=version.point.nominal_kbps).audio_codes
        assert torch.equal(version.codes, codes[:, 0])
        wanted = model.decode(codes, [None]).audio_values[0, :, : x.shape[-1]].clamp(-1, 1)
        found, sample_rate = codec.audio.load(version.wav)
        assert sample_rate == 24000
        assert (found - wanted).abs().max() < 2**-15 + 1e-5


def test_the_coded_file_is_that_of_the_codec_and_is_heard_again(heard, tmp_path):
    session, audio, _ = heard
    model = codec.load_model(TINY)
    x = codec.audio.resample(audio, 16000, 24000)
    for version in session.versions[:5]:
        data = version.coded.read_bytes()
        assert data == codec.compress(model, x, version.point.nominal_kbps)
        assert version.file_kbps == pytest.approx(8 * len(data) / 3000)
        folder = tmp_path / version.point.name
        folder.mkdir()
        again = Session(folder, "")
        open_ecdc(again, data, 30, {TINY: TINY})
        first, second = codec.audio.load(version.wav)[0], codec.audio.load(again.versions[0].wav)[0]
        assert (first - second).abs().max() < 2**-14
        with zipfile.ZipFile(again.archive()) as archive:
            assert set(archive.namelist()) == {"numbers.csv", *(path.name for path in again.versions[0].files)}
        assert (again.model, again.versions[0].point.nominal_kbps) == (TINY, version.point.nominal_kbps)


def test_a_file_that_is_too_long_is_refused_by_its_header(heard, tmp_path):
    session, _, _ = heard
    with pytest.raises(EvalError, match=r"3.0 s: expected more than 0 and at most 2 s"):
        open_ecdc(Session(tmp_path, ""), session.versions[0].coded.read_bytes(), 2, {TINY: TINY})
    assert not list(tmp_path.iterdir())


def test_entropy_coded_files_hold_the_same_codes(heard, tmp_path):
    session, _, _ = heard
    torch.manual_seed(0)
    lm = codec.LanguageModel(LanguageModelConfig(codebooks=32, codebook_size=1024, dim=16, layers=1, heads=2)).eval()
    version = session.versions[1]
    *coded, _ = version.to_entropy_code(TINY)
    data = compress_codes(codec.load_model(TINY), *coded, lm)
    assert data != version.coded.read_bytes()
    segments = list(read_codes(io.BytesIO(data), codec.load_model(TINY), lm))
    assert torch.equal(torch.cat([segment.codes for segment in segments], dim=-1), version.codes[0])


def test_sizes_follow_from_codes_and_bytes(heard):
    session, _, _ = heard
    for version in session.versions[:5]:
        codebooks = round(version.point.nominal_kbps / 0.75)
        assert version.payload_bytes == -(-codebooks * 10 * 225 // 8)
        assert version.payload_kbps == pytest.approx(version.point.nominal_kbps, rel=0.002)
        assert version.pcm_ratio == pytest.approx(384 / version.point.nominal_kbps, rel=0.002)
    assert session.versions[5].file_kbps > session.versions[5].payload_kbps > 10


def test_scores_rise_with_the_rate(heard):
    session, _, _ = heard
    for metric in ("si_snr", "stoi"):
        values = [version.value(metric) for version in session.versions[:5]]
        assert values == sorted(values), metric


def test_the_archive_holds_every_version_and_its_numbers(heard):
    session, _, _ = heard
    with zipfile.ZipFile(session.archive()) as archive:
        names = {path.name for version in session.versions for path in version.files}
        assert set(archive.namelist()) == {"clip_original.wav", "numbers.csv"} | names
        rows = list(csv.DictReader(archive.read("numbers.csv").decode().splitlines()))
    assert [row["version"] for row in rows] == [version.point.name for version in session.versions]
    assert float(rows[2]["stoi"]) == session.versions[2].value("stoi")


def test_a_silent_clip_has_reasons_instead_of_scores(tmp_path):
    session = Session(tmp_path, TINY)
    for _ in code_clip(session, torch.zeros(1, 24000), 24000, Encodec(TINY, (6.0,))):
        pass
    score = session.versions[0].scores["pesq"]
    assert score.value is None
    assert "silent" in score.reason


def test_clips_are_judged_by_their_header(tmp_path):
    sf.write(tmp_path / "long.flac", np.zeros(8000 * 31), 8000)
    with pytest.raises(EvalError, match=r"long.flac is 31.0 s long: expected at most 30 s"):
        load_clip(tmp_path / "long.flac", 30)
    sf.write(tmp_path / "wide.wav", np.zeros((100, 3)), 8000)
    with pytest.raises(EvalError, match=r"wide.wav has 3 channels: expected 1 or 2"):
        load_clip(tmp_path / "wide.wav", 30)
    assert load_clip(SPEECH, 30)[0].shape[0] == 1


@pytest.mark.parametrize(("channels", "rate"), [(1, 8000), (2, 44100), (2, 48000)])
def test_any_rate_and_both_channel_counts_pass(tmp_path, channels, rate):
    noise = 0.1 * torch.randn(channels, rate // 2, generator=torch.Generator().manual_seed(0))
    session = Session(tmp_path, TINY)
    for _ in code_clip(session, noise, rate, Encodec(TINY, (6.0,)), [24]):
        pass
    assert [codec.audio.info(version.wav).duration_s for version in session.versions] == pytest.approx(
        [0.5] * 2, abs=0.01
    )
    assert all(version.value("si_snr") is not None for version in session.versions)
