"""`mushra serve`: the page of a test over HTTP, and answers on disk as they come.

Beside a proxy that takes the prefix off and ends TLS, nothing is needed: all addresses of the page are relative.
"""

import hmac
import json
import logging
import secrets
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from codec.files import replacing
from encodec_eval.listening.crowd import posted
from encodec_eval.listening.crowd.export import write_session
from encodec_eval.listening.crowd.limits import RateLimit, client_of
from encodec_eval.listening.crowd.settings import load_settings
from encodec_eval.listening.crowd.status import progress, status_page
from encodec_eval.listening.crowd.store import Session, Store, passed
from encodec_eval.mushra.manifest import Manifest, load_manifest
from encodec_eval.mushra.page import PAGE, PRIVACY
from encodec_eval.types import EvalError

logger = logging.getLogger(__name__)

RESULTS = "results"
MAX_BODY = 1 << 18
MAX_CONNECTIONS = 1000
TIMEOUT_S = 30
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'self'; form-action 'none'"
)
JSON, HTML, TEXT = "application/json", "text/html; charset=utf-8", "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Holding:
    """How a test is held. `token` opens `/status` (one is drawn if none is given); one client may make `per_second`
    requests for long and `burst` at once, 0: no limit; `proxy`: a proxy of ours tells clients apart for us."""

    token: str | None = None
    per_second: float = 50
    burst: int = 1000
    proxy: bool = False


class Served:
    """A test being served: its files by URL, its record, and where results go."""

    def __init__(self, folder: Path) -> None:
        self.manifest: Manifest = load_manifest(folder)
        self.settings = load_settings(folder)
        self.results = folder / RESULTS
        self.results.mkdir(exist_ok=True)
        page = folder / PAGE
        self.files = {"/": page / "index.html"}
        self.files |= {f"/audio/{item.id}.js": page / "audio" / f"{item.id}.js" for item in self.manifest.items}
        if self.settings["headphones"]:
            self.files["/audio/headphones.js"] = page / "audio" / "headphones.js"
        missing = [str(path) for path in self.files.values() if not path.is_file()]
        if missing:
            raise EvalError(f"{folder} is incomplete: {missing[0]} is missing")
        if (page / PRIVACY).is_file():  # tests made by earlier versions have none
            self.files["/privacy"] = page / PRIVACY
        self.store = Store(self.manifest, self.settings, folder)
        self._lock = threading.Lock()

    def open(self, body: bytes) -> dict[str, object]:
        """Begin a session, or find this participant's. Raises `ValueError` with the reason if it may not be."""
        wanted, form = posted.opening(json.loads(body), self.manifest, self.settings)
        session = self.store.open(wanted, form)
        answer = {"session": session.id, "form": session.form, "seed": session.seed, "stored": list(session.trials)}
        return answer | self._told(session)

    def add(self, body: bytes) -> dict[str, object]:
        """Check and keep what a page posts. Raises `ValueError` with the reason if anything is wrong."""
        session = self.store.add(posted.results(json.loads(body), self.manifest, self.settings))
        if session.trials:
            with self._lock, replacing(self.results / f"{session.id}.csv") as part:
                write_session(part, session, self.manifest, self.settings)
        return {"stored": len(session.trials)} | self._told(session)

    def _told(self, session: Session) -> dict[str, object]:
        """What only who finished, or failed the headphone check, may know."""
        check = self.settings["headphones"]
        if self.store.finished(session):
            return {"finished": True, "completion": self.settings["completion"]}
        if check and check["exclude"] and passed(session.about, self.settings) is False:
            return {"finished": False, "failed": True, "completion": {"code": check["code"], "link": check["link"]}}
        return {"finished": False}


