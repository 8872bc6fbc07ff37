"""The app's "Live" with Chromium's fake microphone, and the page that codes on the visitor's device."""

import os
import shutil
from pathlib import Path

import httpx
import pytest

import app
from encodec_eval.demo import live
from tests.app.test_browser import check
from tests.conftest import CHROMIUM_FLAGS

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture
def url(monkeypatch, tmp_path):
    (tmp_path / "index.html").write_text("<p>the page</p>")
    monkeypatch.setattr(app.device, "PAGE", tmp_path)
    _, url, _ = app.demo.launch(
        prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", **app.LAUNCH, **app.device.launch_arguments()
    )
    yield url
    app.demo.close()


@pytest.fixture
def speaking(chromium, url):
    """The app in a browser whose microphone beeps once a second."""
    flags = [*CHROMIUM_FLAGS, "--use-fake-device-for-media-stream"]
    browser = chromium.browser_type.launch(executable_path=shutil.which("chromium"), args=flags)
    page = browser.new_context(permissions=["microphone"], viewport={"width": 1000, "height": 800}).new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    page.get_by_role("button", name="Hear yourself live").click()
    page.locator("#live").get_by_role("button", name="Start").wait_for()
    yield page
    browser.close()
    assert not errors


def test_a_visitor_hears_the_codec_and_the_server_forgets_them(speaking, tmp_path):
    """The picture: SCREENSHOTS=FOLDER"""
    page, part = speaking, speaking.locator("#live")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    assert part.locator("output").inner_text() == "6 kbps"
    part.get_by_role("button", name="Start").click()
    part.get_by_text("ms behind: 13.3 ms of the codec").wait_for(timeout=60_000)
    assert len(live.STREAMS) == 1
    (stream,) = live.STREAMS._streams.values()
    part.locator("input").fill("0")
    page.wait_for_timeout(1500)
    assert stream.encoder.bandwidth == 1.5
    assert part.locator(".measured").inner_text().endswith("drop-outs.")
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / "live.png", full_page=True)
    check(axe, page)
    part.get_by_role("button", name="End").click()
    part.get_by_role("button", name="Start").wait_for()
    page.wait_for_timeout(500)
    assert len(live.STREAMS) == 0


def test_a_model_with_segments_is_not_live(speaking):
    page = speaking
    page.get_by_role("radio", name="encodec_48khz_tiny").check()
    page.locator("#live").get_by_text("waits for whole segments").wait_for()
    assert page.locator("#live").get_by_role("button", name="Start").is_disabled()


def test_a_stream_that_the_server_ended_is_said(speaking):
    part = speaking.locator("#live")
    part.get_by_role("button", name="Start").click()
    part.get_by_text("ms behind").wait_for(timeout=60_000)
    for name in list(live.STREAMS._streams):
        live.live_end(name)
    part.get_by_text("The server has ended this stream.").wait_for()
    part.get_by_role("button", name="Start").wait_for()
    assert not part.get_by_role("button", name="End").is_visible()
    assert len(live.STREAMS) == 0


def test_the_page_is_served_beside_the_app(url):
    assert "the page" in httpx.get(f"{url}device/", follow_redirects=True).text
    assert httpx.get(f"{url}device/%2e%2e/%2e%2e/etc/passwd").status_code == 404
    assert "Hear yourself live" in httpx.get(url).text, "the page took the app's place"
