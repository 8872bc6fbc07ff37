"""Many listeners at one listening test at once: `python -m tests.benchmarks.listening_load [--listeners 200]`.

A server process holds a test of ten trials; this process plays the listeners, each with a connection of its own: page,
session, then for each trial its audio script and an answer, with no pause for listening: a load that no listening crowd
makes. Prints requests a second, times of an answer, and whether the record has every answer.
"""

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from encodec_eval.listening.crowd.export import read_sessions
from tests.encodec_eval.listening.crowd.fakes import answer_to, made_test


def listen(manifest, port, n, start):
    """One listener; milliseconds of every answer, and bytes that came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    start.wait()

    def ask(method, path, body=None):
        connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return content

    who = {"test": manifest.test_id, "session": f"{n:032x}", "seed": n}
    received = len(ask("GET", "/"))
    form = json.loads(ask("POST", "/session", who))["form"]
    trials, times = [], []
    for item in manifest.forms[form]:
        received += len(ask("GET", f"/audio/{item}.js"))
        trials.append(answer_to(manifest, item, n % 101))
        began = time.perf_counter()
        ask("POST", "/results", {**who, "listener": "", "form": form, "trials": trials})
        times.append(1000 * (time.perf_counter() - began))
    connection.close()
    return times, received


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listeners", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each stimulus")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        manifest, folder = made_test(Path(temporary), {}, 10, arguments.seconds)
        command = [
            sys.executable,
            "-m",
            "encodec_eval",
            "mushra",
            "serve",
            str(folder),
            "--port",
            "0",
            "--rate-limit",
            "0",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            port = int(server.stdout.readline().split("/")[2].split(":")[1])
            start = threading.Barrier(arguments.listeners + 1)
            with ThreadPoolExecutor(arguments.listeners) as pool:
                waiting = [pool.submit(listen, manifest, port, n, start) for n in range(arguments.listeners)]
                start.wait()
                began = time.perf_counter()
                done = [each.result() for each in waiting]
                seconds = time.perf_counter() - began
            status = Path(f"/proc/{server.pid}/status").read_text() if Path("/proc").is_dir() else ""
            server.kill()
        times = np.concatenate([each for each, _ in done])
        stored = sum(len(session.trials) for session in read_sessions(folder).values())
    megabytes = sum(received for _, received in done) / 1e6
    requests = arguments.listeners * (2 + 2 * len(manifest.items))
    print(f"{arguments.listeners} listeners at once, {requests} requests, {megabytes:.0f} MB in {seconds:.1f} s")
    print(f"{requests / seconds:.0f} requests/s, {len(times) / seconds:.0f} answers/s, {megabytes / seconds:.0f} MB/s")
    median, slow, worst = np.percentile(times, [50, 95, 100])
    print(f"an answer stored: median {median:.0f} ms, 95 % {slow:.0f} ms, longest {worst:.0f} ms")
    print(f"{stored} of {len(times)} answers in the record")
    print(next((line for line in status.splitlines() if line.startswith("VmHWM")), "").strip())


if __name__ == "__main__":
    main()
