"""Sets, folders and manifests."""

import re

import numpy as np
import pytest
import soundfile as sf

from codec import AudioError
from encodec_eval import corpora
from encodec_eval.corpora import CORPORA
from encodec_eval.datasets import bundled_set, draw, load_set, middle
from encodec_eval.types import EvalError


def write(path, seconds=0.1, rate=16000, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.full((round(seconds * rate), channels), 0.1), rate)
    return path


def test_the_bundled_sets_are_whole():
    speech = bundled_set("librispeech-mini")
    assert len(speech.clips) == 30
    assert sorted({clip.speaker for clip in speech.clips}) == ["1688", "1998", "2033", "367", "533"]
    assert sum(clip.duration_s for clip in speech.clips) == pytest.approx(239.7, abs=0.1)
    music = bundled_set("clips-48k")
    assert [clip.speaker for clip in music.clips if clip.channels == 1] == ["p228", "p243"]
    assert len(music.clips) == 7


def test_librispeech_falls_back_to_the_bundled_subset_and_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(corpora, "reachable", lambda url: False)
    found = load_set("librispeech", tmp_path)
    assert found.name == "librispeech-mini"
    assert "librispeech:test-clean is not under" in found.note
    assert found.note in caplog.text
    with pytest.raises(EvalError, match=r"vctk:mic2 is not under .* cannot be reached"):
        load_set("vctk", tmp_path)


def test_the_layout_of_librispeech(tmp_path):
    write(tmp_path / "LibriSpeech/test-other/12/34/12-34-0001.flac")
    found = load_set("librispeech:test-other", tmp_path, download=False)
    assert (found.name, found.note) == ("librispeech-test-other", "")
    assert [(clip.id, clip.speaker) for clip in found.clips] == [("12/34/12-34-0001", "12")]


@pytest.mark.parametrize(
    ("name", "path", "speaker"),
    [
        ("libritts", "LibriTTS/test-clean/7/8/7_8_000.wav", "7"),
        ("vctk", "VCTK-Corpus-0.92/wav48_silence_trimmed/p225/p225_001_mic2.flac", "p225"),
        ("ljspeech", "LJSpeech-1.1/wavs/LJ001-0001.wav", None),
        ("musdb", "musdb18hq/test/Some Track/mixture.wav", None),
        ("gtzan", "genres/blues/blues.00000.wav", None),
        ("daps", "daps/clean/f10_script2_clean.wav", "f10"),
        ("ears", "EARS/p104/emo_adoration_freeform.wav", "p104"),
        ("audioset", "audioset/eval/YabcdEFGH_k0.flac", None),
    ],
)
def test_layouts_of_the_other_corpora(tmp_path, name, path, speaker):
    write(tmp_path / path)
    (clip,) = load_set(name, tmp_path, download=False).clips
    assert clip.path == str(tmp_path / path)
    assert clip.speaker == speaker


def test_common_voice_is_read_from_its_table(tmp_path):
    write(tmp_path / "clips/b.mp3")
    write(tmp_path / "clips/a.mp3")
    write(tmp_path / "clips/other.mp3")
    (tmp_path / "test.tsv").write_text('client_id\tpath\tsentence\ns1\tb.mp3\t"one\ns2\ta.mp3\ttwo\n')
    found = load_set("commonvoice", tmp_path)
    assert [(clip.id, clip.speaker) for clip in found.clips] == [("clips/a", "s2"), ("clips/b", "s1")]


def test_a_folder_and_its_ids(tmp_path):
    for name in ("b/x.wav", "a.wav", "a.flac"):
        write(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no audio")
    assert [clip.id for clip in load_set(str(tmp_path)).clips] == ["a.flac", "a.wav", "b/x"]


def test_a_manifest(tmp_path):
    write(tmp_path / "x.wav", seconds=2)
    manifest = tmp_path / "list.csv"
    manifest.write_text("path,start,duration,speaker\nx.wav,0.5,1,me\nx.wav,,,\n")
    part, whole = load_set(str(manifest)).clips
    assert (part.start, part.frames, part.speaker) == (8000, 16000, "me")
    assert (whole.start, whole.frames, whole.speaker) == (0, 32000, None)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("file\nx.wav\n", "it needs path"),
        ("path\n", "lists no clips"),
        ("path\nx.wav\nx.wav\n", "twice"),
        ("path,start\nx.wav,soon\n", "line 2: start and duration must be seconds"),
        ("path,start,duration\nx.wav,1,5\n", "line 2: x.wav has 2 s"),
        ("path\nmissing.wav\n", "is not a file"),
    ],
)
def test_bad_manifests(tmp_path, rows, message):
    write(tmp_path / "x.wav", seconds=2)
    (tmp_path / "list.csv").write_text(rows)
    with pytest.raises((EvalError, AudioError), match=message):
        load_set(str(tmp_path / "list.csv"))


def test_bad_sets(tmp_path):
    with pytest.raises(EvalError, match="no set or path 'nonsense'; expected librispeech, "):
        load_set("nonsense")
    with pytest.raises(EvalError, match="no subset 'test'; expected test-clean"):
        load_set("librispeech:test")
    with pytest.raises(EvalError, match="holds no audio"):
        load_set(str(tmp_path))
    write(tmp_path / "x.wav", channels=3)
    with pytest.raises(EvalError, match="has 3 channels; expected 1 or 2"):
        load_set(str(tmp_path))
    write(tmp_path / "x.wav", seconds=0)
    with pytest.raises(EvalError, match="has no samples"):
        load_set(str(tmp_path))


