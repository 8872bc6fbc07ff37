"""The server's half of "Live" as functions, and the page that the app serves beside itself."""

import base64
import time

import numpy as np
import pytest
import torch

import codec
from encodec_eval.demo import device, live

TINY = "encodec_24khz_tiny"


@pytest.fixture(autouse=True)
def streams(monkeypatch):
    monkeypatch.setattr(live, "STREAMS", live.Streams())
    return live.STREAMS


def pcm(seconds=1.0):
    noise = np.random.default_rng(0).standard_normal(int(24_000 * seconds)) * np.hanning(int(24_000 * seconds))
    return np.round(3000 * noise).astype("<i2")


def push(name, samples, bandwidth=6.0):
    answer = live.live_push(
        {"name": name, "bandwidth": bandwidth, "audio": base64.b64encode(samples.tobytes()).decode()}
    )
    return np.frombuffer(base64.b64decode(answer["audio"]), "<i2")


def test_pieces_give_the_whole_clip():
    name, samples = live.live_start(TINY)["name"], pcm()
    heard = np.concatenate([push(name, piece) for piece in np.split(samples, [100, 500, 3333, 9000])])
    model = codec.load_model(TINY)
    whole = model(torch.from_numpy(samples / np.float32(32768))[None, None], bandwidth=6.0).audio_values[0, 0].numpy()
    assert len(heard) == 24_000
    np.testing.assert_allclose(heard / 32768, whole.clip(-1, 1), atol=2**-15 + 1e-5)


def test_another_bandwidth_takes_effect_with_the_next_piece():
    samples = pcm()
    same, other = live.live_start(TINY)["name"], live.live_start(TINY)["name"]
    first = [push(name, samples[:9600]) for name in (same, other)]
    np.testing.assert_array_equal(*first)
    second = push(same, samples[9600:]), push(other, samples[9600:], 1.5)
    changed = np.flatnonzero(second[0] != second[1])
    assert changed[0] < 320, "the first frame after the change has the old bandwidth"


def test_streams_are_freed_when_they_end_and_when_nobody_sends(streams):
    streams.idle_s = 0.1
    name = live.live_start(TINY)["name"]
    live.live_end(name)
    assert len(streams) == 0
    name = live.live_start(TINY)["name"]
    assert len(streams) == 1
    deadline = time.monotonic() + 10
    while len(streams) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(streams) == 0
    assert live.live_push({"name": name})["error"] == "The server has ended this stream."


def test_only_so_many_are_live_at_once(streams):
    names = [live.live_start(TINY)["name"] for _ in range(live.MOST)]
    assert "visitors are live already" in live.live_start(TINY)["error"]
    live.live_end(names[0])
    assert "name" in live.live_start(TINY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"audio": "?"}, "audio: expected at most 2 s"),
        ({"audio": 1}, "audio: expected at most 2 s"),
        ({"audio": base64.b64encode(bytes(96_002)).decode()}, "audio: expected at most 2 s"),
        ({"bandwidth": "6"}, "expected a number of kbps"),
        ({"bandwidth": 7}, "7"),
        ({"name": ["x"]}, "has ended this stream"),
    ],
)
def test_what_a_page_does_not_send_is_refused(change, message):
    good = {"name": live.live_start(TINY)["name"], "bandwidth": 6.0, "audio": ""}
    assert live.live_push(good) == {"audio": ""}
    assert message in live.live_push(good | change)["error"]


@pytest.mark.parametrize("model", ["encodec_48khz_tiny", "/etc", None, {}])
def test_models_that_cannot_be_live_are_said(model, streams):
    assert set(live.live_start(model)) == {"error"}
    assert len(streams) == 0


def test_a_page_is_served_where_one_is_built(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("ENCODEC_PAGE", raising=False)
    assert device.built_page() is None
    assert device.launch_arguments() == {}
    assert "Not set up" in device.about()
    monkeypatch.setenv("ENCODEC_PAGE", str(tmp_path))
    with pytest.raises(SystemExit):
        device.built_page()
    assert "lacks index.html, page.js, model/config.json; expected" in capsys.readouterr().err
    (tmp_path / "model").mkdir()
    for name in ("index.html", "page.js", "model/config.json"):
        (tmp_path / name).write_text("")
    monkeypatch.setattr(device, "PAGE", device.built_page())
    assert 'href="device/"' in device.about()
    (route,) = device.launch_arguments()["app_kwargs"]["routes"]
    assert route.path == "/device"
