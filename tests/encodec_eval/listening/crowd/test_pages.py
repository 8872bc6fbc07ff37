"""Ten listeners in headless Chromium at one crowd test at once, two of them killed in the middle."""

import re

import pytest

from encodec_eval.listening.crowd.headphones import CHECKS
from tests.encodec_eval.listening.crowd.fakes import made_test
from tests.encodec_eval.listening.crowd.test_server import serving

SETTINGS = {
    "languages": ["en", "de"],
    "consent": {"en": "May we?", "de": "Dürfen wir?"},
    "participant": {"parameters": ["PROLIFIC_PID"]},
    "headphones": {"check": "antiphase"},
    "completion": {"code": "C0FFEE"},
    "questionnaire": [
        {"id": "age", "text": "How old are you?", "kind": "number", "min": 18, "required": True},
        {"id": "device", "text": "What do you wear?", "kind": "choice", "choices": ["in ear", "over ear"]},
        {"id": "note", "text": "Anything else?", "after": True},
    ],
    "break_every": 2,
}
# Does what the page asks for, every 100 ms, until the code is shown.
ROBOT = """right => {
  globalThis.seen = new Set();
  const press = (button) => button && !button.disabled && button.click();
  setInterval(() => {
    const all = (selector) => [...document.querySelectorAll(selector)];
    const title = document.querySelector("h1")?.textContent ?? "";
    seen.add(title);
    for (const input of all("input[type=number]")) input.value = 33;
    const radios = all("input[type=radio]");
    if (radios.length && !radios.some((each) => each.checked)) radios[1].click();
    const picks = all(".picks button");
    if (picks.length) {
      press(all("main p .primary")[0]);
      if (!picks[0].disabled) picks[right[globalThis.soundNumber]].click();
      return;
    }
    const player = document.querySelector("main sync-player");
    const sliders = all(".column input");
    if (sliders.length && player.probe().ready) {
      if (!player.playing) player.play();
      const unheard = all(".column .listen:not(.heard)")[0];
      if (unheard) unheard.click();
      sliders.forEach((each, i) => { each.value = 100 - 20 * i; each.oninput(); });
    }
    press(all("main > .primary:not(a)")[0]);
  }, 100);
}"""
# Which of the six sounds is decoded, told to the robot, who cannot hear.
LISTEN = """() => {
  const make = atob;
  const take = globalThis.mushraAudio;
  let files = {};
  globalThis.mushraAudio = (item, given) => (item === "headphones" && (files = given), take(item, given));
  globalThis.atob = (text) => {
    const n = Object.keys(files).find((name) => files[name] === text);
    if (n) globalThis.soundNumber = Number(n[1]);
    return make(text);
  };
}"""


def arrive(context, url, name):
    page = context.new_page()
    page.goto(f"{url}?PROLIFIC_PID={name}&lang=en")
    page.evaluate(LISTEN)
    page.mouse.click(5, 5)  # a browser plays after a person's action only
    page.evaluate(ROBOT, CHECKS["antiphase"].right(0))
    return page


@pytest.mark.slow
@pytest.mark.browser
def test_ten_listeners_at_once_two_of_them_killed_and_nothing_is_lost(chromium, tmp_path):
    manifest, folder = made_test(tmp_path, SETTINGS, items=4, seconds=1.0, per_listener=3, ratings=7)
    with serving(folder) as server:
        url = f"http://127.0.0.1:{server.server_port}/"
        contexts = [chromium.new_context() for _ in range(10)]
        pages = [arrive(context, url, f"p{n}") for n, context in enumerate(contexts)]
        for n in (0, 1):
            pages[n].get_by_text(re.compile("Trial [23] of 3")).first.wait_for(timeout=120000)  # the other went on
            pages[n].wait_for_function("() => [...seen].includes('How close to the reference is each version?')")
        state = contexts[1].storage_state()
        for n in (0, 1):
            contexts[n].close()
        # One comes back with another browser, known by the platform's id only; one with what the browser kept.
        contexts[0], contexts[1] = chromium.new_context(), chromium.new_context(storage_state=state)
        for n in (0, 1):
            pages[n] = arrive(contexts[n], url, f"p{n}")
        for page in pages:
            page.get_by_text("C0FFEE").wait_for(timeout=180000)
        seen = pages[5].evaluate("[...seen]")
        for context in contexts:
            context.close()
        sessions = list(server.test.store.sessions.values())
    assert len(sessions) == 10, "who comes back is nobody new"
    assert {each.about["participant"]["PROLIFIC_PID"] for each in sessions} == {f"p{n}" for n in range(10)}
    for each in sessions:
        assert set(each.trials) == set(manifest.forms[each.form])
        assert each.about["answers"]["age"] == 33
        for trial in each.trials.values():
            assert sorted(trial["scores"].values()) == [40, 60, 80, 100]
            assert min(trial["plays"][name] for name in trial["scores"]) >= 1
            assert trial["ms"] > 1500, "four versions were heard for half a second each"
    assert {"Do you agree to take part?", "A few questions", "Headphone check", "Time for a break", "Thank you"} <= set(
        seen
    )


@pytest.mark.slow
@pytest.mark.browser
def test_the_pages_of_a_crowd_are_accessible_and_in_the_listeners_language(page, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    _, folder = made_test(tmp_path, SETTINGS)

    def check():
        found = axe.Axe().run(page).response["violations"]
        assert not found, [(item["id"], [node["html"] for node in item["nodes"]]) for item in found]

    with serving(folder) as server:
        page.goto(f"http://127.0.0.1:{server.server_port}/?PROLIFIC_PID=x&lang=de")
        assert page.evaluate("document.documentElement.lang") == "de"
        check()
        page.get_by_role("button", name="Beginnen").click()
        page.get_by_text("Dürfen wir?").wait_for()
        check()
        assert not server.test.store.sessions, "nothing is stored before consent"
        page.get_by_role("button", name="Ich bin einverstanden").click()
        page.get_by_role("heading", name="Einige Fragen").wait_for()
        check()
        page.get_by_role("button", name="Weiter").click()
        assert "Bitte beantworten Sie: How old are you?" in page.get_by_role("alert").inner_text()
        page.get_by_label("How old are you?").fill("40")
        page.get_by_role("button", name="Weiter").click()
        page.get_by_role("heading", name="Kopfhörerprüfung").wait_for()
        check()
        page.get_by_role("button", name="Beginnen").click()
        page.get_by_role("button", name="Abspielen").wait_for()
        check()
        page.goto(f"http://127.0.0.1:{server.server_port}/privacy")
        check()
