"""`mushra serve`: the page of a test over HTTP, and results on disk, one file a session."""

import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from codec.files import replacing
from encodec_eval.mushra.analysis.ratings import PAGE_COLUMNS, write_csv
from encodec_eval.mushra.manifest import Manifest, load_manifest
from encodec_eval.mushra.page import PAGE
from encodec_eval.types import EvalError

RESULTS = "results"
MAX_BODY = 1 << 18
MAX_SESSIONS = 10000
TIMEOUT_S = 30
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:"
)


class Served:
    """A test being served: its files by URL, its forms, and where results go."""

    def __init__(self, folder: Path) -> None:
        self.manifest: Manifest = load_manifest(folder)
        self.results = folder / RESULTS
        self.results.mkdir(exist_ok=True)
        page = folder / PAGE
        self.files = {"/": page / "index.html"}
        self.files |= {f"/audio/{item.id}.js": page / "audio" / f"{item.id}.js" for item in self.manifest.items}
        missing = [str(path) for path in self.files.values() if not path.is_file()]
        if missing:
            raise EvalError(f"{folder} is incomplete: {missing[0]} is missing")
        self._lock = threading.Lock()
        self._given = Counter(range(len(self.manifest.forms)))

    def next_form(self) -> int:
        """The form that was handed out least often."""
        with self._lock:
            form = min(self._given, key=lambda each: (self._given[each], each))
            self._given[form] += 1
            return form

    def store(self, body: bytes) -> None:
        """Check a posted session and write it whole. Raises `ValueError` with the reason if anything is wrong."""
        rows = session_rows(json.loads(body), self.manifest)
        path = self.results / f"{rows[0]['session_uuid']}.csv" if rows else None
        if path is None:
            raise ValueError("no finished trial")
        with self._lock:
            if not path.exists() and sum(1 for _ in self.results.glob("*.csv")) >= MAX_SESSIONS:
                raise ValueError(f"{MAX_SESSIONS} sessions are stored already")
            if path.exists() and path.read_text(encoding="utf-8").count("\n") > len(rows) + 1:
                return  # an older post that arrives late
            _write_whole(path, rows)


def session_rows(posted: Any, manifest: Manifest) -> list[dict[str, object]]:
    """CSV rows of what a page posts. Raises `ValueError` unless every part has the type, range and names it must."""
    _require(isinstance(posted, dict), "the body must be an object")
    _require(set(posted) == {"test", "session", "listener", "form", "seed", "trials"}, "wrong keys")
    _require(posted["test"] == manifest.test_id, "this is another test")
    _require(_matches(r"[0-9a-f]{32}", posted["session"]), "wrong session")
    _require(_matches(r"[\w .-]{0,40}", posted["listener"]), "wrong listener")
    form = _whole(posted["form"], 0, len(manifest.forms) - 1)
    seed = _whole(posted["seed"], 0, 2**32 - 1)
    _require(isinstance(posted["trials"], list) and len(posted["trials"]) <= len(manifest.forms[form]), "wrong trials")
    items = {item.id: {stimulus.id for stimulus in item.stimuli} for item in manifest.items}
    rows: list[dict[str, object]] = []
    for trial in posted["trials"]:
        _require(isinstance(trial, dict) and set(trial) == {"item", "scores", "ms"}, "wrong trial")
        _require(trial["item"] in manifest.forms[form] if isinstance(trial["item"], str) else False, "wrong item")
        scores, spent = trial["scores"], _whole(trial["ms"], 0, 10**9)
        _require(isinstance(scores, Mapping) and set(scores) == items[trial["item"]], "wrong stimuli")
        session = [manifest.test_id, posted["listener"], form + 1, seed, posted["session"], trial["item"]]
        rows += [
            dict(zip(PAGE_COLUMNS, [*session, stimulus, _whole(score, 0, 100), spent, ""], strict=True))
            for stimulus, score in scores.items()
        ]
    heard = [trial["item"] for trial in posted["trials"]]
    _require(len(set(heard)) == len(heard), "an item twice")
    return rows


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise ValueError(reason)


def _matches(pattern: str, value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _whole(value: object, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"a number must be whole and from {low} to {high}")
    return value


def _write_whole(path: Path, rows: list[dict[str, object]]) -> None:
    with replacing(path) as part:
        write_csv(part, rows, PAGE_COLUMNS)


class Handler(BaseHTTPRequestHandler):
    """Answers `/`, the audio scripts, `/form`, and posts to `/results`; everything else does not exist."""

    server: "Server"
    timeout = TIMEOUT_S
    server_version, sys_version = "mushra", ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/form":
            self._answer(HTTPStatus.OK, "application/json", json.dumps({"form": self.server.test.next_form()}).encode())
        elif file := self.server.test.files.get(path):
            kind = "text/html; charset=utf-8" if path == "/" else "text/javascript"
            self._answer(HTTPStatus.OK, kind, file.read_bytes())
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"not found\n")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path != "/results":
            return self._refuse(HTTPStatus.NOT_FOUND, "not found")
        if not length.isdecimal():
            return self._refuse(HTTPStatus.LENGTH_REQUIRED, "expected a Content-Length")
        if int(length) > MAX_BODY:
            return self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MAX_BODY} bytes are taken")
        try:
            self.server.test.store(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            return self._refuse(HTTPStatus.BAD_REQUEST, f"refused: {error}")
        return self._answer(HTTPStatus.OK, "application/json", b"{}")

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True
        self._answer(status, "text/plain; charset=utf-8", f"{reason}\n".encode())

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: addresses of listeners are nobody's business."""


class Server(ThreadingHTTPServer):
    """A thread a connection; `test` is shared by all."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], folder: Path) -> None:
        self.test = Served(folder)
        super().__init__(address, Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A listener who goes away in the middle of an answer is no error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)
