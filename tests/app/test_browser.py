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
from encodec_eval.demo.page import KEPT

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SPEECH = BUNDLED / "librispeech-mini/test-other/1688/142285/1688-142285-0008.flac"
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
    """Where screenshots are kept: $SCREENSHOTS if that is set. The README's are made by

    SCREENSHOTS=results/app python -m pytest -n 0 -m slow tests/app/test_browser.py -k "one_row or first_screen"
    """
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def upload(page, path):
    page.locator("clip-input input[type=file]").set_input_files(path)


def opened(page, url):
    """The page, ready for a clip."""
    page.goto(url)
    page.locator("clip-input").get_by_role("button", name="Record").wait_for()
    page.wait_for_function("Boolean(document.querySelector('clip-input').send)")
    # Gradio's own word over what is still being made, which axe would find outside all landmarks.
    page.wait_for_function("![...document.querySelectorAll('p.loading')].some((p) => p.checkVisibility())")
    return page


def listened(page, url, path=SPEECH):
    upload(opened(page, url), path)
    page.wait_for_function(f"{PLAYER}?.buffers?.length === 7", timeout=90_000)
    return page


def worked_out(page):
    """Wait until every number and file is there."""
    page.wait_for_function(
        "document.querySelector('#status').innerText.trim() === '' && "
        "document.querySelectorAll('#numbers tbody td').length > 8 && "
        "!document.querySelector('#numbers').innerText.includes('…')",
        timeout=120_000,
    )


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
    worked_out(page)
    assert page.locator("#numbers tbody tr:not(.codec)").count() == 6


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
    listened(page, url, named_copy(tmp_path))
    worked_out(page)
    page.get_by_role("button", name="See what changed").click()
    page.wait_for_function("document.querySelector('#picture img')?.naturalWidth > 500", timeout=60_000)
    page.get_by_role("button", name="Test yourself blind").click()
    page.wait_for_function("document.querySelector('blind-test')?.player.buffers?.length === 3")
    page.get_by_role("button", name="Download the files").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="ZIP").click()
    assert download.value.suggested_filename == "My_talk_versions.zip"
    with zipfile.ZipFile(download.value.path()) as archive:
        wanted = {"My_talk_original.wav", "numbers.csv", f"My_talk_{TINY}_6kbps.wav", f"My_talk_{TINY}_6kbps.ecdc"}
        assert wanted < set(archive.namelist())
    with page.expect_download() as download:
        page.get_by_role("link", name="with LM").nth(2).click()
    assert download.value.suggested_filename == f"My_talk_{TINY}_6kbps.lm.ecdc"
    check(axe, page)
    page.screenshot(path=screenshots / "light.png", full_page=True)


def test_an_ecdc_file_is_opened_where_clips_are(page, url, tmp_path):
    made = gradio_client.Client(url, verbose=False, download_files=str(tmp_path)).predict(
        gradio_client.handle_file(SPEECH), TINY, 6, False, api_name="/encode"
    )
    upload(opened(page, url), made)
    page.wait_for_function(f"{PLAYER}.buffers?.length === 1", timeout=60_000)
    assert page.evaluate(f"{PLAYER}.items[0].label") == "6 kbps"
    page.get_by_text("This file cannot be checked").wait_for()
    page.get_by_role("button", name="Download the files").wait_for()
    for name in COMPARISONS:
        assert not page.get_by_role("button", name=name).is_visible(), f"{name}, without an original"
    page.get_by_role("button", name="Change clip").click()
    page.get_by_role("button", name="Guitar").click()
    for name in COMPARISONS:
        page.get_by_role("button", name=name).wait_for(timeout=60_000)
    page.get_by_role("button", name="Test yourself blind").click()
    page.wait_for_function("document.querySelector('blind-test')?.player.buffers?.length === 3", timeout=90_000)


def named_copy(folder):
    path = folder / "My talk.flac"
    path.write_bytes(SPEECH.read_bytes())
    return path


def test_an_example_that_was_coded_is_there_at_once(chromium, page, url):
    for visitor in (chromium.new_page(), page):
        opened(visitor, url).get_by_role("button", name="Speech, 16 kHz").click()
        visitor.wait_for_function(f"{PLAYER}?.buffers?.length === 7", timeout=90_000)
        worked_out(visitor)
        remarked = KEPT in visitor.locator("#numbers").inner_text()
    assert remarked


