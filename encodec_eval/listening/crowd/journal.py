"""An append-only file of JSON lines: what was appended is on the disk when `append` returns."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from encodec_eval.types import EvalError


class Journal:
    """The records of one file, for many threads. A line that a crash cut off is taken away when the file is opened.

    Threads that append at once share one `fsync`. One process may hold a file; the file appears with its first record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise EvalError(f"{path} is held by another server; expected one server for a test") from error
        self._write, self._sync = threading.Lock(), threading.Lock()
        self._file: int | None = None
        self._size = self._synced = 0
        if path.is_file():
            content = path.read_bytes()
            self._size = self._synced = content.rfind(b"\n") + 1
            if self._size < len(content):
                os.truncate(path, self._size)

    def records(self) -> Iterator[dict[str, Any]]:
        """Everything appended so far. Raises `EvalError` for a line that is no record."""
        return read_journal(self.path)

    def append(self, *records: dict[str, Any]) -> None:
        """Write records, all or none, and wait until the disk has them. Raises `OSError` where it cannot."""
        lines = "".join(json.dumps(each, ensure_ascii=False, separators=(",", ":")) + "\n" for each in records).encode()
        with self._write:
            file = self._opened()
            try:
                done = 0
                while done < len(lines):
                    done += os.write(file, lines[done:])
            except OSError:
                os.ftruncate(file, self._size)  # half a line would spoil the next one
                raise
            self._size += len(lines)
            mine = self._size
        with self._sync:
            if self._synced < mine:
                reached = self._size
                os.fsync(file)
                self._synced = reached

    def _opened(self) -> int:
        if self._file is None:
            new = not self.path.exists()
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            if new:
                folder = os.open(self.path.parent, os.O_RDONLY)
                os.fsync(folder)
                os.close(folder)
        return self._file

    def close(self) -> None:
        """Let another process have the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._lock.release()


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """The records in a file that may be missing, without a line that was cut off at its end."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                record = json.loads(line)
            except ValueError as error:
                raise EvalError(f"{path} line {number} is damaged: {error}; expected a JSON object") from error
            yield record
