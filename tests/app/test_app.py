"""The app's functions without a browser: what they return, refuse, escape and clean up."""

import os
import re
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import soundfile as sf
import torch

import app
import codec
from encodec_eval.datasets import BUNDLED
from tests.checkpoints import random_48khz, save_noise

SPEECH = BUNDLED / "librispeech-mini/test-other/1688/142285/1688-142285-0008.flac"
TINY = "encodec_24khz_tiny"


@pytest.fixture(autouse=True)
def sessions(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "SESSIONS", tmp_path / "sessions")
    monkeypatch.setattr(app, "EXAMPLE_SESSIONS", tmp_path / "examples")
    monkeypatch.setattr(app, "kept", {})
    return tmp_path / "sessions"


def last(iterator):
    return list(iterator)[-1]


def test_a_clip_gives_the_player_the_table_and_the_files():
    session = last(app.every_bandwidth(str(SPEECH), TINY, [12]))
    shown = app.shown_in_player(session)["versions"]
    assert [version["label"] for version in shown] == [
        "Original", "1.5 kbps", "3 kbps", "6 kbps", "12 kbps", "24 kbps", "Opus 12 kbps",
    ]  # fmt: skip
    assert all(version["audio"]["meta"] == {"_type": "gradio.FileData"} for version in shown)
    table = app.table(session)
    assert table.count("<tr><th scope='row'>") == 6
    assert "…" not in table
    for version in session.versions:
        assert f"<td>{version.value('stoi'):.3f}</td>" in table
        assert version.point.series in table
    rows = app.taken_away(session)["rows"]
    assert [row["name"] for row in rows] == [version["label"] for version in shown]
    assert "image" in app.picture(session, "6 kbps")
    assert app.picture(session, "7 kbps") is None
    app.forget(session)
    assert not session.folder.exists()


def write(kind, path):
    if kind == "text":
        path.write_text("this is not audio")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "no samples":
        sf.write(path, np.zeros(0), 24000)
    elif kind == "nan":
        sf.write(path, np.array([0.1, np.nan]), 24000, subtype="FLOAT")
    elif kind == "ten hours":
        with sf.SoundFile(path, "w", 8000, 1, format="FLAC") as file:
            for _ in range(600):
                file.write(np.zeros(480000))
    elif kind == "three channels":
        sf.write(path, np.zeros((100, 3)), 24000)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "is not audio"),
        ("empty", "is not audio"),
        ("no samples", "no samples"),
        ("nan", "NaN"),
        ("ten hours", "36000.0 s long; allowed are at most 30 s"),
        ("three channels", "3 channels; allowed are 1 and 2"),
        ("missing", "is not a file"),
    ],
)
def test_hostile_files_get_one_line_and_leave_nothing(kind, message, tmp_path, sessions):
    path = tmp_path / "<img src=x>.wav"
    write(kind, path)
    with pytest.raises(gr.Error) as raised:
        last(app.every_bandwidth(str(path), TINY, []))
    text = raised.value.message
    assert message in text
    assert "\n" not in text
    assert "<img" not in text, "markup of a file's name reaches the page"
    assert str(tmp_path) not in text, "a folder of this machine reaches the page"
    assert not list(sessions.glob("*"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the header"),
        (b"RIFF....WAVE", "ecdc"),
        (b'ECDC\0\0\0\0\x3e{"m": "../../etc/passwd", "al": 24000, "nc": 8, "lm": false}', ""),
    ],
)
def test_hostile_ecdc_files_get_one_line_and_leave_nothing(data, message, tmp_path, sessions):
    path = tmp_path / "evil.ecdc"
    path.write_bytes(data)
    with pytest.raises(gr.Error) as raised:
        app.open_ecdc(str(path))
    assert message in raised.value.message
    assert "\n" not in raised.value.message
    assert not list(sessions.glob("*"))


def test_an_example_is_worked_out_once_for_a_model_and_rates(sessions, tmp_path, monkeypatch):
    example = tmp_path / "uploaded.flac"
    example.write_bytes(SPEECH.read_bytes())
    first = list(app.on_listen(str(example), TINY, [], None))
    session = first[-2][app.state]
    monkeypatch.setattr(app, "every_bandwidth", lambda *_: pytest.fail("worked out again"))
    again = list(app.on_listen(str(example), TINY, [], session))
    assert again[0][app.state] is session
    assert again[0][app.heard] == first[-2][app.heard]
    assert app.KEPT in again[0][app.numbers]
    assert app.KEPT not in first[-2][app.numbers]
    assert again[-1][app.files] == first[-1][app.files]
    app.forget(session)
    assert all(path.exists() for version in session.versions for path in version.files)
    for clip, opus in ((example, [12]), (SPEECH.with_name("1688-142285-0000.flac"), [])):
        with pytest.raises(pytest.fail.Exception):
            list(app.on_listen(str(clip), TINY, opus, None))


def test_other_clips_are_not_kept(tmp_path):
    codec.audio.save(tmp_path / "mine.wav", torch.zeros(1, 8000), 24000)
    *_, shown, _ = app.on_listen(str(tmp_path / "mine.wav"), TINY, [], None)
    assert not app.kept
    *_, shown_again, _ = app.on_listen(str(tmp_path / "mine.wav"), TINY, [], shown[app.state])
    assert not shown[app.state].folder.exists(), "the session before this one was left behind"
    assert shown_again[app.state].folder.exists()


def test_a_session_leaves_nothing_but_what_an_endpoint_returned(sessions):
    made = Path(app.encode(str(SPEECH), TINY, 6.0, True))
    assert [path for path in sessions.rglob("*") if path.is_file()] == [made]
    made.unlink()  # as Gradio does after a while
    os.utime(made.parent, (0, 0))
    heard = app.new_session(TINY).folder
    assert list(sessions.iterdir()) == [heard]


