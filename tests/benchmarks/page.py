"""The static page in headless Chromium: seconds and memory of a 10 s clip, and live with a fake microphone.

    python -m tests.benchmarks.page SITE [--live SECONDS] [--throttle RATE]

SITE is what `python -m encodec_eval page` wrote. Memory is the resident size of the process that runs the page; of its
time on all cores, what a machine that does other things too takes longer for is not part.
"""

import argparse
import contextlib
import functools
import http.server
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import codec
from encodec_eval.datasets import BUNDLED
from tests.conftest import CHROMIUM_FLAGS

SPEECH = BUNDLED / "librispeech-mini/test-other/1688/142285/1688-142285-0008.flac"
MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


class Reading(NamedTuple):
    """Of the page while it is live: seconds since the start, seconds behind, counts, MB."""

    at_s: float
    latency_s: float
    dropouts: int
    skipped_s: float
    heap_mb: float
    resident_mb: float


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def served(site: Path) -> Iterator[str]:
    """The URL of that folder while the block runs."""
    handler = functools.partial(_Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Memory:
    """What a page's process and its JavaScript take."""

    def __init__(self, page: Any) -> None:
        self.page = page.context.new_cdp_session(page)
        self.page.send("HeapProfiler.enable")
        processes = page.context.browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
        self.processes = [each["id"] for each in processes if each["type"] == "renderer"]

    def resident_mb(self, word: str = "VmRSS") -> float:
        """Of the largest renderer; "VmHWM" for the most that it ever had."""
        found = []
        for process in self.processes:
            with contextlib.suppress(OSError):
                match = re.search(rf"{word}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
                found.append(int(match[1]) / 1000 if match else 0.0)
        return max(found)

    def cpu_s(self) -> float:
        """Seconds of all cores that the renderers have computed."""
        ticks = 0
        for process in self.processes:
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def heap_mb(self) -> float:
        """Of JavaScript after its garbage is collected."""
        self.page.send("HeapProfiler.collectGarbage")
        return self.page.send("Runtime.getHeapUsage")["usedSize"] / 1e6


def listen(page: Any, seconds: float, every_s: float) -> Iterator[Reading]:
    """Readings of a page that is live."""
    memory, began = Memory(page), time.monotonic()
    while (at := time.monotonic() - began) < seconds:
        page.wait_for_timeout(1000 * every_s)
        live = page.evaluate("encodecPage.live.measured")
        yield Reading(
            at + every_s, live["latency"], live["dropouts"], live["skipped"], memory.heap_mb(), memory.resident_mb()
        )


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("--live", type=float, metavar="SECONDS")
    parser.add_argument("--throttle", type=float, default=1, metavar="RATE")
    given = parser.parse_args()
    with served(given.site) as url, sync_playwright() as driver:
        flags = [*CHROMIUM_FLAGS, *MICROPHONE]
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        page = browser.new_context(permissions=["microphone"]).new_page()
        page.goto(url)
        page.get_by_text("Ready: open").wait_for(timeout=60_000)
        if given.throttle != 1:
            page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": given.throttle})
        if given.live:
            page.locator("#live").click()
            page.get_by_text("ms behind:").wait_for()
            print("at_s latency_ms dropouts skipped_s heap_mb resident_mb")
            for each in listen(page, given.live, 10):
                print(f"{each.at_s:.0f} {1000 * each.latency_s:.0f}", *(f"{x:g}" for x in each[2:]), flush=True)
        else:
            clip(page)
        browser.close()


def clip(page: Any) -> None:
    rate = page.evaluate("encodecPage.codec.config.rate")
    wav, given = codec.audio.load(SPEECH)
    wav = codec.audio.resample(wav, given, rate)
    wav = wav.repeat(1, 1 + 10 * rate // wav.shape[1])[:, : 10 * rate]
    memory = Memory(page)
    print(f"opened: {memory.resident_mb():.0f} MB resident, {memory.resident_mb('VmHWM'):.0f} at most")
    with tempfile.TemporaryDirectory() as folder:
        codec.audio.save(Path(folder) / "speech.wav", wav, rate)
        for _ in range(3):
            before = memory.cpu_s()
            page.locator("#clip").set_input_files(Path(folder) / "speech.wav")
            page.get_by_text(re.compile("^Decoded")).wait_for(timeout=60_000)
            page.get_by_text("encoded and decoded here in").wait_for(timeout=90_000)
            now, most = memory.resident_mb(), memory.resident_mb("VmHWM")
            seconds = page.evaluate("encodecPage.result.seconds")
            cpu = memory.cpu_s() - before
            took = f"10 s at every bandwidth: {seconds:.2f} s ({cpu:.2f} s of processors)"
            print(f"{took}; {now:.0f} MB resident, {most:.0f} at most")


if __name__ == "__main__":
    main()