def check(axe, page):
    found = axe.Axe().run(page).response["violations"]
    bad = [item for item in found if item["impact"] in ("critical", "serious", "moderate")]
    assert not bad, [(item["id"], item["impact"], [node["html"] for node in item["nodes"]]) for item in bad]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_it_fits_and_reads_at_every_width_in_both_themes(page, url, screenshots, width, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.set_viewport_size({"width": width, "height": 844})
    opened(page, f"{url}?__theme={theme}")
    check(axe, page)
    page.screenshot(path=screenshots / f"empty_{width}_{theme}.png", full_page=True)
    page.get_by_role("button", name="Guitar").click()
    page.wait_for_function(f"{PLAYER}?.buffers?.length === 7", timeout=90_000)
    worked_out(page)
    for name in (*COMPARISONS, "Download the files"):
        page.get_by_role("button", name=name).click()
    page.locator("#numbers summary").click()
    page.wait_for_function("document.querySelectorAll('#picture img').length === 4", timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    check(axe, page)
    page.screenshot(path=screenshots / f"full_{width}_{theme}.png", full_page=True)


def test_before_a_clip_there_are_examples_and_no_player(page, url, tmp_path):
    opened(page, url)

    def empty():
        assert page.get_by_role("button", name="Jazz").is_visible()
        for name in (*COMPARISONS, "Play", "Loop", "Download the files"):
            assert not page.get_by_role("button", name=name, exact=True).is_visible(), name
        assert not page.locator(".wave").first.is_visible()

    empty()
    box = page.locator("#examples").bounding_box()
    others = [page.locator(each).bounding_box() for each in ("#clip", "#settings", "#voice")]
    assert all(box["width"] * box["height"] > other["width"] * other["height"] for other in others)
    (tmp_path / "notes.wav").write_text("this is not audio")
    upload(page, tmp_path / "notes.wav")
    page.get_by_text("notes.wav is not an audio file that can be read").wait_for(timeout=60_000)
    empty()


def test_one_waveform_and_one_play_button_remain(page, url):
    opened(page, url).get_by_role("button", name="Jazz").click()
    page.wait_for_function(f"{PLAYER}?.buffers?.length === 7", timeout=90_000)
    assert page.locator(".wave, canvas, audio").locator("visible=true").count() == 1
    assert page.get_by_role("button", name="Play").locator("visible=true").count() == 1
    assert not page.locator("clip-input").is_visible()
    assert page.locator("#player .clip").inner_text().split("\n")[0].startswith("Jazz")
    page.get_by_role("button", name="Change clip").click()
    page.locator("clip-input").wait_for()
    assert not page.locator(".wave").first.is_visible()


def test_versions_stand_in_one_row_with_the_codec_named_once(page, url, screenshots):
    page.set_viewport_size({"width": 1280, "height": 920})
    opened(page, url).get_by_role("button", name="Speech, 16 kHz").click()
    page.wait_for_function(f"{PLAYER}?.buffers?.length === 7", timeout=90_000)
    buttons = page.locator("#player .versions button")
    assert len({round(buttons.nth(i).bounding_box()["y"]) for i in range(7)}) == 1
    assert page.locator("#player .versions").inner_text().count(TINY) == 1
    worked_out(page)
    page.screenshot(path=screenshots / "desktop.png")


def phone(chromium):
    return chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)


def test_on_a_phone_play_is_on_the_first_screen_and_the_table_is_cards(chromium, url, screenshots):
    context = phone(chromium)
    page = opened(context.new_page(), url)
    page.get_by_role("button", name="Speech, 16 kHz").click()
    page.wait_for_function(f"{PLAYER}?.buffers?.length === 7", timeout=90_000)
    worked_out(page)
    page.wait_for_timeout(1000)  # a scroll ends
    play = page.locator("#player").get_by_role("button", name="Play", exact=True).bounding_box()
    assert 0 < play["y"] < 844 - play["height"]
    assert not page.locator("#player kbd").locator("visible=true").count(), "key caps where there are no keys"
    page.screenshot(path=screenshots / "phone.png")
    cells = page.locator("#numbers tbody td")
    for i in range(cells.count()):
        box = cells.nth(i).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    assert page.evaluate("getComputedStyle(document.querySelector('#numbers td'), '::before').content").startswith('"')
    context.close()


def test_links_are_large_enough_to_touch(page, url):
    opened(page, url).get_by_role("button", name="Guitar").click()
    worked_out(page)
    page.get_by_role("button", name="Download the files").click()
    links = page.locator("#files a, footer a, footer button, #player .clip button, summary").locator("visible=true")
    page.locator("#files a").first.wait_for()
    assert links.count() > 15
    for i in range(links.count()):
        assert links.nth(i).bounding_box()["height"] >= 24, links.nth(i).inner_text()


def test_nothing_is_written_to_the_console(chromium, url):
    context = chromium.new_context()
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append((message.type, message.text)))
    page.on("pageerror", lambda error: said.append(("error", str(error))))
    listened(page, url)
    worked_out(page)
    context.close()
    assert not [each for each in said if each[0] in ("error", "warning") or "not implemented" in each[1]], said


