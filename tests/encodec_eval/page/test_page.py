"""The static page in headless Chromium: codes, files, recording, without a network, on a phone."""

import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import codec
from encodec_eval import page as static_page
from encodec_eval.types import EvalError
from tests.benchmarks.page import Memory, listen, served
from tests.conftest import CHROMIUM_FLAGS
from tests.encodec_eval.page.conftest import RATE, TINY


@pytest.fixture(scope="module")
def url(site):
    with served(site) as url:
        yield url


@pytest.fixture
def speaking(chromium, url):
    """The page in a browser whose microphone beeps once a second."""
    flags = [*CHROMIUM_FLAGS, "--use-fake-device-for-media-stream"]
    browser = chromium.browser_type.launch(executable_path=shutil.which("chromium"), args=flags)
    yield opened(browser.new_context(permissions=["microphone"]).new_page(), url)
    browser.close()


def opened(page, url):
    page.goto(url)
    page.get_by_text("Ready: open").wait_for(timeout=60_000)
    return page


def pictures(otherwise):
    folder = Path(os.environ.get("SCREENSHOTS") or otherwise)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def compared(page, path):
    page.locator("#clip").set_input_files(path)
    page.get_by_text("encoded and decoded here in").wait_for(timeout=90_000)
    page.wait_for_function("document.querySelector('#player').buffers?.length === 6")


def saved(page, number):
    with page.expect_download() as download:
        page.locator("#files a").nth(number).click()
    return Path(download.value.path()).read_bytes()


@pytest.mark.slow
@pytest.mark.browser
def test_codes_and_files_are_those_of_python_without_a_network(page, url, clip):
    path, wav = clip
    opened(page, url).context.set_offline(True)
    compared(page, path)
    codes = np.array(page.evaluate("encodecPage.result.coded[0].rows.map((row) => Array.from(row))"))
    model = codec.load_model(TINY)
    wanted = model.encode(wav[None], bandwidth=24.0).audio_codes[0, 0].numpy()
    assert codes.shape == wanted.shape
    equal = (codes == wanted).mean()
    # Between codewords that are almost as near, rounding decides, and all later codebooks of the frame follow.
    assert equal >= 0.98, f"{equal:.2%} of the codes are Python's"
    data = saved(page, 2)
    held = torch.cat([piece.codes for piece in codec.ecdc.read_codes(io.BytesIO(data))], dim=1)
    np.testing.assert_array_equal(held.numpy(), codes[:8])
    audio, rate = codec.decompress(data)
    assert (tuple(audio.shape), rate) == (tuple(wav.shape), RATE)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("length", [37, 1000, RATE + 37])  # two end in the warm-up of streams, one takes two pieces
def test_a_file_of_python_is_opened(page, url, clip, tmp_path, length):
    wav = clip[1][:, :length]
    data = codec.compress(codec.load_model(TINY), wav, 6.0)
    (tmp_path / "talk.ecdc").write_bytes(data)
    opened(page, url).locator("#clip").set_input_files(tmp_path / "talk.ecdc")
    page.get_by_text("Decoded talk.ecdc here.").wait_for()
    audio = np.array(page.evaluate("Array.from(encodecPage.result.audio[0])"))
    np.testing.assert_allclose(audio, codec.decompress(data)[0][0].numpy(), atol=1e-5)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"RIFF" + data[4:], "not an .ecdc file"),
        (lambda data: data[:-1], "bytes of codes; expected"),
        (lambda data: data + b"0", "bytes of codes; expected"),
        (lambda data: data.replace(b'"nc": 8', b'"nc": 0'), "has 0 codebooks; expected 1 to 32"),
        (lambda data: data.replace(b"false", b"true "), "expected version 0 without one"),
        (lambda data: data[:4] + b"\1" + data[5:], "expected version 0 without one"),
        (lambda data: data.replace(b"24khz", b"48khz"), "the file was made with model"),
    ],
)
def test_a_damaged_file_is_refused(page, url, clip, tmp_path, change, message):
    data = codec.compress(codec.load_model(TINY), clip[1][:, :RATE], 6.0)
    (tmp_path / "bad.ecdc").write_bytes(change(data))
    opened(page, url).locator("#clip").set_input_files(tmp_path / "bad.ecdc")
    page.get_by_role("alert").get_by_text(message).wait_for()
    assert page.locator("#result").is_hidden(), "a damaged file is shown"


