"""The server of a crowd's test: nothing is lost, nothing else is let in, progress and exports are right."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest

from encodec_eval.__main__ import main
from encodec_eval.listening.crowd.headphones import CHECKS
from encodec_eval.listening.crowd.journal import Journal
from encodec_eval.listening.crowd.limits import RateLimit, client_of
from encodec_eval.mushra.server import Holding, Server
from encodec_eval.types import EvalError
from tests.encodec_eval.listening.crowd.fakes import answer_to, made_test

SETTINGS = {
    "languages": ["en", "de"],
    "consent": {"en": "May we?", "de": "Dürfen wir?"},
    "contact": "lab@example.org",
    "participant": {"parameters": ["PROLIFIC_PID", "STUDY_ID"]},
    "headphones": {"check": "antiphase", "attempts": 1, "code": "NOPHONES"},
    "completion": {"code": "C0FFEE", "link": "https://example.org/done?cc=C0FFEE"},
    "questionnaire": [
        {"id": "age", "text": "How old?", "kind": "number", "min": 18, "max": 99},
        {"id": "device", "text": "What?", "kind": "choice", "choices": ["in ear", "over ear"]},
        {"id": "note", "text": "Anything?"},
    ],
}
RIGHT = CHECKS["antiphase"].right(0)
WRONG = [(each + 1) % 3 for each in RIGHT]


@pytest.fixture(scope="module")
def crowd_test(tmp_path_factory):
    return made_test(tmp_path_factory.mktemp("crowd"), SETTINGS, per_listener=2, ratings=2)


@contextlib.contextmanager
def serving(folder, **holding):
    with Server(("127.0.0.1", 0), folder, Holding(**({"token": "secret"} | holding))) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def server(crowd_test):
    _, folder = crowd_test
    (folder / "answers.jsonl").unlink(missing_ok=True)
    with serving(folder) as running:
        yield running


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    finally:
        connection.close()


class Listener:
    """Speaks to the server as the page does."""

    def __init__(self, manifest, port, name, n):
        self.manifest, self.port, self.session, self.seed = manifest, port, f"{n:032x}", n
        self.about = {"consent": True, "participant": {"PROLIFIC_PID": name}, "headphones": [RIGHT], "language": "de"}

    def open(self):
        who = {"participant": self.about["participant"]}
        body = {"test": self.manifest.test_id, "session": self.session, "seed": self.seed, **who}
        status, text, _ = ask(self.port, "POST", "/session", body)
        assert status == 200, text
        given = json.loads(text)
        self.session, self.form, self.seed = given["session"], given["form"], given["seed"]
        return given

    def send(self, trials=0, score=50, **about):
        items = self.manifest.forms[self.form][:trials]
        body = {"test": self.manifest.test_id, "session": self.session, "listener": "", "form": self.form}
        body |= {"seed": self.seed, "trials": [answer_to(self.manifest, item, score) for item in items]}
        status, text, _ = ask(self.port, "POST", "/results", body | {"about": self.about | about})
        return status, json.loads(text) if status == 200 else text


def test_only_who_finished_is_told_the_code(crowd_test, server):
    manifest, _ = crowd_test
    listener = Listener(manifest, server.server_port, "ann", 1)
    assert listener.open()["stored"] == []
    assert listener.send(1) == (200, {"stored": 1, "finished": False})
    assert listener.send(2)[1] == {"stored": 2, "finished": True, "completion": SETTINGS["completion"]}
    assert "C0FFEE" not in ask(server.server_port, "GET", "/")[1]


def test_a_participant_who_comes_back_with_another_browser_gets_the_session_again(crowd_test, server):
    manifest, _ = crowd_test
    first = Listener(manifest, server.server_port, "bob", 2)
    first.open()
    first.send(1)
    again = Listener(manifest, server.server_port, "bob", 3)
    given = again.open()
    assert (given["session"], given["form"], given["seed"]) == (first.session, first.form, first.seed)
    assert given["stored"] == manifest.forms[first.form][:1]


def test_who_fails_the_headphone_check_may_not_answer_and_frees_the_form(crowd_test, server):
    manifest, _ = crowd_test
    listener = Listener(manifest, server.server_port, "cat", 4)
    listener.open()
    assert listener.send(0, headphones=[WRONG])[1]["completion"] == {"code": "NOPHONES", "link": ""}
    status, reason = listener.send(1, headphones=[RIGHT])
    assert (status, reason) == (400, "refused: the headphone check was not passed\n"), "judged once"
    assert server.test.store.at_it() == {}
    assert Listener(manifest, server.server_port, "cat", 5).open()["failed"] is True


def test_a_restart_reads_everything_back_and_forgets_half_a_line(crowd_test, server):
    manifest, folder = crowd_test
    listener = Listener(manifest, server.server_port, "dan", 6)
    listener.open()
    listener.send(2, answers={"age": 30, "device": 1, "note": "=1+1"})
    server.test.store.close()
    with (folder / "answers.jsonl").open("a") as file:
        file.write('{"time": 1, "sess')
    with serving(folder) as second:
        again = Listener(manifest, second.server_port, "dan", 7)
        assert again.open()["finished"] is True
        Listener(manifest, second.server_port, "eve", 8).open()
        records = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
        assert records[-1]["about"] == {"participant": {"PROLIFIC_PID": "eve"}}
    out = folder / "tidy.csv"
    assert main(["mushra", "export", str(folder), "--out", str(out)]) == 0
    table = pd.read_csv(out)
    assert len(table) == 8
    assert set(table["condition"]) == set(manifest.conditions)
    row = table.iloc[0]
    assert (row["parameter_PROLIFIC_PID"], row["question_age"], row["question_device"]) == ("dan", 30, "over ear")
    assert row["question_note"] == "'=1+1", "no formula for a spreadsheet"
    assert (row["plays"], row["time_s"], row["headphones"], row["language"]) == (2, 1.5, True, "de")


@pytest.mark.slow
def test_kill_9_loses_nothing_that_was_confirmed(crowd_test):
    manifest, folder = crowd_test
    (folder / "answers.jsonl").unlink(missing_ok=True)
    command = [sys.executable, "-m", "encodec_eval", "mushra", "serve", str(folder), "--port", "0", "--token", "t"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline().split("/")[2].split(":")[1])
        confirmed = []
        for n in range(5):
            listener = Listener(manifest, port, f"p{n}", 100 + n)
            listener.open()
            for trials in (1, 2):
                assert listener.send(trials)[0] == 200
            confirmed.append(listener.session)
        os.kill(process.pid, signal.SIGKILL)
    with serving(folder) as server:
        sessions = server.test.store.sessions
        assert {name: len(sessions[name].trials) for name in confirmed} == dict.fromkeys(confirmed, 2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"about": {}}, "nothing is stored without consent"),
        ({"about": {"consent": True}}, "the address must name PROLIFIC_PID"),
        ({"about": {"consent": True, "participant": {"PROLIFIC_PID": "../x"}}}, "wrong participant"),
        ({"about": {"consent": True, "participant": {"PROLIFIC_PID": "x" * 65}}}, "wrong participant"),
        ({"about": {"consent": True, "participant": {"PROLIFIC_PID": "x"}, "language": "fr"}}, "wrong language"),
        ({"about": {"consent": True, "participant": {"PROLIFIC_PID": "x"}, "headphones": [[0]]}}, "wrong attempt"),
        ({"about": {"consent": True, "participant": {"PROLIFIC_PID": "x"}, "answers": {"age": 7}}}, "from 18 to 99"),
        ({"about": {"consent": True, "participant": {"PROLIFIC_PID": "x"}, "volume_db": 1e999}}, "from -100 to 20"),
        ({"about": {"consent": True, "participant": {"PROLIFIC_PID": "x"}, "address": "1"}}, "wrong parts of about"),
        ({"extra": 1}, "wrong keys"),
    ],
)
def test_what_is_not_of_the_right_form_is_refused_and_leaves_nothing(crowd_test, server, change, reason):
    manifest, folder = crowd_test
    body = {"test": manifest.test_id, "session": "a" * 32, "listener": "", "form": 0, "seed": 1, "trials": []}
    status, text, _ = ask(server.server_port, "POST", "/results", body | change)
    assert status == 400
    assert reason in text
    assert not (folder / "answers.jsonl").exists()


def test_progress_needs_the_token(crowd_test, server):
    manifest, _ = crowd_test
    listener = Listener(manifest, server.server_port, "fay", 9)
    listener.open()
    listener.send(2)
    assert ask(server.server_port, "GET", "/status")[0] == 403
    assert ask(server.server_port, "GET", "/status?token=secre")[0] == 403
    status, page, headers = ask(server.server_port, "GET", "/status?token=secret")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "fay" not in page
    state = json.loads(ask(server.server_port, "GET", "/status.json", headers={"Authorization": "Bearer secret"})[1])
    assert (state["began"], state["finished"], state["answers"]) == (1, 1, 2)
    assert sum(item["answers"] for item in state["items"]) == 2
    assert state["forms"][listener.form]["finished"] == 1


def test_the_page_on_what_is_stored_is_there_in_every_language(server):
    status, page, headers = ask(server.server_port, "GET", "/privacy")
    assert status == 200
    assert '<section id="en" lang="en">' in page
    assert '<section id="de" lang="de">' in page
    assert "PROLIFIC_PID, STUDY_ID" in page
    assert "lab@example.org" in page
    assert "Set-Cookie" not in headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_too_many_requests_are_told_when_to_come_again(crowd_test):
    with serving(crowd_test[1], per_second=0.5, burst=3, proxy=True) as server:

        def of(address):
            return ask(server.server_port, "GET", "/privacy", headers={"X-Forwarded-For": address})

        assert [of("203.0.113.1")[0] for _ in range(4)] == [200, 200, 200, 429]
        status, text, headers = of("1.2.3.4, 203.0.113.1")
        assert (status, headers["Retry-After"]) == (429, "2"), "what a client sends before the proxy's word counts not"
        assert text == "too many requests: try again in 2 s\n"
        assert of("203.0.113.2")[0] == 200, "another client is another one"


def test_a_client_of_ipv6_is_its_network():
    assert client_of("2001:db8::1") == client_of("2001:db8::ffff")
    assert client_of("2001:db8::1") != client_of("2001:db8:0:1::1")
    assert client_of("::ffff:203.0.113.1") == "203.0.113.1"
    now = [0.0]
    limit = RateLimit(2, 1, clock=lambda: now[0])
    assert [limit.wait_s("x"), limit.wait_s("x")] == [0, 0.5]
    now[0] = 0.5
    assert limit.wait_s("x") == 0


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "answers.jsonl")
    journal.append({"session": "a"})
    write = os.write

    def full(file, data):
        if len(data) < 12:
            raise OSError(28, "No space left on device")
        return write(file, data[:10])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        journal.append({"session": "b"})
    monkeypatch.undo()
    journal.append({"session": "c"})
    assert list(journal.records()) == [{"session": "a"}, {"session": "c"}]
    with pytest.raises(EvalError, match="held by another server"):
        Journal(tmp_path / "answers.jsonl")


class Prefixed(BaseHTTPRequestHandler):
    """A proxy that gives `/lab/test/...` to the server as `/...`, and knows nothing else."""

    def do_GET(self):
        self.forward()

    def do_POST(self):
        self.forward()

    def forward(self):
        if not self.path.startswith("/lab/test"):
            return self.send_error(404)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=20)
        path = self.path.removeprefix("/lab/test") or "/"
        connection.request(self.command, path, body or None, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return connection.close()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def proxy_of(port):
    with ThreadingHTTPServer(("127.0.0.1", 0), Prefixed) as proxy:
        proxy.behind = port
        threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
        yield proxy.server_port
        proxy.shutdown()


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("end", ["", "/"])
def test_behind_a_prefix_the_page_finds_its_audio_and_its_server(page, tmp_path, end):
    _, folder = made_test(tmp_path, {"training": 0})
    with serving(folder) as server, proxy_of(server.server_port) as port:
        page.goto(f"http://127.0.0.1:{port}/lab/test{end}")
        page.get_by_role("button", name="Begin").click()
        page.get_by_role("heading", name="Set the volume").wait_for()
        page.wait_for_function("() => document.querySelector('sync-player').probe().ready")
        assert len(server.test.store.sessions) == 1
