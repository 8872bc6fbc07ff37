"""A listening test taken in headless Chromium: `python -m tests.benchmarks.scripted_listeners TEST [--listeners 10]`.

Scripted listeners take the test over its server at once; two of them lose their browser in the middle and come back.
They cannot hear: they are told which file is what, and answer with noise after the truth of `listening simulate`. Their
names say that they are simulated, so that every report marks them as invented. Needs Debian's chromium.
"""

import argparse
import shutil
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from encodec_eval.listening.crowd.make import add_crowd
from encodec_eval.listening.crowd.settings import checked
from tests.conftest import CHROMIUM_FLAGS
from tests.encodec_eval.listening.robot import NOISE, SETTINGS, take_test


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("test", type=Path, help="folder of a test that nobody has begun, of any method but MUSHRA")
    parser.add_argument("--listeners", type=int, default=10)
    parser.add_argument("--noise", type=float, default=NOISE, help="standard deviation of one impression, of 100")
    arguments = parser.parse_args()
    manifest = add_crowd(arguments.test, checked(SETTINGS, "the script's settings"))
    began = time.monotonic()
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        sessions = take_test(
            chromium, arguments.test, manifest, arguments.listeners, (0, 1), timeout_ms=900_000, noise=arguments.noise
        )
        chromium.close()
    answers = sum(len(each.trials) for each in sessions)
    expected = arguments.listeners * len(manifest.forms[0])
    print(
        f"{manifest.method}: {len(sessions)} scripted listeners, two of them killed and back, {answers} of {expected} "
        f"answers kept in {time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    main()