def test_wrong_files_get_a_message_and_the_page_goes_on(page, url, tmp_path):
    opened(page, url)
    for name, message in (("notes.ecdc", "notes.ecdc is not an .ecdc file"), ("notes.wav", "is not an audio file")):
        (tmp_path / name).write_text("this is not audio")
        upload(page, tmp_path / name)
        page.get_by_text(message).first.wait_for(timeout=60_000)
    (tmp_path / "empty.wav").write_bytes(b"")
    upload(page, tmp_path / "empty.wav")
    page.get_by_text("empty.wav is empty.").wait_for()
    listened(page, url)
    assert not page.get_by_text("is not an audio file").is_visible(), "the message of a wrong file stays"


def test_a_run_can_be_cancelled(page, url, tmp_path):
    codec.audio.save(tmp_path / "long.wav", noise(0, 25), 24000)
    upload(opened(page, url), tmp_path / "long.wav")
    page.get_by_role("button", name="Cancel").click(timeout=60_000)
    page.get_by_text("Cancelled: showing what was finished").wait_for(timeout=60_000)
    assert not page.get_by_role("button", name="Cancel").is_visible()


def test_radios_are_a_group_for_the_keyboard_and_accordions_say_their_state(page, url):
    opened(page, url).get_by_role("button", name="Guitar").click()
    worked_out(page)
    page.get_by_role("radio", name="encodec_24khz_tiny").focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("getComputedStyle(document.activeElement.closest('label')).outlineStyle") == "solid"
    page.get_by_text("48 kHz stereo").wait_for()
    for name in ("Model", "Compare with Opus"):
        assert page.get_by_role("group", name=name).count() == 1, name
    unfolds = page.get_by_role("button", name="Download the files")
    assert unfolds.get_attribute("aria-expanded") == "false"
    unfolds.focus()
    page.keyboard.press("Enter")
    page.locator("#files a").first.wait_for(timeout=60_000)
    assert unfolds.get_attribute("aria-expanded") == "true"


LOOKS = """
globalThis.looks = (element) => [element, element.closest("label"), element.nextElementSibling].filter(Boolean)
  .map(getComputedStyle).map((s) => [s.outline, s.boxShadow, s.borderColor, s.backgroundColor].join()).join();
globalThis.reached = [];
"""
FOCUSED = """() => {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  if (!element || element === document.body || element.wasFocused) return;
  element.wasFocused = true;
  reached.push([element, looks(element)]);
}"""
UNMARKED = """() => {
  document.activeElement.blur();
  const same = reached.filter(([element, look]) => element.isConnected && looks(element) === look);
  return same.map(([element]) => element.outerHTML.slice(0, 200));
}"""
UNREACHED = """() => {
  const found = [];
  const look = (root) => root.querySelectorAll("*").forEach((each) => {
    if (each.shadowRoot) look(each.shadowRoot);
    if (!each.matches("button, a[href], input, select, textarea, summary, [tabindex='0']")) return;
    if (each.disabled || each.wasFocused || each.tabIndex < 0) return;
    if (!each.checkVisibility({ visibilityProperty: true, opacityProperty: false })) return;
    const group = each.type === "radio" && each.name && [...root.querySelectorAll(`[name="${each.name}"]`)];
    if (group && group.some((radio) => radio.wasFocused)) return;  // arrow keys move in it
    found.push(each.outerHTML.slice(0, 200));
  });
  look(document);
  return found;
}"""


def test_every_control_is_reached_with_the_tab_key_and_shows_it(page, url):
    opened(page, url)
    for state in ("empty", "with a clip"):
        if state == "with a clip":
            page.get_by_role("button", name="Guitar").click()
            worked_out(page)
            for name in (*COMPARISONS, "Download the files"):
                page.get_by_role("button", name=name).click()
            page.locator("#files a").first.wait_for()
            page.wait_for_function("document.querySelector('blind-test')?.player.buffers?.length === 3")
        page.evaluate(f"document.activeElement.blur(); scrollTo(0, 0); {LOOKS}")
        for _ in range(150):
            page.keyboard.press("Tab")
            page.evaluate(FOCUSED)
        assert page.evaluate("reached.length") > (10 if state == "empty" else 30), state
        assert not page.evaluate(UNREACHED), state
        assert not page.evaluate(UNMARKED), state


