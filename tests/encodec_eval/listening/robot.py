"""Scripted listeners in Chromium: `robot.js` with what it must know of a test."""

import contextlib
import threading
from pathlib import Path

from encodec_eval.listening.methods.base import GOLD_BAD
from encodec_eval.mushra.analysis.ratings import SIMULATED
from encodec_eval.mushra.analysis.simulate import default_truth
from encodec_eval.mushra.manifest import REFERENCE
from encodec_eval.mushra.server import Holding, Server

ROBOT = Path(__file__).with_name("robot.js").read_text(encoding="utf-8")
UNTIL_KILLED = 3  # boards: training, the first trial, the second
CODE = "C0FFEE"
NOISE = 8.0  # standard deviation of one impression, of 100
SETTINGS = {
    "participant": {"parameters": ["PROLIFIC_PID"]},
    "completion": {"code": CODE},
    "consent": "May we?",
    "training": 1,
}


@contextlib.contextmanager
def serving(folder):
    """The test in `folder` over HTTP, as one client who may ask as often as all its listeners do."""
    with Server(("127.0.0.1", 0), folder, Holding(token="secret", per_second=0)) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


def knowledge(manifest):
    """Condition and true quality of every stimulus id."""
    truth = default_truth(manifest.conditions) | {REFERENCE: 100.0, GOLD_BAD: 0.0}
    stimuli = [each for item in manifest.items for each in (item.open_reference, *item.stimuli)]
    return {each.id: [each.condition, truth.get(each.condition, 0.0)] for each in stimuli}


def address(server, number, language="en"):
    """Where the listener of this number comes in, under a name that tells that nobody stands behind it."""
    return f"http://127.0.0.1:{server.server_port}/?PROLIFIC_PID={SIMULATED}{number:02d}&lang={language}"


def set_off(page, manifest, number, boards=0, noise=NOISE):
    """Let the robot take over an open page of the test, until so many boards are answered."""
    page.mouse.click(5, 5)  # a browser plays after a person's action only
    page.evaluate(ROBOT, {"known": knowledge(manifest), "seed": number + 1, "noise": noise, "boards": boards})


def arrive(context, server, manifest, number, boards=0, noise=NOISE):
    """A listener comes to the test and begins."""
    page = context.new_page()
    page.goto(address(server, number))
    set_off(page, manifest, number, boards, noise)
    return page


def take_test(chromium, folder, manifest, listeners, killed=(), timeout_ms=240_000, noise=NOISE):
    """Have a test taken by scripted listeners at once; returns their sessions.

    Those in `killed` lose their browser at the second trial, answered and not sent: the first comes back with another
    one, known by the platform's id alone, the others with what the browser kept.
    """
    with serving(folder) as server:
        contexts = [chromium.new_context() for _ in range(listeners)]
        boards = [UNTIL_KILLED if n in killed else 0 for n in range(listeners)]
        pages = [arrive(contexts[n], server, manifest, n, boards[n], noise) for n in range(listeners)]
        for place, n in enumerate(killed):
            pages[n].wait_for_function(f"() => globalThis.robotPages === {UNTIL_KILLED}", timeout=timeout_ms)
            assert "Trial 2 of" in pages[n].locator(".progress").inner_text()
            state = contexts[n].storage_state()
            contexts[n].close()
            contexts[n] = chromium.new_context(**({"storage_state": state} if place else {}))
            pages[n] = arrive(contexts[n], server, manifest, n, noise=noise)
        for page in pages:
            page.get_by_text(CODE).wait_for(timeout=timeout_ms)
        for context in contexts:
            context.close()
        return list(server.test.store.sessions.values())
