"""Every method in headless Chromium: made from bundled recordings, taken, killed in the middle, exported, analysed."""

import json
import time

import pandas as pd
import pytest

from encodec_eval.__main__ import main
from encodec_eval.listening.methods import METHODS
from encodec_eval.mushra.manifest import load_manifest
from tests.encodec_eval.listening.robot import SETTINGS, address, serving, take_test

OTHERS = sorted(name for name in METHODS if name != "mushra")
ITEMS = {"ab": 3, "bs1116": 2}  # of others one: two trials are needed, to be killed in the second
LISTENERS, DURATION_S = 3, 1.5
WHOLE = ("acr", "ccr", "dcr")


@pytest.fixture(scope="module", params=OTHERS)
def made(request, tmp_path_factory):
    """Method and folder of a test of Opus at 6 and 24 kbps."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    (folder / "crowd.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    command = [
        "listening",
        "--method",
        name,
        "--set",
        "librispeech-mini",
        "--systems",
        "opus",
        "--opus-kbps",
        "6",
        "24",
    ]
    command += ["--items", str(ITEMS.get(name, 1)), "--duration", str(DURATION_S), "--trials", "2"]
    assert main([*command, "--crowd", str(folder / "crowd.json"), "--out", str(folder / "test")]) == 0
    return name, folder / "test"


@pytest.mark.slow
@pytest.mark.browser
def test_a_board_is_accessible_and_blind_and_wants_all_heard_and_an_answer(page, made):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    name, folder = made
    with serving(folder) as server:
        page.goto(address(server, 90))
        for _ in range(2):  # welcome, consent
            page.locator("main > .primary").click()
        page.locator("#volume").wait_for()
        page.locator("main > .primary").click()
        page.locator(".board").wait_for()
        page.wait_for_function("() => document.querySelector('main sync-player').probe().ready")
        found = axe.Axe().run(page).response["violations"]
        assert not found, [(item["id"], [node["html"] for node in item["nodes"]]) for item in found]
        drawn = page.evaluate("Boolean(document.querySelector('main sync-player').ui.wave.querySelector('path[d]'))")
        assert drawn == (name in ("dcr", "bs1116")), "only the open reference may be seen"
        following, listen = page.locator("main > .primary"), page.locator(".board .listen")
        for n in range(listen.count()):
            assert following.is_disabled(), "all must be heard first"
            began = time.monotonic()
            listen.nth(n).click()
            page.locator(".board .listen").nth(n).and_(page.locator(".heard")).wait_for()
            assert name not in WHOLE or time.monotonic() - began > 0.8 * DURATION_S, "to its end"
        following.click()
        assert page.get_by_role("alert").inner_text(), "an answer is asked for"
        page.keyboard.press("1")
        page.set_viewport_size({"width": 360, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    (folder / "answers.jsonl").unlink()


@pytest.mark.slow
@pytest.mark.browser
def test_scripted_listeners_take_it_two_of_them_killed_and_it_is_analysed(chromium, made, tmp_path, capsys):
    name, folder = made
    manifest = load_manifest(folder)
    sessions = take_test(chromium, folder, manifest, LISTENERS, killed=(0, 1))
    assert len(sessions) == LISTENERS, "who comes back is nobody new"
    for each in sessions:
        assert set(each.trials) == set(manifest.forms[each.form])
        for trial, answer in each.trials.items():
            METHODS[name].check(next(item for item in manifest.items if item.id == trial), answer["scores"])
            assert min(answer["plays"].values()) >= 1
    assert main(["listening", "export", str(folder), "--out", str(tmp_path / "tidy.csv")]) == 0
    tidy = pd.read_csv(tmp_path / "tidy.csv")
    assert tidy.groupby("parameter_PROLIFIC_PID")["item"].nunique().eq(len(manifest.items)).all()
    assert tidy["finished"].all()
    capsys.readouterr()
    analyze = [
        "listening",
        "analyze",
        str(folder / "results"),
        "--manifest",
        str(folder),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(analyze) == 0
    summary = pd.read_csv(tmp_path / "out" / "summary.csv").set_index("condition")
    if name == "ab":
        assert list(summary.index) == ["opus@24", "opus@6"], "best first; who never lost has no strength"
    else:
        value = summary.iloc[:, 2 if name == "abx" else 0]
        low, high = value["opus@6"], value["opus@24"]
        assert low >= high if name == "abx" else low < high  # ABX counts right answers: what is worse is heard more
    assert "INVENTED" in (tmp_path / "out" / "report.md").read_text("utf-8").splitlines()[0]