@pytest.mark.slow
@pytest.mark.browser
def test_a_phone_shows_all_of_it_and_nothing_leaves_the_page(page, url, clip, tmp_path):
    """The picture: SCREENSHOTS=results/app python -m pytest -n 0 -m slow tests/encodec_eval/page -k phone"""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.set_viewport_size({"width": 390, "height": 844})
    asked = []
    opened(page, url)
    page.on("request", lambda request: asked.append(request.url))
    compared(page, clip[0])
    assert [each for each in asked if not each.startswith("blob:")] == []
    found = axe.Axe().run(page).response["violations"]
    assert [
        (item["id"], item["impact"]) for item in found if item["impact"] in ("critical", "serious", "moderate")
    ] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=pictures(tmp_path) / "page.png", full_page=True)


@pytest.mark.slow
@pytest.mark.browser
def test_a_model_is_opened_from_disk_and_a_missing_file_is_named(page, url, export):
    opened(page, url).locator("#model").set_input_files([export / "config.json", export / "encoder_stream.onnx"])
    page.get_by_role("alert").get_by_text("decoder_stream.onnx is missing").wait_for()
    page.evaluate("encodecPage.codec.release = () => (encodecPage.released = true)")
    page.locator("#model").set_input_files(sorted(export.iterdir()))
    page.get_by_text("Ready: open").wait_for()
    assert page.evaluate("encodecPage.released"), "the model before keeps its memory"
    assert TINY in page.locator("#about").inner_text()


@pytest.mark.slow
@pytest.mark.browser
def test_a_recording_is_compared(speaking):
    page = speaking
    page.get_by_role("button", name="Record").click()
    page.get_by_text("Recording…").wait_for()
    for _ in range(200):
        if page.evaluate("encodecPage.recording.blocks.length > 250"):  # over a second: the device beeps once in it
            break
        page.wait_for_timeout(100)  # `wait_for_function` evaluates text, which the page's policy forbids
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("encoded and decoded here in").wait_for()
    peak = page.evaluate("encodecPage.result.audio[0].reduce((peak, x) => Math.max(peak, Math.abs(x)), 0)")
    assert peak > 0.01, "the fake microphone's tone is missing"


@pytest.mark.slow
@pytest.mark.browser
def test_a_stream_in_any_pieces_is_the_whole_clip(page, url, clip):
    compared(opened(page, url), clip[0])
    wrong = page.evaluate(
        """async () => {
          const { codec, liveCodec, result } = encodecPage;
          const samples = result.audio[0].slice(0, 48000);
          const decode = codec.runDecoder.bind(codec);
          const heard = [];
          codec.runDecoder = (rows, ...more) => (heard.push(rows), decode(rows, ...more));
          liveCodec.restart();
          const parts = [];
          for (let at = 0, n = 0; at < samples.length; n++) {
            const size = [1, 128, 319, 321, 2240, 640][n % 6];
            parts.push(await liveCodec.push(samples.slice(at, at + size), 8));
            at += size;
          }
          delete codec.runDecoder;
          const live = joined(...parts);
          const codes = [...Array(8).keys()].map((k) => joined(...heard.map((rows) => rows[k])));
          const [{ rows }] = await codec.encode([samples]);
          const equal = codes.flatMap((row, k) => Array.from(row, (code, n) => code === rows[k][n]));
          const [whole] = await codec.decode([{ rows: codes, scale: null }], samples.length);
          const differs = live.map((x, n) => Math.abs(x - whole[n]));
          const first = differs.findIndex((x) => !(x <= 1e-5));
          return [live.length, first, Math.max(...whole.map(Math.abs)), equal.length, equal.filter(Boolean).length];
        }"""
    )
    assert wrong[:2] == [48_000, -1], f"samples, and the first wrong one: {wrong}"
    assert wrong[2] > 0.01
    assert wrong[3] == 8 * 150
    assert wrong[4] >= 0.99 * wrong[3], "codes of the pieces that are those of the clip"


