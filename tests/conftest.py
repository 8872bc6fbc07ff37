"""A headless Chromium for the tests marked `browser`, and a folder for Gradio that goes when the tests end."""

import atexit
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator

import pytest

os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="gradio-")  # read when the app is imported
atexit.register(shutil.rmtree, os.environ["GRADIO_TEMP_DIR"], ignore_errors=True)
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and so its children
os.environ.setdefault("OMP_NUM_THREADS", "1")  # one test process a core: threads would only be in each other's way

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=user-gesture-required",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    """The browser: open pages with `chromium.new_page(...)`; prefer the fixture `page`, which checks for errors."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("Debian's chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    """A fresh page with storage of its own; the test fails if the page logs an error or throws one."""
    context = chromium.new_context(viewport={"width": 1000, "height": 800}, accept_downloads=True)
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors, f"the page reported errors: {errors}"
