"""The input for clips in headless Chromium, with a fake microphone, a forbidden one and none."""

import base64
import io
import shutil

import numpy as np
import pytest
import soundfile as sf

from encodec_eval.demo import components
from tests.conftest import CHROMIUM_FLAGS

pytestmark = [pytest.mark.slow, pytest.mark.browser]

INPUT = "document.querySelector('clip-input')"
PAGE = """<!doctype html><html lang="en"><title>Input</title><main><h1>Input</h1>
<clip-input max-seconds="1" max-mb="1" formats="WAV"></clip-input></main>
<script>{script}
const media = navigator.mediaDevices;
if (media) {{
  const ask = media.getUserMedia.bind(media);
  media.getUserMedia = (constraints) => ((globalThis.asked = constraints), ask(constraints));
}}
{input}.send = async (file) => {{
  const bytes = new Uint8Array(await file.arrayBuffer());
  globalThis.sent = {{ name: file.name, data: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")) }};
}};</script></html>"""
FAKE_DEVICE = "--use-fake-device-for-media-stream"


@pytest.fixture
def open_with(chromium):
    """Opens the page in a browser of its own with flags of Chromium and permissions."""
    browsers = []

    def open_page(flags, permissions, url="http://localhost/"):
        path = shutil.which("chromium")
        browser = chromium.browser_type.launch(executable_path=path, args=[*CHROMIUM_FLAGS, *flags])
        browsers.append(browser)
        context = browser.new_context(permissions=permissions)
        page = context.new_page()
        body = PAGE.format(script=components.clip_input_script(), input=INPUT)
        page.route(url, lambda route: route.fulfill(body=body, content_type="text/html"))
        page.goto(url)
        return page

    yield open_page
    for browser in browsers:
        browser.close()


def test_a_recording_is_pcm_of_the_whole_microphone_and_ends_at_the_limit(open_with):
    page = open_with([FAKE_DEVICE], ["microphone"])
    page.get_by_role("button", name="Record").click()
    page.get_by_role("button", name="Stop").wait_for()
    page.wait_for_function("globalThis.sent", timeout=30_000)
    asked = page.evaluate("asked.audio")
    assert {name: asked[name] for name in ("echoCancellation", "noiseSuppression", "autoGainControl")} == {
        "echoCancellation": False, "noiseSuppression": False, "autoGainControl": False,
    }  # fmt: skip
    sent = page.evaluate("sent")
    assert sent["name"] == "recording.wav"
    data = io.BytesIO(base64.b64decode(sent["data"]))
    info = sf.info(data)
    assert (info.format, info.subtype) == ("WAV", "PCM_16")
    assert info.frames == info.samplerate, "it did not stop at the limit"
    data.seek(0)
    audio, _ = sf.read(data)
    assert np.abs(audio).max() > 0.01, "the fake microphone's tone is missing"
    page.get_by_role("button", name="Record").wait_for()


def test_a_recording_can_be_stopped_before(open_with):
    page = open_with([FAKE_DEVICE], ["microphone"])
    page.evaluate(f"{INPUT}.setAttribute('max-seconds', 60)")
    page.get_by_role("button", name="Record").click()
    page.get_by_text("Recording: ").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.wait_for_function("globalThis.sent", timeout=30_000)
    data = io.BytesIO(base64.b64decode(page.evaluate("sent.data")))
    assert 0 < sf.info(data).duration < 30


def test_a_forbidden_microphone_gets_a_message_that_says_what_to_do(open_with):
    page = open_with([FAKE_DEVICE, "--deny-permission-prompts"], [])
    page.get_by_role("button", name="Record").click()
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "Allow it for this page" in alert.inner_text()


def test_no_microphone_gets_a_message(open_with):
    page = open_with([], ["microphone"])
    page.get_by_role("button", name="Record").click()
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "No microphone was found" in alert.inner_text()


def test_an_insecure_page_says_why_it_cannot_record(open_with):
    page = open_with([FAKE_DEVICE], [], url="http://example.test/")
    page.get_by_role("button", name="Record").click()
    page.get_by_text("Recording needs https or localhost.").wait_for()
    assert not page.get_by_role("button", name="Stop").is_visible()


def test_a_file_is_judged_by_its_size_before_it_is_sent(open_with):
    page = open_with([], [])
    page.locator("input[type=file]").set_input_files(
        files=[{"name": "big.wav", "mimeType": "audio/wav", "buffer": bytes(2 << 20)}]
    )
    page.get_by_text("big.wav has 2 MB: expected at most 1.").wait_for()
    page.locator("input[type=file]").set_input_files(
        files=[{"name": "ok.wav", "mimeType": "audio/wav", "buffer": b"RIFF"}]
    )
    page.wait_for_function("globalThis.sent?.name === 'ok.wav'")
