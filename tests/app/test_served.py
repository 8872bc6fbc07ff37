"""`python app.py` as a user starts it: with a checkpoint folder of their own, through gradio_client and MCP."""

import asyncio
import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import gradio_client
import httpx
import pytest

import codec
from encodec_eval.datasets import BUNDLED
from tests import ROOT
from tests.checkpoints import random_48khz, save_noise

pytestmark = pytest.mark.slow

SPEECH = BUNDLED / "librispeech-mini/test-other/1688/142285/1688-142285-0008.flac"
TINY = "encodec_24khz_tiny"
START_S = 120
MOST_GROWTH_MB = 30


@contextmanager
def started(folder, command=("app.py",), end=signal.SIGTERM, **variables):
    """The URL of the app, whose process group ends with the block by the signal `end`, and its process."""
    environment = {**os.environ, "TMPDIR": str(folder), "GRADIO_SERVER_NAME": "127.0.0.1", **variables}
    log = folder.parent / "app.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + START_S
            while not (url := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, f"no server after {START_S} s: {log.read_text()}"
                time.sleep(0.2)
            yield url[0], process
        finally:
            os.killpg(process.pid, end)
            process.wait(60)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The folder for temporary files that the app of `url` uses."""
    folder = tmp_path_factory.mktemp("served") / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def url(served):
    random_48khz(served.parent / "stereo_random")
    with started(served, ENCODEC_MODELS=str(served.parent / "stereo_random")) as (url, _):
        yield url
    left = list(served.glob("encodec-app-*"))
    assert not left, f"the app left {left} behind"


def test_stereo_goes_through_the_48_khz_model_and_its_files(url, tmp_path):
    client = gradio_client.Client(url, verbose=False, download_files=str(tmp_path))
    assert client.predict(api_name="/models")[-1] == "stereo_random"
    save_noise(tmp_path / "clip.wav", 2)
    clip = gradio_client.handle_file(tmp_path / "clip.wav")
    rows, wavs = client.predict(clip, "stereo_random", api_name="/reconstruct")
    assert [row["nominal_kbps"] for row in rows] == [3, 6, 12, 24]
    for row, wav in zip(rows, wavs, strict=True):
        made = client.predict(clip, "stereo_random", row["nominal_kbps"], False, api_name="/encode")
        decoded = client.predict(gradio_client.handle_file(made), api_name="/decode")
        info = codec.audio.info(decoded)
        assert (info.sample_rate, info.channels, info.frames) == (48000, 2, 55200)
        assert (codec.audio.load(decoded)[0] - codec.audio.load(wav)[0]).abs().max() < 2**-14
        assert row["file_kbps"] == pytest.approx(8 * Path(made).stat().st_size / 1.15 / 1000)


@pytest.mark.browser
def test_stereo_is_heard_in_the_page(page, url, tmp_path):
    save_noise(tmp_path / "clip.wav", 2)
    page.goto(url)
    page.get_by_role("radio", name="stereo_random").check()
    page.get_by_text("48 kHz stereo").wait_for()
    page.wait_for_function("Boolean(document.querySelector('clip-input')?.send)")
    page.locator("clip-input input[type=file]").set_input_files(tmp_path / "clip.wav")
    player = "document.querySelector('#player sync-player')"
    page.wait_for_function(f"{player}?.buffers?.length === 6", timeout=90_000)
    assert page.evaluate(f"{player}.buffers.map((b) => [b.numberOfChannels, b.length])") == [[2, 55200]] * 6
    page.wait_for_function("!document.querySelector('#numbers').innerText.includes('…')", timeout=90_000)


def test_uploads_over_the_limit_are_refused(url):
    reply = httpx.post(f"{url}/gradio_api/upload", files={"files": ("big.wav", bytes(68_000_000))}, timeout=60)
    assert reply.status_code == 413


def test_mcp_clients_list_the_tools_and_use_them(url):
    mcp = pytest.importorskip("mcp", reason="needs the extra [mcp]")
    from mcp.client.streamable_http import streamable_http_client

    async def use():
        async with (
            streamable_http_client(f"{url}/gradio_api/mcp/") as (read, write, _),
            mcp.ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            models = await session.call_tool("models", {})
            clip = "data:audio/flac;base64," + base64.b64encode(SPEECH.read_bytes()).decode()
            arguments = {"clip": clip, "model": TINY, "bandwidth": 6, "language_model": False}
            made = await session.call_tool("encode", arguments)
            wrong = await session.call_tool("encode", arguments | {"bandwidth": "6"})
            numbers = await session.call_tool("reconstruct", {"clip": clip, "model": TINY})
            return tools, models, made, wrong, numbers

    with ThreadPoolExecutor(1) as thread:  # Playwright's own event loop may run in this one
        tools, models, made, wrong, numbers = thread.submit(asyncio.run, use()).result()
    assert set(tools) == {"models", "reconstruct", "encode", "decode"}
    assert "Compress an audio clip" in tools["encode"].description
    assert set(tools["encode"].inputSchema["properties"]) == {"clip", "model", "bandwidth", "language_model"}
    assert not models.isError
    assert TINY in json.loads(models.content[0].text)
    assert wrong.isError
    assert "'6' is not of type 'number'" in wrong.content[0].text
    rows, files = json.loads(numbers.content[0].text)
    assert [row["nominal_kbps"] for row in rows] == [1.5, 3, 6, 12, 24]
    assert all(file.startswith(url) for file in files)
    assert '"path"' not in numbers.content[0].text
    assert httpx.get(files[2]).content[:4] == b"RIFF"
    assert not made.isError, made.content
    audio, sample_rate = codec.decompress(httpx.get(made.content[0].text).content)
    assert audio.shape[-1] / sample_rate == pytest.approx(codec.audio.info(SPEECH).duration_s, abs=1e-3)


def test_a_wrong_checkpoint_folder_ends_the_program_with_one_line(tmp_path):
    run = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env={**os.environ, "ENCODEC_MODELS": str(tmp_path)}, capture_output=True
    )
    assert run.returncode == 2
    assert run.stderr.decode().splitlines() == [f"ENCODEC_MODELS: {tmp_path} has no config.json"]


def join(url, session, language_model=False, bandwidth=6.0, clip=None):
    """A call put into the queue as gradio_client does, without waiting for its end."""
    data = [clip, TINY, bandwidth, language_model]
    info = httpx.get(f"{url}/config", timeout=60).json()
    index = next(each["id"] for each in info["dependencies"] if each["api_name"] == "encode")
    return httpx.post(
        f"{url}/gradio_api/queue/join", json={"data": data, "fn_index": index, "session_hash": session}, timeout=60
    )


def test_one_client_may_not_fill_the_queue(url, tmp_path):
    save_noise(tmp_path / "long.wav", 1, 20)
    with (tmp_path / "long.wav").open("rb") as file:
        path = httpx.post(f"{url}/gradio_api/upload", files={"files": file}, timeout=60).json()[0]
    clip = {"path": path, "meta": {"_type": "gradio.FileData"}}
    codes = [join(url, "greedy", True, 24.0, clip).status_code for _ in range(8)]
    assert codes[:4] == [200] * 4
    assert codes[-2:] == [503] * 2
    assert join(url, "another", True, 6.0, clip).status_code == 200, "another visitor of the address was refused"
    client = gradio_client.Client(url, verbose=False)
    started = time.monotonic()
    assert TINY in client.predict(api_name="/models"), "/models waits in the queue"
    waited = time.monotonic() - started
    made = gradio_client.Client(url, verbose=False, download_files=str(tmp_path)).predict(
        gradio_client.handle_file(tmp_path / "long.wav"), TINY, 1.5, False, api_name="/encode"
    )
    assert Path(made).stat().st_size > 0
    assert waited < time.monotonic() - started


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (["text", TINY, 6, False], "clip is 'text': expected an uploaded file"),
        ([{"path": "/etc/passwd"}, TINY, 6, False], "expected an uploaded file"),
        ([None, TINY, 6, False], "clip is None: expected a file"),
        ([7, TINY, 6, False], "clip is 7: expected an uploaded file"),
    ],
)
def test_wrong_types_are_refused_by_name_over_the_wire(url, data, message):
    event = httpx.post(f"{url}/gradio_api/call/encode", json={"data": data}, timeout=60).json()["event_id"]
    answer = httpx.get(f"{url}/gradio_api/call/encode/{event}", timeout=60).text
    assert message in answer
    assert "Traceback" not in answer


def test_a_call_leaves_no_empty_file(url, served, tmp_path):
    save_noise(tmp_path / "clip.wav", 1)
    client = gradio_client.Client(url, verbose=False, download_files=str(tmp_path))
    made = client.predict(gradio_client.handle_file(tmp_path / "clip.wav"), TINY, 6, False, api_name="/encode")
    client.predict(gradio_client.handle_file(made), api_name="/decode")
    [folder] = served.glob("encodec-app-*")
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    assert files
    assert all(path.stat().st_size for path in files)


# The app as `python app.py` starts it, but what is old goes after seconds.
SHORT_LIVED = """
import runpy
from encodec_eval.demo import settings
settings.KEEP_S, settings.CLEAN_EVERY_S = 25, 5
runpy.run_path("app.py", run_name="__main__")
"""


@pytest.mark.browser
def test_an_example_still_loads_after_everything_old_was_deleted(chromium, tmp_path):
    (tmp_path / "temporary").mkdir()
    with started(tmp_path / "temporary", ("-c", SHORT_LIVED)) as (url, _):
        save_noise(tmp_path / "clip.wav", 1)
        client = gradio_client.Client(url, verbose=False, download_files=str(tmp_path))
        client.predict(gradio_client.handle_file(tmp_path / "clip.wav"), TINY, 6, False, api_name="/encode")
        load_example(chromium, url)
        deadline = time.monotonic() + START_S
        while list((tmp_path / "temporary").rglob("clip*.wav")):
            assert time.monotonic() < deadline, "what a visitor uploaded is still there"
            time.sleep(1)
        load_example(chromium, url)


def load_example(chromium, url):
    """A visit that ends before the app does; Gradio's page reports its own heartbeat as broken off when it is left."""
    page = chromium.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    page.get_by_role("button", name="Guitar").click()
    page.wait_for_function("document.querySelector('#player sync-player')?.buffers?.length === 7", timeout=90_000)
    page.wait_for_function("!document.querySelector('#numbers').innerText.includes('…')", timeout=90_000)
    assert not errors, f"the page reported errors: {errors}"
    page.close()


def test_ctrl_c_ends_the_app_without_a_traceback(tmp_path):
    (tmp_path / "temporary").mkdir()
    save_noise(tmp_path / "clip.wav", 1)
    with started(tmp_path / "temporary", end=signal.SIGINT) as (url, process):
        client = gradio_client.Client(url, verbose=False, download_files=str(tmp_path))
        client.predict(gradio_client.handle_file(tmp_path / "clip.wav"), TINY, api_name="/reconstruct")
        client.submit(gradio_client.handle_file(tmp_path / "clip.wav"), TINY, api_name="/reconstruct")
        time.sleep(1)  # it ends amid a call
    said = (tmp_path / "app.log").read_text()
    assert process.returncode == 0, said
    assert not re.findall("Traceback|Exception|Error|Invalid file descriptor", said), said
    assert not list((tmp_path / "temporary").glob("encodec-app-*"))


# How many event loops are open before and after: an open one can complain when it is collected.
LOOPS = """
import asyncio, gc, app
def count():
    loops = [each for each in gc.get_objects() if issubclass(type(each), asyncio.AbstractEventLoop)]
    return sum(not loop.is_closed() and not loop.is_running() for loop in loops)
app.demo.launch(**app.LAUNCH, prevent_thread_lock=True, quiet=True)
before = count()
app.api.close_event_loops()
print("open:", before, count())
"""


def test_no_event_loop_of_gradio_is_left_to_complain(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path), "GRADIO_SERVER_NAME": "127.0.0.1"}
    run = subprocess.run([sys.executable, "-c", LOOPS], cwd=ROOT, env=environment, capture_output=True, text=True)
    before, after = map(int, re.search(r"open: (\d+) (\d+)", run.stdout).groups())
    assert before > 0, "Gradio closes its loops itself now: close_event_loops can go"
    assert after == 0


GROWTH = """
import os, torch
import app  # sets what bounds the memory
import codec
model = codec.load_model("encodec_24khz_tiny")
generator = torch.Generator().manual_seed(0)
for clip in range(120):
    length = int(torch.randint(12_000, 36_000, (), generator=generator))
    with torch.inference_mode():
        encoded = model.encode(0.1 * torch.randn(1, 1, length, generator=generator), bandwidth=24.0)
        model.decode(encoded.audio_codes, encoded.audio_scales)
    if clip in (59, 119):
        with open("/proc/self/statm") as file:
            print("MB:", int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_memory_does_not_grow_with_the_number_of_clips():
    """Clips of many lengths, as visitors bring them: the kernels that oneDNN keeps for each of them took 71 MB here."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ONEDNN")}
    run = subprocess.run([sys.executable, "-c", GROWTH], cwd=ROOT, env=environment, capture_output=True, text=True)
    before, after = map(float, re.findall(r"MB: (\S+)", run.stdout))
    assert after - before < MOST_GROWTH_MB
