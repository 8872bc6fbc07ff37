"""The blind test in headless Chromium: what is heard as X, the score and its p-value, ranking and its reveal."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import soundfile as sf

from encodec_eval import player
from encodec_eval.demo import components

pytestmark = [pytest.mark.slow, pytest.mark.browser]

RATE = 24000
BLIND = "document.querySelector('blind-test')"
GAINS = f"{BLIND}.player.probe().gains"
PAGE = """<!doctype html><html lang="en"><title>Blind</title><main><h1>Blind</h1><blind-test></blind-test></main>
<script>{script}
document.querySelector("blind-test").versions = {versions};</script></html>"""


@pytest.fixture
def opened(page, tmp_path):
    """Four versions of three seconds of noise, each 6 dB below the one before."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 3 * RATE)
    versions = []
    for i in range(4):
        sf.write(tmp_path / f"{i}.wav", noise * 0.5**i, RATE, subtype="PCM_16")
        versions.append({"label": f"V{i}", "url": player.data_url(tmp_path / f"{i}.wav")})
    (tmp_path / "page.html").write_text(PAGE.format(script=components.blind_script(), versions=versions))
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function(f"{BLIND}.player.probe().ready")
    return page


def heard_peak(page):
    """The peak of the version that is selected, once the fade to it has ended."""
    settled = f"{GAINS}?.every((gain, i) => gain === Number(i === {BLIND}.player.active))"
    page.wait_for_function(settled)
    return page.evaluate(f"Math.max(...{BLIND}.player.buffers[{BLIND}.player.active].getChannelData(0))")


def hear_all(page):
    """A, B and X, one after the other."""
    for name in ("1A", "2B", "3X"):
        page.get_by_role("button", name=name).click()
        page.wait_for_function(f"{BLIND}.player.active === {'123'.index(name[0])} && {BLIND}.player.playing")


def answer(page, right):
    """Answer a trial rightly or wrongly, by what is heard."""
    peaks = page.evaluate(f"{BLIND}.player.buffers.map((b) => Math.max(...b.getChannelData(0)))")
    hear_all(page)
    is_b = heard_peak(page) == pytest.approx(peaks[1], rel=1e-3)
    page.get_by_role("button", name="X is B" if is_b == right else "X is A").click()
    page.wait_for_function(f"{BLIND}.player.probe().ready")


def test_x_is_what_the_answer_is_checked_against(opened):
    right = 0
    for trial in range(1, 7):
        truth = trial % 4 > 0  # three right answers and a wrong one
        right += truth
        answer(opened, truth)
        score = opened.locator(".score").inner_text()
        assert score.startswith("Right" if truth else "Wrong")
        assert f"{right} of {trial} right" in score
        assert "p =" not in score, "a p that is shown before the end invites to stop when it looks good"


def test_an_answer_needs_a_b_and_x_heard(opened):
    answers = opened.get_by_role("button", name="X is")
    for name, missing in (("3X", "A, B"), ("1A", "B"), ("2B", None)):
        assert all(answers.nth(i).is_disabled() for i in range(2))
        opened.get_by_role("button", name=name).click()
        if missing:
            opened.get_by_text(f"Listen to {missing} before you answer").wait_for()
    opened.get_by_text("Which of A and B is X?").wait_for()
    answers.first.click()
    opened.get_by_text("Trial 2 of 16").wait_for()
    assert answers.first.is_disabled(), "X is another one now: it was not heard"


def test_a_chosen_number_of_trials_ends_in_a_result_that_can_be_saved(opened):
    assert opened.get_by_label("Trials").input_value() == "16"
    opened.get_by_label("Trials").select_option("8")
    for trial in range(8):
        answer(opened, trial != 2)
        assert opened.get_by_label("Trials").is_disabled(), "the number can be changed between trials"
    p = scipy.stats.binomtest(7, 8, alternative="greater").pvalue
    score = opened.locator(".score").inner_text()
    shown = re.search(r"(\d+) of (\d+) right, p = ([\d.]+)", score)
    assert (int(shown[1]), int(shown[2])) == (7, 8)
    assert float(shown[3].rstrip(".:")) == pytest.approx(p, rel=0.05)
    hear_all(opened)
    assert opened.get_by_role("button", name="X is A").is_disabled()
    with opened.expect_download() as download:
        opened.get_by_role("button", name="Save the result").click()
    assert download.value.suggested_filename == "abx_V0_V1.csv"
    rows = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    assert [row["right"] for row in rows[:8]] == list("11011111")
    assert all((row["X"] == row["answer"]) == (row["right"] == "1") for row in rows[:8])
    assert float(rows[8]["right"]) == pytest.approx(p)
    opened.get_by_role("button", name="Start again").click()
    opened.get_by_text("Trial 1 of 8").wait_for()


def test_the_chance_of_guessing_is_the_binomial_test(opened):
    for trials, right in [(1, 0), (1, 1), (10, 7), (16, 12), (40, 21), (100, 80)]:
        ours = opened.evaluate(f"customElements.get('blind-test').chance({trials}, {right})")
        assert ours == pytest.approx(scipy.stats.binomtest(right, trials, alternative="greater").pvalue, rel=1e-12)


def test_changing_to_x_takes_a_switch_whichever_it_is(opened):
    opened.get_by_role("button", name="1A").click()
    for _ in range(6):
        heard_peak(opened)
        opened.keyboard.press("1")
        opened.wait_for_function(f"{GAINS}[0] === 1")
        opened.keyboard.press("3")
        opened.wait_for_function(f"{GAINS}[2] === 1 && {GAINS}[0] === 0 && {GAINS}[1] === 0")
        opened.get_by_role("button", name="2B").click()
        opened.get_by_role("button", name="X is A").click()
        opened.wait_for_function(f"{BLIND}.player.probe().ready")
    assert opened.evaluate(f"{BLIND}.trials") == 6


def test_versions_can_be_chosen(opened):
    opened.get_by_label("Version A").select_option("V1")
    opened.get_by_label("Version B").select_option("V3")
    opened.wait_for_function(f"{BLIND}.player.items[0].label === 'V1' && {BLIND}.player.items[1].label === 'V3'")
    assert opened.evaluate(f"{BLIND}.player.items[2].label") in ("V1", "V3")


def test_a_ranking_names_nothing_before_the_reveal(opened):
    opened.get_by_role("button", name="Ranking").click()
    opened.wait_for_function(f"{BLIND}.player.buffers?.length === 4")
    rows = opened.locator(".rows")
    assert "V" not in rows.inner_text()
    truth = [version["label"] for version in opened.evaluate(f"{BLIND}.truth")]
    assert sorted(truth) == ["V0", "V1", "V2", "V3"]
    opened.get_by_role("button", name="2B").click()
    assert heard_peak(opened) == pytest.approx(0.5 * 0.5 ** int(truth[1][1]), rel=1e-2)
    for letter, rating in zip("ABCD", (10, 90, 40, 60), strict=True):
        opened.get_by_label(f"Rating of {letter}").fill(str(rating))
    opened.get_by_role("button", name="Reveal").click()
    shown = [row.split(": ")[1].split()[0] for row in rows.locator("> div").all_inner_texts()]
    assert shown == [truth[1], truth[3], truth[2], truth[0]]
    opened.get_by_role("button", name="Ranking").click()
    assert "V" not in rows.inner_text()


def test_it_has_no_accessibility_violations(opened):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    for mode in ("ABX", "Ranking"):
        opened.get_by_role("button", name=mode).click()
        found = axe.Axe().run(opened).response["violations"]
        assert not found, [(item["id"], [node["html"] for node in item["nodes"]]) for item in found]
