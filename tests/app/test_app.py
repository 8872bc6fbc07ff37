"""The app's functions without a browser: what they return, refuse, escape and clean up."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import soundfile as sf
import torch

import codec
from encodec_eval.datasets import BUNDLED
from encodec_eval.demo import coding, endpoints, models, page, settings, store, temporary
from encodec_eval.demo.numbers import table
from encodec_eval.demo.settings import EXAMPLES, Source
from encodec_eval.demo.values import files_value, picture_value, player_value
from tests.checkpoints import random_48khz, save_noise

SPEECH = BUNDLED / "librispeech-mini/test-other/1688/142285/1688-142285-0008.flac"
TINY = "encodec_24khz_tiny"
VISITOR = SimpleNamespace(session_hash="one")


@pytest.fixture(autouse=True)
def sessions(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(store, "kept", {})
    return tmp_path / "sessions"


def last(iterator):
    return list(iterator)[-1]


def source(path, name="mine.wav"):
    return Source(Path(path), name, name)


def upload(path):
    return {"path": str(path), "orig_name": Path(path).name}


def test_a_clip_gives_the_player_the_table_and_the_files():
    session = last(coding.every_bandwidth(source(SPEECH), TINY, [12]))
    shown = player_value(session, "mine", "1")["versions"]
    labels = ["Original", "1.5 kbps", "3 kbps", "6 kbps", "12 kbps", "24 kbps", "Opus 12 kbps"]
    assert [version["label"] for version in shown] == labels
    assert [version["group"] for version in shown] == ["", *[TINY] * 5, "Opus"]
    assert all(version["audio"]["meta"] == {"_type": "gradio.FileData"} for version in shown)
    numbers = table(session)
    assert numbers.count("<tr><th scope='row'>") == 6
    assert "…" not in numbers
    for version in session.versions:
        assert f">{version.value('stoi'):.3f}</td>" in numbers
    assert numbers.count(TINY) == 1, "the codec's name stands once"
    assert numbers.count("encoded at") == 2, "the speed of encoding stands once for a codec"
    rows = files_value(session)["rows"]
    assert [row["name"] for row in rows] == ["Original", *(f"{TINY} {name}" for name in labels[1:6]), "Opus 12 kbps"]
    assert [file["name"] for file in rows[3]["files"]] == [
        f"mine_{TINY}_6kbps{ending}" for ending in (".wav", ".lm.ecdc", ".ecdc")
    ]
    assert files_value(session)["zip_name"] == "mine_versions.zip"
    assert len(picture_value(session, "6 kbps")["panels"]) == 4
    assert picture_value(session, "7 kbps") is None
    store.forget(session)
    assert not session.folder.exists()


@pytest.mark.parametrize(
    ("name", "stem"),
    [("My clip (1).mp3", "My_clip__1"), ("${alert(1)}`.wav", "alert_1"), ("...", "clip"), ("é" * 200, "é" * 60)],
)
def test_files_carry_the_clips_name_without_what_a_template_would_run(name, stem, tmp_path):
    found = store.new_session(TINY, name).stem
    assert found.strip("_") == stem
    assert not set(found) & set("`${}<>\"'/\\")


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
    elif kind == "gigahertz":
        sf.write(path, np.zeros(100), 2**31 - 1)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "is not an audio file that can be read: expected WAV, FLAC, OGG, Opus, MP3 or AIFF"),
        ("empty", "is not an audio file"),
        ("no samples", "no samples"),
        ("nan", "NaN"),
        ("ten hours", "36000.0 s long: expected at most 30 s"),
        ("three channels", "3 channels: expected 1 or 2"),
        ("gigahertz", "sample rate of 2147483647 Hz: expected 1000 to 768000 Hz"),
        ("missing", "is not a file"),
    ],
)
def test_hostile_files_get_one_line_and_leave_nothing(kind, message, tmp_path, sessions):
    path = tmp_path / "<img src=x>.wav"
    write(kind, path)
    with pytest.raises(gr.Error) as raised:
        last(coding.every_bandwidth(source(path), TINY, []))
    text = raised.value.message
    assert message in text
    assert "\n" not in text
    assert "<img" not in text, "markup of a file's name reaches the page"
    assert str(tmp_path) not in text, "a folder of this machine reaches the page"
    assert not list(sessions.glob("*"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "mine.ecdc is not an .ecdc file"),
        (b"a text, not a file", "mine.ecdc is not an .ecdc file"),
        (b'ECDC\0\0\0\0\x3e{"m": "../../etc/passwd", "al": 24000, "nc": 8, "lm": false}', ""),
    ],
)
def test_hostile_ecdc_files_get_one_line_and_leave_nothing(data, message, tmp_path, sessions):
    path = tmp_path / "evil.ecdc"
    path.write_bytes(data)
    with pytest.raises(gr.Error) as raised:
        coding.open_ecdc(source(path, "mine.ecdc"))
    assert message in raised.value.message
    assert "\n" not in raised.value.message
    assert not list(sessions.glob("*"))


def test_an_example_is_coded_once_for_a_model_and_rates(monkeypatch):
    first = list(page.on_example(0)(TINY, [], None, VISITOR))
    session = first[-1].session
    monkeypatch.setattr(page, "every_bandwidth", lambda *_: pytest.fail("coded again"))
    again = list(page.on_example(0)(TINY, [], session, VISITOR))
    assert again[0].session is session
    assert again[0].player["versions"] == first[-1].player["versions"]
    assert page.KEPT in again[0].numbers
    assert page.KEPT not in first[-1].numbers
    assert again[-1].files["rows"] == first[-1].files["rows"]
    store.forget(session)
    assert all(path.exists() for version in session.versions for path in version.files)
    assert store.example_key(source(SPEECH), TINY, []) is None, "a visitor's copy, whose files carry its own name"
    for index, opus in ((0, [12]), (1, [])):
        with pytest.raises(pytest.fail.Exception):
            list(page.on_example(index)(TINY, opus, None, VISITOR))


def test_examples_need_no_file_that_gradio_may_delete(tmp_path):
    shown = next(iter(page.on_example(3)(TINY, [], None, VISITOR)))
    assert shown.source.path.is_relative_to(BUNDLED)
    assert shown.session.folder.parent == store.examples_folder()


def test_other_clips_are_not_kept(tmp_path):
    codec.audio.save(tmp_path / "mine.wav", torch.zeros(1, 8000), 24000)
    shown = last(page.on_upload(upload(tmp_path / "mine.wav"), TINY, [], None, VISITOR))
    assert not store.kept
    shown_again = last(page.on_upload(upload(tmp_path / "mine.wav"), TINY, [], shown.session, VISITOR))
    assert not shown.session.folder.exists(), "the session before this one was left behind"
    assert shown_again.session.folder.exists()


def test_a_run_ends_when_it_is_cancelled_and_shows_what_there_is(sessions):
    run = page.on_upload(upload_copy(sessions.parent), TINY, [], None, VISITOR)
    for _ in range(3):
        shown = next(run)
    assert "Decoding" in shown.status
    page.on_cancel(VISITOR)
    *_, shown = run
    assert shown.status == ""
    assert 2 <= len(shown.player["versions"]) < 6
    assert "Cancelled" in shown.numbers
    assert "…" not in shown.numbers


def test_a_run_gives_way_to_a_later_one_of_the_same_visitor(sessions):
    first = page.on_upload(upload_copy(sessions.parent), TINY, [], None, VISITOR)
    shown = next(first)
    other = page.on_upload(upload_copy(sessions.parent), TINY, [], None, SimpleNamespace(session_hash="two"))
    next(other)
    second = page.on_upload(upload_copy(sessions.parent), TINY, [], None, VISITOR)
    next(second)
    left = list(first)
    assert left == [page.Shown()], "an overtaken run still shows something"
    assert not shown.session.folder.exists()
    assert "Decoding" in next(other).status, "another visitor's run was stopped"


def upload_copy(folder):
    codec.audio.save(folder / "mine.wav", 0.1 * torch.randn(1, 24000), 24000)
    return upload(folder / "mine.wav")


def test_settings_code_the_clip_there_is_again(sessions):
    shown = list(page.on_settings(None, "encodec_48khz_tiny", [], None, VISITOR))
    assert len(shown) == 1
    assert "encodec_48khz_tiny" in shown[0].about
    codec.audio.save(sessions.parent / "mine.wav", 0.1 * torch.randn(1, 24000), 24000)
    shown = last(page.on_settings(source(sessions.parent / "mine.wav"), TINY, [24], None, VISITOR))
    assert [version["label"] for version in shown.player["versions"]][-1] == "Opus 24 kbps"


@pytest.mark.parametrize(
    "given", [None, "text", [], {}, {"path": None}, {"path": "/etc/passwd"}, {"path": str(SPEECH)}, {"path": "a/../.."}]
)
def test_an_upload_names_no_other_file_of_the_machine(given):
    with pytest.raises(gr.Error, match=r"Choose a clip first|choose it again"):
        last(page.on_upload(given, TINY, [], None, VISITOR))


def test_a_session_leaves_nothing_but_what_an_endpoint_returned(sessions):
    made = Path(endpoints.encode(str(SPEECH), TINY, 6.0, True))
    assert [path for path in sessions.rglob("*") if path.is_file()] == [made]
    made.unlink()  # as Gradio does after a while
    os.utime(made.parent, (0, 0))
    heard = store.new_session(TINY).folder
    assert list(sessions.iterdir()) == [heard]


def test_what_is_still_to_come_differs_from_what_is_not_there():
    seen = [table(session) for session in coding.every_bandwidth(source(SPEECH), TINY, [12])]
    codec_row, opus_row = re.findall("<tr><th scope='row'>.*?</tr>", seen[6])[::5]
    coming = {name: f'data-column="{name}">…<' for name in ("with LM, kbps", "SI-SNR, dB", "decode, ×")}
    assert all(cell in codec_row for cell in coming.values())
    assert coming["SI-SNR, dB"] in opus_row
    assert coming["with LM, kbps"] not in opus_row, "Opus has no language model"
    assert opus_row.count("–") == 1
    assert "…" not in seen[-1]


def test_an_opened_file_has_nothing_to_compare_with_and_no_empty_columns(tmp_path):
    made = {lm: tmp_path / f"{lm}.ecdc" for lm in (False, True)}
    for lm, path in made.items():
        path.write_bytes(Path(endpoints.encode(str(SPEECH), TINY, 6.0, lm)).read_bytes())
        shown = last(page.on_upload(upload(path), TINY, [], None, VISITOR))
        assert shown.player["compared"] is False
        assert "file, kbps" in shown.numbers
        assert not re.search("SI-SNR|PESQ|with LM, kbps|…|–", shown.numbers)
        assert ("cannot be checked" in shown.numbers) == (not lm), "version 0 alone has no checksum"
    shown = last(page.on_example(0)(TINY, [], shown.session, VISITOR))
    assert shown.player["compared"] is True


def test_an_ecdc_file_made_by_the_endpoint_is_decoded_by_the_other():
    made = endpoints.encode(str(SPEECH), TINY, 6.0, False)
    heard = endpoints.decode(made)
    wanted = last(coding.every_bandwidth(source(SPEECH), TINY, [])).versions[2]
    assert Path(made).read_bytes() == wanted.coded.read_bytes()
    assert np.abs(sf.read(heard)[0] - sf.read(wanted.wav)[0]).max() < 2**-14
    with pytest.raises(gr.Error, match="bandwidth"):
        endpoints.encode(str(SPEECH), TINY, 7.0, False)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((None, TINY, 6.0, False), "clip is None: expected a file"),
        (([], TINY, 6.0, False), "clip is \\[\\]: expected a file"),
        ((str(SPEECH), None, 6.0, False), "model is None: expected one of"),
        ((str(SPEECH), "<b>gpt</b>", 6.0, False), "there is no model '<b>gpt</b>'"),
        ((str(SPEECH), TINY, None, False), "bandwidth is None: expected a number"),
        ((str(SPEECH), TINY, "6", False), "bandwidth is '6': expected a number"),
        ((str(SPEECH), TINY, [6], False), "bandwidth is \\[6\\]: expected a number"),
        ((str(SPEECH), TINY, True, False), "bandwidth is True: expected a number"),
        ((str(SPEECH), TINY, float("nan"), False), "bandwidth nan"),
        ((str(SPEECH), TINY, 6.0, "false"), "language_model is 'false': expected true or false"),
        ((str(SPEECH), TINY, 6.0, None), "language_model is None: expected true or false"),
    ],
)
def test_endpoints_refuse_wrong_arguments_by_name_in_plain_text(arguments, named, sessions):
    with pytest.raises(gr.Error, match=named) as raised:
        endpoints.encode(*arguments)
    assert "&" not in raised.value.message, "HTML in a message for programs"
    assert not list(sessions.glob("*"))


def test_unknown_models_are_told():
    with pytest.raises(gr.Error, match="no model"):
        last(coding.every_bandwidth(source(SPEECH), "gpt", []))


@pytest.mark.parametrize("model", ["/etc", "someone/encodec", str(Path(codec.__file__).parent / "pretrained" / TINY)])
def test_visitors_name_no_paths_and_no_repositories(model, sessions):
    with pytest.raises(gr.Error, match="there is no model"):
        last(coding.every_bandwidth(source(SPEECH), model, []))
    with pytest.raises(gr.Error, match="there is no model"):
        endpoints.encode(str(SPEECH), model, 6.0, False)
    assert not list(sessions.glob("*"))


@pytest.fixture
def stereo_model(tmp_path, monkeypatch):
    """A checkpoint folder of the 48 kHz kind, offered as `$ENCODEC_MODELS` would."""
    folder = random_48khz(tmp_path / "stereo_random")
    monkeypatch.setenv("ENCODEC_MODELS", str(folder))
    monkeypatch.setattr(models, "OWN_MODELS", models.own_models())
    return folder.name


@pytest.mark.parametrize("channels", [1, 2])
def test_the_48_khz_model_gives_stereo_at_each_of_its_bandwidths(channels, stereo_model, tmp_path):
    assert stereo_model in endpoints.models()
    assert "48 kHz stereo" in models.about(stereo_model)
    save_noise(tmp_path / "clip.wav", channels)
    session = last(coding.every_bandwidth(source(tmp_path / "clip.wav"), stereo_model, []))
    assert [version.point.nominal_kbps for version in session.versions] == [3, 6, 12, 24]
    for version in session.versions:
        info = codec.audio.info(version.wav)
        assert (info.sample_rate, info.channels, info.frames) == (48000, 2, 55200)
        opened = coding.open_ecdc(source(version.coded))
        assert opened.model == stereo_model
        left_and_right, _ = codec.audio.load(opened.versions[0].wav)
        assert (left_and_right - codec.audio.load(version.wav)[0]).abs().max() < 2**-14
        assert bool((left_and_right[0] != left_and_right[1]).any())
    assert str(tmp_path) not in str([table(session), session.rows(), models.about(stereo_model)])
    assert "with LM" not in table(session), "a column that this model cannot fill"


def test_a_folder_without_a_checkpoint_stops_the_app_with_one_line(tmp_path, monkeypatch, capsys):
    for folder, message in ((tmp_path / "none", "is not a folder"), (tmp_path, "has no config.json")):
        monkeypatch.setenv("ENCODEC_MODELS", str(folder))
        with pytest.raises(SystemExit) as stopped:
            models.own_models()
        assert stopped.value.code == 2
        assert capsys.readouterr().err == f"ENCODEC_MODELS: {folder} {message}\n"


def test_a_length_limit_that_is_none_stops_the_app_with_one_line(monkeypatch, capsys):
    for given in ("abc", "0", "-1", "nan", "inf"):
        monkeypatch.setenv("ENCODEC_MAX_CLIP_S", given)
        with pytest.raises(SystemExit) as stopped:
            settings.max_clip_s()
        assert stopped.value.code == 2
        assert capsys.readouterr().err == f"ENCODEC_MAX_CLIP_S: {given!r} is not a number of seconds above 0\n"
    monkeypatch.setenv("ENCODEC_MAX_CLIP_S", "12.5")
    assert settings.max_clip_s() == 12.5


def test_sessions_lie_in_folders_nobody_can_guess():
    folders = {store.new_session(TINY).folder for _ in range(20)}
    assert len(folders) == 20
    assert all(len(folder.name) >= 32 and folder.stat().st_mode & 0o077 == 0 for folder in folders)


def test_the_banner_says_what_a_model_is():
    text = models.about(TINY)
    assert "encodec_24khz_tiny" in text
    assert "24 kHz mono" in text
    assert "facebook/encodec_24khz" in text
    text = models.about("encodec_48khz_tiny")
    assert "48 kHz stereo" in text
    assert "facebook/encodec_48khz" in text


def test_examples_are_there_and_named():
    assert all(example.path.is_file() for example in EXAMPLES)
    assert len({example.name for example in EXAMPLES}) == len(EXAMPLES)


# A process that makes its folder, says so and is killed before it can clean up.
KILLED = """
import os
from encodec_eval.demo import temporary
print(temporary.make_folder(), flush=True)
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_app_left_is_removed_at_the_next_start(tmp_path, monkeypatch):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", KILLED], env=environment, capture_output=True, text=True)
    left = Path(run.stdout.strip())
    assert left.parent == tmp_path
    assert left.is_dir()
    monkeypatch.setattr(temporary.tempfile, "tempdir", str(tmp_path))
    foreign = tmp_path / f"{temporary.PREFIX}without-a-lock"
    foreign.mkdir()
    first = temporary.make_folder()
    second = temporary.make_folder()
    assert not left.exists(), "what a killed process left is still there"
    assert first.is_dir(), "the folder of a process that lives was removed"
    assert second.is_dir()
    assert foreign.is_dir()


def test_the_app_writes_nothing_beside_its_source():
    """Gradio writes type stubs beside a module whose class inherits from a component."""
    import app

    assert app.demo
    assert not list(Path(settings.__file__).parent.glob("*.pyi"))
