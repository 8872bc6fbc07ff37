"""The synchronised player in headless Chromium: output samples, keys, loops, levels, a page from disk, Gradio."""

import numpy as np
import pytest
import soundfile as sf

from encodec_eval import player
from encodec_eval.demo import components

pytestmark = [pytest.mark.slow, pytest.mark.browser]

RATE = 24000
FADE = round(0.005 * RATE)
PROBE = "document.querySelector('sync-player').probe()"
# Renders two ramps through the engine without a clock: every output sample tells version and position.
RENDER = """async ({ seconds, loop, switchAt, start }) => {
  const rate = 24000, length = 4 * rate;
  const context = new OfflineAudioContext(1, seconds * rate, rate);
  const buffers = [1, -1].map((sign) => {
    const buffer = new AudioBuffer({ length, sampleRate: rate, numberOfChannels: 1 });
    buffer.copyToChannel(Float32Array.from({ length }, (_, n) => sign * (n + 1) / length), 0);
    return buffer;
  });
  const engine = new SyncPlayer.Engine(context, buffers);
  engine.setLoop(loop, 0);
  engine.start(start, 0);
  for (const [time, index] of switchAt) engine.select(index, time);
  engine.scheduleWraps(seconds);
  return Array.from((await context.startRendering()).getChannelData(0));
}"""