@pytest.mark.slow
@pytest.mark.browser
def test_live_is_the_offline_result_of_what_the_microphone_gave(speaking, tmp_path):
    """The picture: SCREENSHOTS=results/app python -m pytest -n 0 -m slow tests/encodec_eval/page -k offline_result"""
    page = speaking
    page.set_viewport_size({"width": 600, "height": 500})
    page.evaluate(
        """() => {
          const { liveCodec } = encodecPage;
          const push = liveCodec.push.bind(liveCodec);
          encodecPage.heard = [];
          liveCodec.push = async (samples, codebooks) => {
            const audio = await push(samples, codebooks);
            encodecPage.heard.push([samples.slice(), audio.slice()]); // what is played is moved to another thread
            return audio;
          };
        }"""
    )
    page.locator("#live").click()
    page.get_by_text("ms behind:").wait_for()
    page.wait_for_timeout(3000)
    page.locator("#bandwidth").fill("4")
    assert page.evaluate("encodecPage.live.codebooks") == 32
    page.screenshot(path=pictures(tmp_path) / "page_live.png", full_page=True)
    page.locator("#live").click()
    page.get_by_role("button", name="Start").wait_for()
    given, heard, wrong, peak = page.evaluate(
        """async () => {
          const { codec, heard } = encodecPage;
          const [given, live] = [0, 1].map((i) => joined(...heard.map((pair) => pair[i])));
          const second = live.slice(0, codec.config.rate); // all of it at the first bandwidth
          const [{ rows }] = await codec.encode([given]);
          const [whole] = await codec.decode([{ rows: rows.slice(0, 8), scale: null }], given.length);
          const wrong = second.findIndex((x, n) => !(Math.abs(x - whole[n]) <= 1e-5));
          return [given.length, live.length, wrong, Math.max(...second.map(Math.abs))];
        }"""
    )
    assert heard >= RATE, "less than a second was heard"
    assert abs(given - heard) <= RATE // 5, f"{given} samples came, {heard} were given back"
    assert wrong == -1, f"sample {wrong} is not that of the whole clip"
    assert peak > 0.001, "the fake microphone's beep is missing"


@pytest.mark.slow
@pytest.mark.browser
def test_live_keeps_its_delay_and_its_memory(speaking):
    """Forty seconds; `python -m tests.benchmarks.page SITE --live 600` measures ten minutes."""
    page = speaking
    page.locator("#live").click()
    page.get_by_text("ms behind:").wait_for()
    page.wait_for_timeout(8000)  # what starts up takes time that the codec then lacks
    readings = list(listen(page, 32, 4))
    first, last = readings[0], readings[-1]
    allowed = 0.3 * (1 + last.dropouts - first.dropouts)  # a pause of a busy machine may move the delay, within bounds
    assert last.latency_s - first.latency_s < min(allowed, 1), f"the delay grew: {readings}"
    assert max(each.heap_mb for each in readings) - first.heap_mb < 3, f"the memory grew: {readings}"
    assert last.resident_mb - first.resident_mb < 40, f"the memory grew: {readings}"
    counts = page.evaluate("[encodecPage.live.blocks.length, encodecPage.live.waiting]")
    assert counts[1] <= 0.5 * RATE, f"blocks and samples that wait: {counts}"


@pytest.mark.slow
@pytest.mark.browser
def test_a_slow_device_is_told(speaking):
    page = speaking
    assert page.locator("#slow").inner_text() == ""
    page.locator("#live").click()
    page.get_by_text("ms behind:").wait_for()
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 10})
    page.get_by_role("alert").get_by_text("This device is too slow").wait_for(timeout=60_000)
    measured = page.evaluate("encodecPage.live.measured")
    assert measured["dropouts"] >= 5 or measured["skipped"] > 0.5
    assert measured["latency"] < 5, "what came too late is still played"


@pytest.mark.slow
@pytest.mark.browser
def test_a_model_beside_the_page_is_named_by_its_address(page, url, site):
    shutil.copytree(site / "model", site / "other", dirs_exist_ok=True)
    config = json.loads((site / "other/config.json").read_text())
    config["onnx"]["model"] = "another"
    (site / "other/config.json").write_text(json.dumps(config))
    opened(page, f"{url}?model=other")
    assert "another" in page.locator("#about").inner_text()


@pytest.mark.slow
@pytest.mark.browser
def test_an_address_without_a_model_is_said(speaking, url):
    speaking.goto(f"{url}?model=nowhere")
    speaking.get_by_role("alert").get_by_text("nowhere/config.json: 404").wait_for()
    assert speaking.locator("#clip").is_disabled()


@pytest.mark.slow
@pytest.mark.browser
def test_a_clip_takes_less_memory_than_a_phone_has(page, url, clip):
    """Less than 500 MB of memory in all; what it takes in time is `tests.benchmarks.page`'s to say."""
    memory = Memory(opened(page, url))
    compared(page, clip[0])
    assert memory.resident_mb("VmHWM") < 500


def test_an_incomplete_export_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EvalError, match=r"lacks encoder\.onnx, decoder\.onnx; expected"):
        static_page.build(tmp_path / "out", tmp_path, tmp_path / "runtime.tgz")


def test_a_package_of_another_hash_is_refused(tmp_path):
    for name in ("config.json", *static_page.GRAPHS):
        (tmp_path / name).write_text("{}")
    (tmp_path / "runtime.tgz").write_bytes(b"other")
    with pytest.raises(EvalError, match="has sha512"):
        static_page.build(tmp_path / "out", tmp_path, tmp_path / "runtime.tgz")


def test_without_npm_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EvalError, match="--runtime FILE"):
        static_page.fetch_runtime(tmp_path)