def test_what_is_still_to_come_differs_from_what_is_not_there(tmp_path):
    seen = [app.table(session) for session in app.every_bandwidth(str(SPEECH), TINY, [12])]
    codec_row, opus_row = re.findall("<tr><th scope='row'>.*?</tr>", seen[12])[::5]
    assert "<td>…</td>" in codec_row, "its rate with the language model is still being computed"
    assert "…" not in opus_row, "Opus has no language model"
    assert opus_row.count("–") == 1
    assert "…" not in seen[-1]


def test_an_opened_file_has_nothing_to_compare_with():
    shown = app.on_open(app.encode(str(SPEECH), TINY, 6.0, False), None)
    assert not shown[app.changed].visible
    assert not shown[app.blind].visible
    assert "…" not in shown[app.numbers]
    *_, shown, _ = app.on_listen(str(SPEECH), TINY, [], shown[app.state])
    assert shown[app.changed].visible
    assert shown[app.blind].visible


def test_an_ecdc_file_made_by_the_endpoint_is_decoded_by_the_other():
    made = app.encode(str(SPEECH), TINY, 6.0, False)
    heard = app.decode(made)
    wanted = last(app.every_bandwidth(str(SPEECH), TINY, [])).versions[2]
    assert Path(made).read_bytes() == wanted.coded.read_bytes()
    assert np.abs(sf.read(heard)[0] - sf.read(wanted.wav)[0]).max() < 2**-14
    with pytest.raises(gr.Error, match="bandwidth"):
        app.encode(str(SPEECH), TINY, 7.0, False)


def test_no_clip_and_unknown_models_are_told():
    with pytest.raises(gr.Error, match="Choose a clip"):
        last(app.every_bandwidth(None, TINY, []))
    with pytest.raises(gr.Error, match="no model"):
        last(app.every_bandwidth(str(SPEECH), "gpt", []))


@pytest.mark.parametrize("model", ["/etc", "someone/encodec", str(Path(codec.__file__).parent / "pretrained" / TINY)])
def test_visitors_name_no_paths_and_no_repositories(model, sessions):
    with pytest.raises(gr.Error, match="there is no model"):
        last(app.every_bandwidth(str(SPEECH), model, []))
    with pytest.raises(gr.Error, match="there is no model"):
        app.encode(str(SPEECH), model, 6.0, False)
    assert not list(sessions.glob("*"))


@pytest.fixture
def stereo_model(tmp_path, monkeypatch):
    """A checkpoint folder of the 48 kHz kind, offered as `$ENCODEC_MODELS` would."""
    folder = random_48khz(tmp_path / "stereo_random")
    monkeypatch.setenv("ENCODEC_MODELS", str(folder))
    monkeypatch.setattr(app, "OWN_MODELS", app.own_models())
    return folder.name


@pytest.mark.parametrize("channels", [1, 2])
def test_the_48_khz_model_gives_stereo_at_each_of_its_bandwidths(channels, stereo_model, tmp_path):
    assert stereo_model in app.models()
    assert "48 kHz stereo" in app.about(stereo_model)
    save_noise(tmp_path / "clip.wav", channels)
    session = last(app.every_bandwidth(str(tmp_path / "clip.wav"), stereo_model, []))
    assert [version.point.nominal_kbps for version in session.versions] == [3, 6, 12, 24]
    for version in session.versions:
        info = codec.audio.info(version.wav)
        assert (info.sample_rate, info.channels, info.frames) == (48000, 2, 55200)
        opened = app.open_ecdc(str(version.coded))
        assert opened.model == stereo_model
        left_and_right, _ = codec.audio.load(opened.versions[0].wav)
        assert (left_and_right - codec.audio.load(version.wav)[0]).abs().max() < 2**-14
        assert bool((left_and_right[0] != left_and_right[1]).any())
    assert str(tmp_path) not in str([app.table(session), session.rows(), app.about(stereo_model)])


def test_a_folder_without_a_checkpoint_stops_the_app_with_one_line(tmp_path, monkeypatch, capsys):
    for folder, message in ((tmp_path / "none", "is not a folder"), (tmp_path, "has no config.json")):
        monkeypatch.setenv("ENCODEC_MODELS", str(folder))
        with pytest.raises(SystemExit) as stopped:
            app.own_models()
        assert stopped.value.code == 2
        assert capsys.readouterr().err == f"ENCODEC_MODELS: {folder} {message}\n"


def test_a_length_limit_that_is_none_stops_the_app_with_one_line(monkeypatch, capsys):
    for given in ("abc", "0", "-1", "nan", "inf"):
        monkeypatch.setenv("ENCODEC_MAX_CLIP_S", given)
        with pytest.raises(SystemExit) as stopped:
            app.max_clip_s()
        assert stopped.value.code == 2
        assert capsys.readouterr().err == f"ENCODEC_MAX_CLIP_S: {given!r} is not a number of seconds above 0\n"
    monkeypatch.setenv("ENCODEC_MAX_CLIP_S", "12.5")
    assert app.max_clip_s() == 12.5


def test_sessions_lie_in_folders_nobody_can_guess():
    folders = {app.new_session(TINY).folder for _ in range(20)}
    assert len(folders) == 20
    assert all(len(folder.name) >= 32 and folder.stat().st_mode & 0o077 == 0 for folder in folders)


def test_the_banner_says_whose_voice_it_is():
    text = app.about(TINY)
    assert "encodec_24khz_tiny" in text
    assert "24 kHz mono" in text
    assert "facebook/encodec_24khz" in text
    text = app.about("encodec_48khz_tiny")
    assert "48 kHz stereo" in text
    assert "facebook/encodec_48khz" in text
