"""The app's functions without a browser: what they return, refuse, escape and clean up."""

from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import soundfile as sf

import app
from encodec_eval.datasets import BUNDLED

SPEECH = BUNDLED / "librispeech-mini/test-other/1688/142285/1688-142285-0008.flac"
TINY = "encodec_24khz_tiny"


@pytest.fixture(autouse=True)
def own_upload_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    return tmp_path / "gradio"


def last(iterator):
    return list(iterator)[-1]


def test_a_clip_gives_the_player_the_table_and_the_files():
    session = last(app.reconstruct(str(SPEECH), TINY, [12]))
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
def test_hostile_files_get_one_line_and_leave_nothing(kind, message, tmp_path, own_upload_folder):
    path = tmp_path / "<img src=x>.wav"
    write(kind, path)
    with pytest.raises(gr.Error) as raised:
        last(app.reconstruct(str(path), TINY, []))
    text = raised.value.message
    assert message in text
    assert "\n" not in text
    assert "<img" not in text, "markup of a file's name reaches the page"
    assert str(tmp_path) not in text, "a folder of this machine reaches the page"
    assert not own_upload_folder.exists() or not list(own_upload_folder.iterdir())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the header"),
        (b"RIFF....WAVE", "ecdc"),
        (b'ECDC\0\0\0\0\x3e{"m": "../../etc/passwd", "al": 24000, "nc": 8, "lm": false}', ""),
    ],
)
def test_hostile_ecdc_files_get_one_line_and_leave_nothing(data, message, tmp_path, own_upload_folder):
    path = tmp_path / "evil.ecdc"
    path.write_bytes(data)
    with pytest.raises(gr.Error) as raised:
        app.open_ecdc(str(path))
    assert message in raised.value.message
    assert "\n" not in raised.value.message
    assert not list(own_upload_folder.iterdir())


def test_an_ecdc_file_made_by_the_endpoint_is_decoded_by_the_other():
    made = app.endpoint_encode(str(SPEECH), TINY, 6.0, False)
    heard = app.endpoint_decode(made)
    wanted = last(app.reconstruct(str(SPEECH), TINY, [])).versions[2]
    assert Path(made).read_bytes() == wanted.coded.read_bytes()
    assert np.abs(sf.read(heard)[0] - sf.read(wanted.wav)[0]).max() < 2**-14
    with pytest.raises(gr.Error, match="bandwidth"):
        app.endpoint_encode(str(SPEECH), TINY, 7.0, False)


def test_no_clip_and_unknown_models_are_told():
    with pytest.raises(gr.Error, match="Choose a clip"):
        last(app.reconstruct(None, TINY, []))
    with pytest.raises(gr.Error, match="no model"):
        last(app.reconstruct(str(SPEECH), "gpt", []))


def test_sessions_lie_in_folders_nobody_can_guess():
    folders = {app.new_session(TINY).folder for _ in range(20)}
    assert len(folders) == 20
    assert all(len(folder.name) >= 32 and folder.stat().st_mode & 0o077 == 0 for folder in folders)


def test_the_banner_says_whose_voice_it_is():
    text = app.about(TINY)
    assert "encodec_24khz_tiny" in text
    assert "24 kHz mono" in text
    assert "facebook/encodec_24khz" in text