class Handler(BaseHTTPRequestHandler):
    """Answers the page, its audio, `/privacy`, `/form`, `/status`, and posts to `/session` and `/results`; no more."""

    server: "Server"
    timeout = TIMEOUT_S
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version, sys_version = "mushra", ""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if not self._allowed():
            return
        if url.path == "/form":
            self._json({"form": self.server.test.store.next_form()})
        elif url.path in ("/status", "/status.json"):
            self._status(url.path, parse_qs(url.query))
        elif file := self.server.test.files.get(url.path):
            self._file(file, "text/javascript" if file.suffix == ".js" else HTML)
        else:
            self._answer(HTTPStatus.NOT_FOUND, TEXT, b"not found\n")

    def do_POST(self) -> None:
        takers: dict[str, Callable[[bytes], dict[str, object]]] = {
            "/session": self.server.test.open,
            "/results": self.server.test.add,
        }
        length = self.headers.get("Content-Length", "")
        if self.path not in takers:
            return self._refuse(HTTPStatus.NOT_FOUND, "not found")
        if not self._allowed():
            return None
        if not (length.isascii() and length.isdecimal() and len(length) < 20):
            return self._refuse(HTTPStatus.LENGTH_REQUIRED, "expected a Content-Length")
        if int(length) > MAX_BODY:
            return self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MAX_BODY} bytes are taken")
        try:
            return self._json(takers[self.path](self.rfile.read(int(length))))
        except (ValueError, RecursionError) as error:
            return self._refuse(HTTPStatus.BAD_REQUEST, f"refused: {error}")
        except OSError as error:
            logger.error("an answer could not be stored: %s", error)
            return self._refuse(HTTPStatus.INSUFFICIENT_STORAGE, "the answer could not be stored; try again later")

    def _allowed(self) -> bool:
        """Whether this client may ask now; answers 429 if not."""
        address = self.client_address[0]
        if self.server.holding.proxy:  # what our proxy appended comes last; a client may have sent what is before
            address = self.headers.get("X-Forwarded-For", address).rpartition(",")[2].strip()
        wait_s = self.server.limit.wait_s(client_of(address))
        if wait_s:
            seconds = int(wait_s) + 1
            reason = f"too many requests: try again in {seconds} s"
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, reason, {"Retry-After": str(seconds)})
        return not wait_s

    def _status(self, path: str, query: dict[str, list[str]]) -> None:
        scheme, _, sent = self.headers.get("Authorization", "").partition(" ")
        token = sent if scheme.lower() == "bearer" else query.get("token", [""])[0]
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            return self._refuse(HTTPStatus.FORBIDDEN, "expected the token: /status?token=..., as the server printed it")
        state = progress(self.server.test.store)
        if path == "/status.json":
            return self._json(state)
        return self._answer(HTTPStatus.OK, HTML, status_page(state).encode())

    def _json(self, value: object) -> None:
        self._answer(HTTPStatus.OK, JSON, json.dumps(value).encode())

    def _refuse(self, status: HTTPStatus, reason: str, headers: dict[str, str] | None = None) -> None:
        self.close_connection = True  # what is left of the body is not read
        self._answer(status, TEXT, f"{reason}\n".encode(), {"Connection": "close", **(headers or {})})

    def _answer(self, status: HTTPStatus, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, kind, len(body), headers)
        self.wfile.write(body)

    def _file(self, path: Path, kind: str) -> None:
        """Send a file without reading it into memory: 200 listeners load ten megabytes a trial."""
        with path.open("rb") as file:
            self._head(HTTPStatus.OK, kind, path.stat().st_size)
            self.wfile.flush()
            self.connection.sendfile(file)

    def _head(self, status: HTTPStatus, kind: str, size: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(size),
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: addresses of listeners are nobody's business."""


class Server(ThreadingHTTPServer):
    """A thread a connection, up to 1000; `test` is shared by all. `token` opens `/status`."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], folder: Path, holding: Holding | None = None) -> None:
        self.holding = holding or Holding()
        self.token = self.holding.token or secrets.token_urlsafe(16)
        self.limit = RateLimit(self.holding.per_second, self.holding.burst)
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self.test = Served(folder)
        try:
            super().__init__(address, Handler)
        except OSError:
            self.test.store.close()
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Refuse a connection at once where all places are taken."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def server_close(self) -> None:
        super().server_close()
        self.test.store.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A listener who goes away in the middle of an answer is no error."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)
