"""The app as it is served: in headless Chromium as a visitor uses it, and through its endpoints."""

import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio_client
import pytest
import torch

import app
import codec
from encodec_eval.datasets import BUNDLED

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SPEECH = BUNDLED / "librispeech-mini/test-other/1688/142285/1688-142285-0008.flac"
ALWAYS_THERE = [["#top"], ["#voice"], ["#player"], ["#numbers"]]
TINY = "encodec_24khz_tiny"
COMPARISONS = ("See what changed", "Test yourself blind")
PLAYER = "document.querySelector('#player sync-player')"


@pytest.fixture(scope="module")
def url():
    """The app as `python app.py` starts it."""
    _, url, _ = app.demo.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", **app.LAUNCH)
    yield url
    app.demo.close()


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory):
    """Where screenshots are kept: $SCREENSHOTS if that is set."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


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
    peaks = page.evaluate(
        f"{PLAYER}.buffers.map((b) => b.getChannelData(0).reduce((peak, x) => Math.max(peak, Math.abs(x)), 0))"
    )
    assert all(0.01 < peak <= 1 for peak in peaks)
    seconds = page.evaluate(f"{PLAYER}.buffers.map((b) => b.duration)")
    assert max(seconds) - min(seconds) == 0
    page.locator("#player").get_by_label("Play", exact=True).click()
    page.wait_for_function(f"{PLAYER}.probe().position > 0.3")
    for key in ("3", "7", "1"):
        before = page.evaluate(f"{PLAYER}.probe()")
        page.keyboard.press(key)
        page.wait_for_function(f"{PLAYER}.probe().gains[{int(key) - 1}] === 1")
        after = page.evaluate(f"{PLAYER}.probe()")
        assert after["started"] == before["started"], "the switch restarted the playback"
    page.wait_for_function("document.querySelectorAll('#numbers tbody tr').length === 6")
    page.wait_for_function("!document.querySelector('#numbers').innerText.includes('…')", timeout=60_000)


def test_a_part_is_looped_by_dragging(page, url):
    listened(page, url)
    box = page.locator("#player .wave").bounding_box()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 40, steps=5)
    page.mouse.up()
    page.locator("#player").get_by_label("Play", exact=True).click()
    loop = page.evaluate(f"{PLAYER}.probe().loop")
    page.wait_for_function(f"{PLAYER}.probe().time > {loop['end'] - loop['start'] + 0.5}")
    assert loop["start"] <= page.evaluate(f"{PLAYER}.probe().position") <= loop["end"]


def test_everything_unfolds_and_stays_accessible(page, url, screenshots, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    listened(page, url)
    page.wait_for_function("document.querySelector('#numbers').innerText.match(/Opus 12 kbps/)", timeout=60_000)
    page.wait_for_function("!document.querySelector('#numbers').innerText.includes('…')", timeout=60_000)
    page.get_by_role("button", name="See what changed").click()
    page.wait_for_function("document.querySelector('#picture img')?.naturalWidth > 500", timeout=60_000)
    page.get_by_role("button", name="Test yourself blind").click()
    page.wait_for_function("document.querySelector('blind-test')?.player.buffers?.length === 3")
    page.get_by_role("button", name="3X").click()
    page.get_by_role("button", name="X is B").click()
    assert "of 1 right, p = " in page.locator("#blind .score").inner_text()
    page.get_by_role("button", name="Take the files").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="ZIP").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert {"original.wav", "numbers.csv", f"{TINY}@6.wav", f"{TINY}@6.ecdc"} < set(archive.namelist())
    page.get_by_role("link", name="with LM").first.wait_for(timeout=60_000)
    with page.expect_download() as download:
        page.get_by_role("link", name="with LM").nth(2).click()
    assert download.value.suggested_filename == f"{TINY}@6.lm.ecdc"
    download.value.save_as(tmp_path / "again.ecdc")
    check(axe, page, [*ALWAYS_THERE, ["#picture"], ["#blind"], ["#files"]])
    page.screenshot(path=screenshots / "light.png", full_page=True)
    listened(page, f"{url}?__theme=dark")
    check(axe, page, ALWAYS_THERE)
    page.screenshot(path=screenshots / "dark.png", full_page=True)
    page.locator("input[type=file][accept*=ecdc]").set_input_files(tmp_path / "again.ecdc")
    page.wait_for_function(f"{PLAYER}.buffers?.length === 1", timeout=60_000)
    assert page.evaluate(f"{PLAYER}.items[0].label") == "6 kbps"
    page.get_by_role("button", name="Take the files").wait_for()
    for name in COMPARISONS:
        assert not page.get_by_role("button", name=name).is_visible(), f"{name}, without an original"
    page.get_by_role("button", name="Listen", exact=True).click()
    for name in COMPARISONS:
        page.get_by_role("button", name=name).wait_for(timeout=60_000)
    page.get_by_role("button", name="Test yourself blind").click()
    page.wait_for_function("document.querySelector('blind-test')?.player.buffers?.length === 3", timeout=90_000)


def test_an_example_that_was_worked_out_is_there_at_once(page, url):
    page.goto(url)
    for _ in range(2):
        page.get_by_role("button", name="Speech, 16 kHz").click()
        page.wait_for_function(f"{PLAYER}?.buffers?.length === 7", timeout=90_000)
        page.wait_for_function("!document.querySelector('#numbers').innerText.includes('…')", timeout=90_000)
        page.get_by_role("button", name="Take the files").click()
        page.get_by_role("link", name="ZIP").wait_for(timeout=90_000)
        remarked = app.KEPT in page.locator("#numbers").inner_text()
        page.reload()
    assert remarked
    page.get_by_role("button", name="Speech, 16 kHz").click()
    page.wait_for_function(f"{PLAYER}?.buffers?.length === 7", timeout=10_000)


def check(axe, page, include):
    found = axe.Axe().run(page, context={"include": include}).response["violations"]
    assert not found, [(item["id"], [node["html"] for node in item["nodes"]]) for item in found]


def test_it_fits_a_phone(page, url, screenshots):
    page.set_viewport_size({"width": 375, "height": 800})
    listened(page, url)
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.screenshot(path=screenshots / "phone.png", full_page=True)


def test_hostile_uploads_get_a_message_and_the_page_goes_on(chromium, url, tmp_path):
    page = chromium.new_page()  # Gradio's own preview logs an error for such a file
    page.goto(url)
    page.get_by_role("button", name="Listen", exact=True).wait_for()
    page.get_by_role("button", name="Listen", exact=True).click()
    page.get_by_text("Choose a clip first.").wait_for()
    (tmp_path / "notes.wav").write_text("this is not audio")
    upload(page, tmp_path / "notes.wav")
    page.get_by_text("notes.wav is not audio").wait_for(timeout=60_000)
    listened(page, url)
    page.close()


def noise(seed, seconds):
    return 0.1 * torch.randn(1, round(24000 * seconds), generator=torch.Generator().manual_seed(seed))


def test_twenty_visitors_at_once_get_their_own_audio(url, tmp_path):
    clips = [noise(i, 0.5 + 0.02 * i) for i in range(20)]
    for i, wav in enumerate(clips):
        codec.audio.save(tmp_path / f"{i}.wav", wav, 24000)

    def visit(i):
        client = gradio_client.Client(url, verbose=False, download_files=str(tmp_path / f"visitor{i}"))
        return client.predict(gradio_client.handle_file(tmp_path / f"{i}.wav"), TINY, api_name="/reconstruct")

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(visit, range(20)))
    model = codec.load_model(TINY)
    for i, (rows, files) in enumerate(answers):
        wav, _ = codec.audio.load(tmp_path / f"{i}.wav")
        codes = model.encode(wav[None], bandwidth=6.0).audio_codes
        wanted = model.decode(codes, [None]).audio_values[0, :, : wav.shape[-1]].clamp(-1, 1)
        found, _ = codec.audio.load(files[2])
        assert found.shape == wanted.shape, f"visitor {i} got another's audio"
        assert (found - wanted).abs().max() < 2**-15 + 1e-4, f"visitor {i} got another's audio"
        assert [row["nominal_kbps"] for row in rows] == [1.5, 3.0, 6.0, 12.0, 24.0]


def test_endpoints_name_the_models_and_refuse_paths_of_the_server(url):
    client = gradio_client.Client(url, verbose=False)
    assert TINY in client.predict(api_name="/models")
    path = {"path": str(Path(app.__file__)), "meta": {"_type": "gradio.FileData"}}
    with pytest.raises(gradio_client.exceptions.AppError):
        client.predict(path, TINY, api_name="/reconstruct")
