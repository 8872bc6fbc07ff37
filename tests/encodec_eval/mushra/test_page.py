"""The page of a listening test in headless Chromium, from disk and from a server; the server under load."""

import contextlib
import csv
import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from encodec_eval.__main__ import main
from encodec_eval.datasets import ClipSet, folder_clips
from encodec_eval.mushra.analysis.ratings import read_ratings
from encodec_eval.mushra.make import Design, make_test
from encodec_eval.mushra.manifest import load_manifest
from encodec_eval.mushra.server import MAX_BODY, Server
from encodec_eval.systems import Mp3

PROBE = "document.querySelector('sync-player').probe()"


@pytest.fixture(scope="module")
def small_test(tmp_path_factory):
    """Three items of 1.5 s, four stimuli each, in one form."""
    source, folder = tmp_path_factory.mktemp("set"), tmp_path_factory.mktemp("test")
    generator = np.random.default_rng(0)
    for i in range(3):
        swell = np.interp(np.arange(36000), np.linspace(0, 36000, 12), generator.uniform(0.1, 1, 12))
        sf.write(source / f"clip{i}.wav", 0.3 * swell * generator.uniform(-1, 1, 36000), 24000)
    design = Design(ClipSet("noise", folder_clips(source)), [Mp3((32,))], items=3, duration_s=1.5)
    return make_test(design, folder), folder


@contextlib.contextmanager
def serving(folder):
    with Server(("127.0.0.1", 0), folder) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def server(small_test):
    _, folder = small_test
    for old in (folder / "results").glob("*"):
        old.unlink()
    with serving(folder) as running:
        yield running


def begin(page, listener=""):
    if listener:
        page.get_by_label("Your name or code").fill(listener)
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("heading", name="Set the volume").wait_for()
    page.get_by_label("Volume").fill("-6")
    page.get_by_role("button", name="Next").click()


def listen_to_all(page):
    """Play, and switch through all stimuli by their buttons until each is marked as heard."""
    page.wait_for_function(f"() => {PROBE}.ready")
    if not page.evaluate(PROBE)["playing"]:
        page.get_by_label("Play", exact=True).click()
    for button in page.locator(".column .listen").all():
        button.click()
        page.wait_for_function("button => button.classList.contains('heard')", arg=button.element_handle())


def rate(page, scores):
    """Set the sliders, left to right; the keyboard sets 100, the others are filled in."""
    for slider, score in zip(page.get_by_role("slider", name="Score of").all(), scores, strict=True):
        slider.focus()
        if score == 100:
            page.keyboard.press("End")
        else:
            slider.fill(str(score))


def take_trial(page, scores, button="Next"):
    listen_to_all(page)
    rate(page, scores)
    page.get_by_role("button", name=button).click()


def clicked(n):
    return [[100, 37, 62, 5], [12, 100, 80, 41], [55, 23, 100, 71]][n]


@pytest.mark.slow
@pytest.mark.browser
def test_a_whole_test_is_taken_interrupted_resumed_and_exported(page, small_test):
    manifest, folder = small_test
    page.goto((folder / "page" / "index.html").as_uri())
    begin(page, "Ann 7")
    page.get_by_text("Training", exact=True).wait_for()
    take_trial(page, [100, 50, 50, 50], "Begin the test")
    page.get_by_text("Trial 1 of 3").wait_for()
    take_trial(page, clicked(0))
    page.get_by_text("Trial 2 of 3").wait_for()
    listen_to_all(page)
    rate(page, clicked(1))
    page.reload()

    page.get_by_text("Welcome back. 1 of 3 trials are done.").wait_for()
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("Trial 2 of 3").wait_for()
    assert page.locator("output").all_inner_texts() == [str(score) for score in clicked(1)], "scores survive"
    page.wait_for_function(f"() => {PROBE}.ready")
    assert page.evaluate(PROBE)["volume"] == pytest.approx(10 ** (-6 / 20), abs=1e-6), "so does the volume"
    page.get_by_role("button", name="Next").click()
    page.get_by_text("Trial 3 of 3").wait_for()
    take_trial(page, clicked(2))
    page.get_by_role("heading", name="Thank you").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download results").click()
    path = folder / "downloaded.csv"
    download.value.save_as(path)

    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    assert len(rows) == 12
    assert {row["listener"] for row in rows} == {"Ann 7"}
    assert {row["session_test_id"] for row in rows} == {manifest.test_id}
    ratings = read_ratings([path], manifest)
    assert len(ratings) == 12
    assert set(ratings["condition"]) == set(manifest.conditions)
    for n, trial in enumerate(drawn_trials(page)):
        for stimulus, score in zip(trial["stimuli"], clicked(n), strict=True):
            condition = manifest.names()[stimulus][1]
            kept = ratings[(ratings["item"] == trial["item"]) & (ratings["condition"] == condition)]
            assert kept["score"].tolist() == [score], f"trial {n + 1}: what was clicked is not what was stored"