def test_a_visitor_without_a_mouse_hears_compares_and_leaves(page, url):
    def press(element, key):
        element.focus()
        page.keyboard.press(key)

    opened(page, url)
    press(page.get_by_role("button", name="Guitar"), "Enter")
    page.wait_for_function(f"{PLAYER}?.buffers?.length === 7", timeout=90_000)
    worked_out(page)
    player = page.locator("#player")
    press(player.get_by_role("button", name="Play", exact=True), "Space")
    page.wait_for_function(f"{PLAYER}.probe().position > 0.2")
    press(player.get_by_role("button", name="24 kbps").first, "Enter")
    page.wait_for_function(f"{PLAYER}.probe().gains[5] === 1")
    press(player.get_by_role("button", name="Loop"), "Space")
    assert player.get_by_role("button", name="Loop").get_attribute("aria-pressed") == "false"
    press(player.get_by_role("button", name="Pause", exact=True), "Space")
    before = page.evaluate(f"{PLAYER}.probe().position")
    press(player.get_by_role("slider", name="Position"), "ArrowRight")
    page.wait_for_function(f"Math.abs({PLAYER}.probe().position - {before}) > 0.05")
    press(page.get_by_role("button", name="See what changed"), "Space")
    press(page.locator("#Version-to-see").get_by_role("radio", checked=True), "ArrowRight")
    page.wait_for_function("document.querySelectorAll('#picture img').length === 4", timeout=60_000)
    press(page.get_by_role("checkbox", name="24 kbps"), "Space")
    page.wait_for_function(f"{PLAYER}?.buffers?.length === 8", timeout=90_000)
    press(page.get_by_role("button", name="Change clip"), "Enter")
    page.locator("clip-input").wait_for()
    assert page.evaluate("document.activeElement.closest('#examples') !== null"), "the focus is lost"


def noise(seed, seconds):
    return 0.1 * torch.randn(1, round(24000 * seconds), generator=torch.Generator().manual_seed(seed))


def test_twenty_visitors_at_once_get_their_own_results(url, tmp_path):
    """Three results each: a clip at every bandwidth, an encoded file, and that file decoded."""
    clips = [noise(i, 0.5 + 0.02 * i) for i in range(20)]
    for i, wav in enumerate(clips):
        codec.audio.save(tmp_path / f"{i}.wav", wav, 24000)

    def visit(i):
        client = gradio_client.Client(url, verbose=False, download_files=str(tmp_path / f"visitor{i}"))
        clip = gradio_client.handle_file(tmp_path / f"{i}.wav")
        rows, files = client.predict(clip, TINY, api_name="/reconstruct")
        made = client.predict(clip, TINY, 6.0, False, api_name="/encode")
        decoded = client.predict(gradio_client.handle_file(made), api_name="/decode")
        return rows, files, made, decoded

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(visit, range(20)))
    model = codec.load_model(TINY)
    own = 0
    for i, (rows, files, made, decoded) in enumerate(answers):
        wav, _ = codec.audio.load(tmp_path / f"{i}.wav")
        codes = model.encode(wav[None], bandwidth=6.0).audio_codes
        wanted = model.decode(codes, [None]).audio_values[0, :, : wav.shape[-1]].clamp(-1, 1)
        assert [row["nominal_kbps"] for row in rows] == [1.5, 3.0, 6.0, 12.0, 24.0]
        found = [codec.audio.load(files[2])[0], codec.decompress(Path(made).read_bytes(), model)[0].clamp(-1, 1)]
        found.append(codec.audio.load(decoded)[0])
        own += sum(each.shape == wanted.shape and float((each - wanted).abs().max()) < 2**-14 for each in found)
    assert own == 60


def test_endpoints_name_the_models_and_refuse_paths_of_the_server(url):
    client = gradio_client.Client(url, verbose=False)
    assert TINY in client.predict(api_name="/models")
    path = {"path": str(Path(app.__file__)), "meta": {"_type": "gradio.FileData"}}
    with pytest.raises(gradio_client.exceptions.AppError):
        client.predict(path, TINY, api_name="/reconstruct")
