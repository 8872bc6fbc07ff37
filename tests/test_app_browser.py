"""The app in headless Chromium, as a visitor uses it."""

import pytest

import app
from encodec_eval.datasets import BUNDLED

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SPEECH = BUNDLED / "librispeech-mini/test-other/1688/142285/1688-142285-0008.flac"
PLAYER = "document.querySelector('#player sync-player')"


@pytest.fixture(scope="module")
def url():
    """The app as `python app.py` starts it."""
    _, url, _ = app.demo.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", **app.LAUNCH)
    yield url
    app.demo.close()


def upload(page, path):
    page.locator("input[type=file]").first.set_input_files(path)


def listened(page, url, path=SPEECH):
    page.goto(url)
    page.get_by_role("button", name="Listen", exact=True).wait_for()
    upload(page, path)
    page.wait_for_function(f"{PLAYER}?.buffers?.length === 7", timeout=90_000)
    return page


def test_a_clip_is_heard_at_every_bandwidth(page, url):
    listened(page, url)
    peaks = page.evaluate(f"{PLAYER}.buffers.map((b) => Math.max(...b.getChannelData(0).map(Math.abs)))")
    assert all(0.01 < peak <= 1 for peak in peaks)
    seconds = page.evaluate(f"{PLAYER}.buffers.map((b) => b.duration)")
    assert max(seconds) - min(seconds) == 0
    page.get_by_label("Play", exact=True).click()
    page.wait_for_function(f"{PLAYER}.probe().position > 0.3")
    for key in ("3", "7", "1"):
        before = page.evaluate(f"{PLAYER}.probe()")
        page.keyboard.press(key)
        page.wait_for_function(f"{PLAYER}.probe().gains[{int(key) - 1}] === 1")
        after = page.evaluate(f"{PLAYER}.probe()")
        assert after["started"] == before["started"], "the switch restarted the playback"
    page.wait_for_function("document.querySelectorAll('#numbers tbody tr').length === 6")
    page.wait_for_function("!document.querySelector('#numbers').innerText.includes('…')", timeout=60_000)