def stored(page):
    return page.evaluate("JSON.parse(localStorage.getItem(Object.keys(localStorage)[0]))")


def drawn_trials(page):
    """The order that the stored seed gives, computed here a second time from the documented generator."""
    session = stored(page)
    data = page.evaluate("mushraData")
    state = session["seed"]

    def draw():
        nonlocal state
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        t = ((state ^ (state >> 15)) * (state | 1)) & 0xFFFFFFFF
        t ^= (t + (((t ^ (t >> 7)) * (t | 61)) & 0xFFFFFFFF)) & 0xFFFFFFFF
        return ((t ^ (t >> 14)) & 0xFFFFFFFF) / 2**32

    def shuffled(values):
        values = list(values)
        for i in range(len(values) - 1, 0, -1):
            j = int(draw() * (i + 1))
            values[i], values[j] = values[j], values[i]
        return values

    order = shuffled(data["forms"][session["form"]])
    return [{"item": item, "stimuli": shuffled(data["items"][item]["stimuli"])} for item in order]


@pytest.mark.slow
@pytest.mark.browser
def test_next_needs_listening_rating_and_one_hundred(page, small_test):
    _, folder = small_test
    page.goto((folder / "page" / "index.html").as_uri())
    begin(page)
    page.wait_for_function(f"() => {PROBE}.ready")
    following = page.get_by_role("button", name="Begin the test")
    alert = page.get_by_role("alert")
    assert following.is_disabled(), "training too needs every version heard"
    assert page.get_by_text("Still to hear: A, B, C, D.").is_visible()
    rate(page, [100, 50, 50, 50])
    assert following.is_disabled(), "ratings are no listening"
    page.reload()
    page.get_by_role("button", name="Resume").click()
    listen_to_all(page)
    page.wait_for_function("() => !document.querySelector('main > .primary').disabled")
    assert not page.get_by_text("Still to hear").count()
    following.click()
    assert alert.inner_text() == "Please rate A, B, C, D too."
    rate(page, [90, 99, 10, 0])
    following.click()
    assert alert.inner_text() == "One version is the reference itself: give it 100."
    rate(page, [90, 100, 10, 0])
    following.click()
    page.get_by_text("Trial 1 of 3").wait_for()