def bad_files(folder):
    """A good file and four that no system can be given; the last one has a good header."""
    rng = np.random.default_rng(0)
    sf.write(folder / "a_good.wav", rng.normal(0, 0.1, 16000), 16000)
    write(folder / "b_empty.wav", seconds=0)
    write(folder / "c_eight.wav", channels=8)
    (folder / "d_garbage.flac").write_bytes(rng.bytes(1000))
    sf.write(folder / "e_truncated.flac", rng.normal(0, 0.1, 48000), 16000)
    whole = (folder / "e_truncated.flac").read_bytes()
    (folder / "e_truncated.flac").write_bytes(whole[: len(whole) // 3])
    return folder


def test_files_that_cannot_be_used_are_skipped_with_their_reason(tmp_path, caplog):
    found = load_set(str(bad_files(tmp_path)))
    assert [clip.id for clip in found.clips] == ["a_good", "e_truncated"]
    assert [each.file for each in found.skipped] == ["b_empty.wav", "c_eight.wav", "d_garbage.flac"]
    reasons = [each.reason for each in found.skipped]
    for reason, expected in zip(reasons, ("has no samples", "has 8 channels", "d_garbage.flac"), strict=True):
        assert expected in reason
        assert reason in caplog.text
    (tmp_path / "list.csv").write_text("path\na_good.wav\nb_empty.wav\nmissing.wav\n")
    listed = load_set(str(tmp_path / "list.csv"))
    assert [clip.id for clip in listed.clips] == ["a_good"]
    assert [each.file for each in listed.skipped] == ["b_empty.wav", "missing.wav"]


def test_strict_refuses_them(tmp_path):
    with pytest.raises(EvalError, match=r"b_empty.wav of .* has no samples"):
        load_set(str(bad_files(tmp_path)), strict=True)
    for name in ("b_empty.wav", "c_eight.wav", "d_garbage.flac"):
        (tmp_path / name).unlink()
    with pytest.raises(AudioError, match=r"e_truncated.flac"):
        load_set(str(tmp_path), strict=True)
    (tmp_path / "e_truncated.flac").unlink()
    assert len(load_set(str(tmp_path), strict=True).clips) == 1


def test_a_draw_is_fixed_and_balanced():
    clips = bundled_set("librispeech-mini").clips
    drawn = draw(clips, 10, seed=0)
    assert drawn == draw(clips, 10, seed=0)
    assert drawn != draw(clips, 10, seed=1)
    assert [sum(clip.speaker == speaker for clip in drawn) for speaker in {c.speaker for c in clips}] == [2] * 5
    assert draw(clips, 99, seed=0) == list(clips)
    with pytest.raises(EvalError, match="at least 1, not 0"):
        draw(clips, 0, seed=0)


def test_a_draw_of_a_length():
    clips = bundled_set("librispeech-mini").clips
    drawn = draw(clips, None, seed=0, max_seconds=60)
    assert 50 < sum(clip.duration_s for clip in drawn) <= 60
    assert drawn == draw(clips, None, seed=0, max_seconds=60)
    counts = [sum(clip.speaker == speaker for clip in drawn) for speaker in {c.speaker for c in clips}]
    assert max(counts) - min(counts) <= 1
    assert len(draw(clips, 3, seed=0, max_seconds=60)) == 3
    assert draw(clips, None, seed=0, max_seconds=1e6) == list(clips)
    with pytest.raises(EvalError, match=r"no clip is as short as 0.1 s; the shortest has "):
        draw(clips, None, seed=0, max_seconds=0.1)


def test_subsets_of_a_corpus_by_speaker(tmp_path):
    for speaker in ("p001", "p099", "p100", "p101", "p102", "p107"):
        write(tmp_path / f"EARS/{speaker}/rainbow_01_fast.wav")
    speakers = {
        subset: [clip.speaker for clip in load_set(f"ears:{subset}", tmp_path, download=False).clips]
        for subset in CORPORA["ears"].subsets
    }
    assert speakers == {"test": ["p102", "p107"], "valid": ["p100", "p101"], "train": ["p001", "p099"]}


def test_the_middle_of_a_long_clip():
    clip = bundled_set("librispeech-mini").clips[0]
    part = middle(clip, 2.0)
    assert part.frames == 32000
    assert abs((part.start - clip.start) - (clip.frames - part.frames - part.start)) <= 1
    assert middle(clip, 1e6) == clip


def test_the_file_list_hash_follows_the_list():
    whole = bundled_set("librispeech-mini")
    assert re.fullmatch("[0-9a-f]{64}", whole.file_list_sha256)
    assert whole.file_list_sha256 == bundled_set("librispeech-mini").file_list_sha256
    assert type(whole)(whole.name, whole.clips[1:]).file_list_sha256 != whole.file_list_sha256


def test_every_corpus_names_its_licence():
    assert all(corpus.licence and corpus.url and corpus.subsets for corpus in CORPORA.values())