@pytest.fixture
def opened(page, tmp_path):
    """A page from disk with the levels 0 dB, -6 dB and -12 dB of three seconds of noise."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 3 * RATE)
    versions = []
    for i in range(3):
        sf.write(tmp_path / f"{i}.wav", noise * 0.5**i, RATE, subtype="PCM_16")
        versions.append({"label": f"V{i}", "url": player.data_url(tmp_path / f"{i}.wav"), "note": "note"})
    (tmp_path / "page.html").write_text(player.page("Three levels", versions))
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function(f"{PROBE}.ready")
    return page


def render(page, seconds, *, loop=None, switches=(), start=0.0):
    arguments = {"seconds": seconds, "loop": loop, "switchAt": list(switches), "start": start}
    return np.array(page.evaluate(RENDER, arguments))


def test_a_switch_keeps_the_position_to_the_sample(opened):
    out = render(opened, 3, switches=[[1.0, 1], [2.0, 0]])
    ramp = (np.arange(len(out)) + 1) / (4 * RATE)
    wanted = ramp * np.where((np.arange(len(out)) // RATE) == 1, -1, 1)
    steady = np.ones(len(out), dtype=bool)
    for edge in (0, RATE, 2 * RATE):
        steady[edge : edge + 2 * FADE + 1] = False
    wrong = np.flatnonzero(np.abs(out - wanted)[steady] > 1e-6)
    assert not len(wrong), f"first wrong steady sample: {wrong[0]}"


def test_switch_fades_are_raised_cosines_of_5_ms_without_overlap(opened):
    out = render(opened, 2, switches=[[1.0, 1]])
    ramp = (np.arange(len(out)) + 1) / (4 * RATE)
    gain = out / ramp
    n = np.arange(FADE)
    fall = 0.5 + 0.5 * np.cos(np.pi * n / FADE)
    np.testing.assert_allclose(gain[RATE : RATE + FADE], fall, atol=2e-3)
    np.testing.assert_allclose(gain[RATE + FADE : RATE + 2 * FADE], -(1 - fall), atol=2e-3)


def test_switches_faster_than_their_fades_end_at_the_last_one(opened):
    out = render(opened, 2, switches=[[1.0, 1], [1.001, 0], [1.002, 1]])
    assert out[round(1.05 * RATE)] == pytest.approx(-(round(1.05 * RATE) + 1) / (4 * RATE), abs=1e-6)


def test_a_loop_repeats_on_the_sample_and_fades_at_the_seam(opened):
    out = render(opened, 4, loop={"start": 1.0, "end": 2.0}, start=1.5)
    n = np.arange(len(out))
    wanted = ((RATE // 2 + n) % RATE + RATE + 1) / (4 * RATE)
    seam = np.abs((n - RATE // 2 + RATE // 2) % RATE - RATE // 2) <= FADE + 1
    steady = ~seam & (n > FADE)
    wrong = np.flatnonzero(np.abs(out - wanted)[steady] > 1e-6)
    assert not len(wrong), f"first wrong steady sample: {wrong[0]}"
    for k in range(3):
        assert abs(out[RATE // 2 + k * RATE]) < 0.01


def test_all_versions_keep_their_levels_and_start_together(opened):
    opened.get_by_label("Play", exact=True).click()
    opened.wait_for_function(f"{PROBE}.position > 0.2")
    for key in (2, 3, 1):
        opened.keyboard.press(str(key))
        before = opened.evaluate(PROBE)
        opened.wait_for_function(f"{PROBE}.gains[{key - 1}] === 1")
        after = opened.evaluate(PROBE)
        assert after["gains"] == [float(i == key - 1) for i in range(3)]
        assert after["started"] == before["started"], "the switch restarted the sources"
        assert after["position"] - after["time"] == pytest.approx(before["position"] - before["time"], abs=1e-9)
    peaks = opened.evaluate("document.querySelector('sync-player').buffers.map(b => Math.max(...b.getChannelData(0)))")
    assert np.array(peaks[1:]) / peaks[0] == pytest.approx([0.5, 0.25], rel=1e-3)
    assert opened.evaluate(PROBE)["sampleRate"] == RATE


def test_a_drag_selects_a_loop_of_at_least_half_a_second(opened):
    box = opened.locator(".wave").bounding_box()

    def drag(first, last):
        opened.mouse.move(box["x"] + first * box["width"], box["y"] + 40)
        opened.mouse.down()
        opened.mouse.move(box["x"] + last * box["width"], box["y"] + 40, steps=5)
        opened.mouse.up()
        return opened.evaluate(PROBE)["loop"]

    assert drag(0.2, 0.6) == pytest.approx({"start": 0.6, "end": 1.8}, abs=0.02)
    short = drag(0.5, 0.52)
    assert short["end"] - short["start"] == pytest.approx(0.5, abs=1e-4)
    opened.keyboard.press("Space")
    opened.wait_for_function(f"{PROBE}.time > 1.2")
    assert short["start"] <= opened.evaluate(PROBE)["position"] <= short["end"]
    opened.keyboard.press("Escape")
    assert opened.evaluate(PROBE)["loop"] == {"start": 0, "end": 3}


def test_everything_works_from_the_keyboard(opened):
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.shadowRoot.activeElement.ariaLabel") == "Position"
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("ArrowRight")
    assert opened.evaluate(PROBE)["position"] == pytest.approx(1.0)
    opened.keyboard.press("[")
    assert opened.evaluate(PROBE)["loop"] == {"start": 1, "end": 3}
    opened.keyboard.press("Tab")
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.shadowRoot.activeElement.ariaLabel") == "Loop end"
    opened.keyboard.press("ArrowLeft")
    assert opened.evaluate(PROBE)["loop"] == {"start": 1, "end": 2.5}
    opened.keyboard.press("Space")
    assert opened.evaluate(PROBE)["playing"]
    opened.keyboard.press("Space")
    assert not opened.evaluate(PROBE)["playing"]


def test_without_a_loop_it_stops_at_the_end(opened):
    opened.get_by_role("button", name="Loop", exact=True).click()
    opened.evaluate("document.querySelector('sync-player').play(2.7)")
    opened.wait_for_function(f"!{PROBE}.playing")
    assert opened.evaluate(PROBE)["position"] == 0


def test_versions_that_follow_do_not_disturb_what_plays(opened):
    opened.evaluate("player = document.querySelector('sync-player'); all = player.versions; player.versions = []")
    opened.evaluate("player.load(all.slice(0, 2))")
    opened.wait_for_function(f"{PROBE}.ready")
    opened.evaluate("player.setSelection({ start: 0.5, end: 2.5 }); player.select(1)")
    opened.get_by_label("Play", exact=True).click()
    opened.wait_for_function(f"{PROBE}.position > 1")
    before = opened.evaluate(PROBE)
    opened.evaluate("player.load(all)")
    opened.wait_for_function(f"{PROBE}.gains.length === 3")
    after = opened.evaluate(PROBE)
    assert after["playing"]
    assert (after["active"], after["loop"]) == (1, before["loop"])
    assert after["position"] - before["position"] == pytest.approx(after["time"] - before["time"], abs=0.06)
    opened.keyboard.press("3")
    opened.wait_for_function(f"{PROBE}.gains[2] === 1")


def test_a_fixed_rate_decodes_everything_at_it(opened):
    opened.evaluate("player = document.querySelector('sync-player'); all = player.versions; player.versions = []")
    opened.evaluate("player.setAttribute('rate', 48000); player.load(all)")
    opened.wait_for_function(f"{PROBE}.ready")
    assert opened.evaluate(PROBE)["sampleRate"] == 48000
    assert opened.evaluate(PROBE)["duration"] == pytest.approx(3)


@pytest.mark.parametrize("width", [320, 375, 1000])
def test_nothing_overflows_sideways(opened, width):
    opened.set_viewport_size({"width": width, "height": 700})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_what_cannot_be_loaded_is_said(opened):
    opened.evaluate(
        "document.querySelector('sync-player').versions = [{label: 'x', url: 'data:audio/wav;base64,AAAA'}]"
    )
    alert = opened.get_by_role("alert")
    alert.wait_for()
    assert "could not be loaded" in alert.inner_text()


def test_it_has_no_accessibility_violations(opened):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(opened).response["violations"]
    assert not found, [(item["id"], [node["html"] for node in item["nodes"]]) for item in found]


def test_inside_gradio(page, tmp_path):
    gr = pytest.importorskip("gradio")
    tone = np.sin(np.arange(RATE) * 0.1)
    urls = []
    for i in range(2):
        sf.write(tmp_path / f"{i}.wav", tone * 0.5**i, RATE, subtype="PCM_16")
        urls.append(f"/gradio_api/file={tmp_path / f'{i}.wav'}")
    versions = [{"label": label, "url": url} for label, url in zip("AB", urls, strict=True)]
    with gr.Blocks() as demo:
        shown = gr.HTML(value={"versions": versions[:1]}, **components.player_arguments())
        gr.Button("Both").click(lambda: {"versions": versions}, outputs=shown)
    _, url, _ = demo.launch(
        prevent_thread_lock=True, allowed_paths=[str(tmp_path)], quiet=True, server_name="127.0.0.1"
    )
    try:
        page.goto(url)
        page.wait_for_function("document.querySelector('sync-player')?.probe().ready")
        page.get_by_role("button", name="Both").click()
        page.wait_for_function("document.querySelector('sync-player').versions.length === 2")
        page.wait_for_function(f"{PROBE}.ready")
        page.get_by_label("Play", exact=True).click()
        page.keyboard.press("2")
        page.wait_for_function(f"{PROBE}.gains[1] === 1")
        assert page.evaluate(f"{PROBE}.gains") == [0, 1]
    finally:
        demo.close()