@pytest.mark.slow
@pytest.mark.browser
def test_sliders_and_buttons_switch_what_is_heard(page, small_test):
    _, folder = small_test
    page.goto((folder / "page" / "index.html").as_uri())
    begin(page)
    page.wait_for_function(f"() => {PROBE}.ready")
    assert not page.get_by_role("button", name="Pause").count()
    page.get_by_role("button", name="Reference").click()
    assert page.evaluate(PROBE)["playing"]
    started = page.evaluate(PROBE)["started"]
    page.get_by_role("slider", name="Score of C").focus()
    assert page.evaluate(PROBE)["active"] == 3
    page.keyboard.press("2")
    page.wait_for_function(f"() => {PROBE}.gains[1] === 1")
    assert page.evaluate(PROBE)["gains"] == [0, 1, 0, 0, 0]
    assert page.evaluate(PROBE)["started"] == started, "a switch must not restart playback"
    page.get_by_role("slider", name="Score of C").focus()
    page.keyboard.press("ArrowUp")
    assert page.get_by_role("slider", name="Score of C").get_attribute("aria-valuetext") == "1, Bad"


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(375, "dark"), (1000, "light")])
def test_pages_fit_and_are_accessible(page, small_test, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    _, folder = small_test
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.goto((folder / "page" / "index.html").as_uri())

    def check():
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = axe.Axe().run(page).response["violations"]
        assert not found, [(item["id"], [node["html"] for node in item["nodes"]]) for item in found]

    check()
    begin(page)
    page.wait_for_function(f"() => {PROBE}.ready")
    listen_to_all(page)
    rate(page, [100, 50, 50, 50])
    check()


@pytest.mark.slow
@pytest.mark.browser
def test_a_test_of_real_systems_is_made_served_taken_and_analysed(page, tmp_path):
    folder = tmp_path / "test"
    made = ["mushra", "--set", "librispeech-mini", "--items", "8", "--duration", "3", "--out", str(folder)]
    assert main(made) == 0
    manifest = load_manifest(folder)
    names = [name.partition("@") for name in manifest.conditions]
    assert [rate or name for name, _, rate in names] == [
        "reference",
        "anchor35",
        "anchor70",
        "1.5",
        "3",
        "6",
        "12",
        "12",
    ]
    with serving(folder) as server:
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        begin(page, "Zoë =1+1")
        scores = [100, 90, 80, 70, 60, 50, 40, 30]
        take_trial(page, scores, "Begin the test")
        for n in range(8):
            page.get_by_text(f"Trial {n + 1} of 8").wait_for()
            take_trial(page, scores[-n:] + scores[:-n])
        page.get_by_text("your results have been saved").wait_for()
        files = list((folder / "results").iterdir())
        assert [path.name for path in files] == [f"{stored(page)['id']}.csv"]
        ratings = read_ratings(files, manifest).set_index(["item", "condition"])["score"]
        for n, trial in enumerate(drawn_trials(page)):
            for stimulus, score in zip(trial["stimuli"], scores[-n:] + scores[:-n], strict=True):
                assert ratings[manifest.names()[stimulus]] == score
        assert set(pd.read_csv(files[0])["listener"]) == {"Zoë 11"}, "nothing that a spreadsheet would run"
    invented = folder / "results" / "simulated.csv"
    assert main(["mushra", "simulate", str(folder), "--listeners", "19", "--out", str(invented)]) == 0
    assert main(["mushra", "analyze", str(folder / "results"), "--preset", "paper", "--out", str(folder / "out")]) == 0
    dropped = pd.read_csv(folder / "out" / "dropped.csv")
    assert dropped["listener"].tolist() == [files[0].stem], "the reference was not at 100 in every trial"
    assert (pd.read_csv(folder / "out" / "summary.csv")["listeners"] == 19).all()


def body_of(manifest, session, score=50, trials=3):
    items = {item.id: item for item in manifest.items}
    answers = [
        {"item": name, "scores": {stimulus.id: score for stimulus in items[name].stimuli}, "ms": 1000}
        for name in manifest.forms[0][:trials]
    ]
    return {"test": manifest.test_id, "session": session, "listener": "", "form": 0, "seed": 1, "trials": answers}


def send(server, body, method="POST", path="/results", headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    try:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_twenty_listeners_posting_at_once_lose_nothing(small_test, server):
    manifest, folder = small_test

    def listener(n):
        return [send(server, body_of(manifest, f"{n:032x}", score=n, trials=t))[0] for t in (1, 2, 3)]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(listener, range(20)))
    assert answers == [[200, 200, 200]] * 20
    ratings = read_ratings(sorted((folder / "results").iterdir()), manifest)
    assert len(ratings) == 20 * 3 * 4
    for n in range(20):
        assert set(ratings[ratings["listener"] == f"{n:032x}"]["score"]) == {n}


def test_a_late_shorter_post_does_not_erase_a_longer_one(small_test, server):
    manifest, folder = small_test
    for trials in (3, 1):
        assert send(server, body_of(manifest, "a" * 32, trials=trials))[0] == 200
    assert len(read_ratings(list((folder / "results").iterdir()), manifest)) == 12


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[" * 100000, 400),
        (b"\xff\xfe", 400),
        (b"x" * (MAX_BODY + 1), 413),
        ({"session": "../../x"}, 400),
        ([], 400),
    ],
)
def test_bad_posts_are_refused_and_leave_nothing(small_test, server, body, status):
    _, folder = small_test
    assert send(server, body)[0] == status
    assert not list((folder / "results").iterdir())


def test_paths_of_sessions_cannot_leave_the_folder(small_test, server):
    manifest, folder = small_test
    before = sorted(folder.parent.rglob("*"))
    for session in ("../" * 8 + "tmp/x", "..%2f..%2fx", "a" * 32 + "\0", "a" * 32 + "\n"):
        assert send(server, body_of(manifest, session))[0] == 400
    assert sorted(folder.parent.rglob("*")) == before


def test_only_the_pages_own_files_are_served(small_test, server):
    _, folder = small_test
    assert send(server, b"", "GET", "/")[0] == 200
    assert send(server, b"", "GET", "/audio/item01.js")[0] == 200
    wavs = [path.name for path in (folder / "stimuli").iterdir()]
    hidden = ["/manifest.json", "/../manifest.json", "/..%2fmanifest.json", "/audio/../../manifest.json", "/audio/"]
    hidden += ["//etc/passwd", "/results", "/results/", "/index.html/", f"/stimuli/{wavs[0]}"]
    for path in hidden:
        assert send(server, b"", "GET", path)[0] == 404, path
    assert send(server, b"{}", "POST", "/manifest.json")[0] == 404
    assert send(server, b"", "DELETE", "/")[0] == 501


def test_forms_are_handed_out_in_turn(small_test, server):
    assert {send(server, b"", "GET", "/form")[1] for _ in range(3)} == {'{"form": 0}'}


def test_serve_refuses_what_is_not_a_test(tmp_path, small_test, capsys):
    assert main(["mushra", "serve", str(small_test[1]), "--port", "99999"]) == 2
    assert "--port must be from 0 to 65535, not 99999" in capsys.readouterr().err
    assert main(["mushra", "serve", str(tmp_path)]) == 2
    assert "manifest.json is missing" in capsys.readouterr().err
