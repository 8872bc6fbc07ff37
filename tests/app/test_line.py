"""The app's control for lost packets, in headless Chromium and as functions."""

import gradio as gr
import pytest

import app
import codec.audio
from encodec_eval.datasets import BUNDLED
from encodec_eval.demo import line, models, store
from encodec_eval.demo.session import code_clip, load_clip
from tests.app.test_browser import check

SPEECH = BUNDLED / "librispeech-mini/test-other/1688/142285/1688-142285-0008.flac"
TINY = "encodec_24khz_tiny"
HEARD = "document.querySelector('#line sync-player')"


@pytest.fixture
def session():
    made = store.new_session(TINY, "clip.wav")
    wav, rate = load_clip(SPEECH, 60)
    stages = code_clip(made, wav[:, : 2 * rate], rate, models.system(TINY, (3.0,)), [12])
    while len(made.versions) < 2:
        next(stages)
    stages.close()
    return made


def test_a_version_is_sent_with_its_losses_marked(session):
    none = line.on_send(session, "3 kbps", 0, 1, "Repeat and fade")
    some = line.on_send(session, "3 kbps", 30, 2, "Repeat and fade")
    again = line.on_send(session, "3 kbps", 30, 2, "First 2 codebooks twice")
    assert none["marks"] == []
    assert none["note"] == "0 of 50 packets of 40 ms lost, at 3.0 kbps"
    assert some["marks"] == again["marks"] != []
    assert all(end - start == pytest.approx(0.04) for start, end in some["marks"])
    audio = [codec.audio.load(value["versions"][1]["audio"]["path"])[0] for value in (none, some)]
    clean = codec.audio.load(none["versions"][0]["audio"]["path"])[0]
    assert audio[0].shape == audio[1].shape == clean.shape
    assert (audio[0] - clean).abs().max() < 1e-4 < (audio[1] - clean).abs().max()
    changed = ((audio[1] - clean).abs() > 2e-3).nonzero()  # less in the first frames, which the decoder reflects
    assert int(changed[0, 1]) / 24000 == pytest.approx(some["marks"][0][0], abs=0.005)


@pytest.mark.parametrize(
    ("chosen", "loss", "burst", "concealment"),
    [(None, 5, 1, "Repeat and fade"), ("12 kbps", 5, 1, "Repeat and fade"), ("3 kbps", 31, 1, "Repeat and fade"),
     ("3 kbps", 5, 0, "Repeat and fade"), ("3 kbps", 5, 1, "magic")],
)  # fmt: skip
def test_what_cannot_be_sent_is_said(session, chosen, loss, burst, concealment):
    with pytest.raises(gr.Error, match=r"Choose a version first|expected 0 to 30 and 1 to 8"):
        line.on_send(session, chosen, loss, burst, concealment)
    assert line.on_versions(None)[0].value is None


@pytest.mark.slow
@pytest.mark.browser
def test_a_visitor_hears_losses_and_sees_them(page, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    _, url, _ = app.demo.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", **app.LAUNCH)
    try:
        page.goto(url)
        page.locator("clip-input").get_by_role("button", name="Record").wait_for()
        page.wait_for_function("Boolean(document.querySelector('clip-input').send)")
        page.locator("clip-input input[type=file]").set_input_files(SPEECH)
        page.get_by_role("button", name="Send it over a line").wait_for(timeout=120_000)
        page.get_by_role("button", name="Send it over a line").click()
        page.wait_for_function("document.querySelectorAll('#line-version input').length === 5", timeout=120_000)
        page.locator("#line-loss input[type=number]").fill("30")
        page.locator("#line-loss input[type=number]").press("Tab")
        page.get_by_role("button", name="Send", exact=True).click()
        page.wait_for_function(f"{HEARD}?.buffers?.length === 2", timeout=60_000)
        marks = page.evaluate(f"{HEARD}.shadowRoot.querySelectorAll('.marks div').length")
        assert marks == len(page.evaluate(f"{HEARD}.marked")) > 10
        page.locator("#line").get_by_text("packets of 40 ms lost").wait_for()
        page.locator("#line").get_by_label("Play", exact=True).click()
        page.wait_for_function(f"{HEARD}.probe().position > 0.2")
        started = page.evaluate(f"{HEARD}.probe().started")
        page.locator("#line").get_by_role("button", name="As heard").click()
        page.wait_for_function(f"{HEARD}.probe().gains[1] === 1")
        assert page.evaluate(f"{HEARD}.probe().started") == started, "the switch restarted the playback"
        page.screenshot(path=tmp_path / "line.png", full_page=True)
        check(axe, page)
        page.locator("#line-loss input[type=number]").fill("0")
        page.locator("#line-loss input[type=number]").press("Tab")
        page.get_by_role("button", name="Send", exact=True).click()
        page.wait_for_function(f"{HEARD}.shadowRoot.querySelectorAll('.marks div').length === 0", timeout=60_000)
    finally:
        app.demo.close()
