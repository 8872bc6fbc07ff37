"""The folder that everything the app writes goes into; removed when the app ends, or when the next one starts."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from filelock import FileLock, Timeout

PREFIX = "encodec-app-"
LOCK = "lock"
_held: list[FileLock] = []


def make_folder() -> Path:
    """A new folder, locked for as long as this process lives; those of processes that were killed are removed."""
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        _remove_if_left(old)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = FileLock(folder / LOCK)
    lock.acquire(timeout=0)
    _held.append(lock)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def folder() -> Path:
    """Gradio's folder for temporary files, which the app makes by `make_folder`."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio")


def end_process() -> NoReturn:
    """Remove what `make_folder` made and end at once. (Python's own end aborts in a thread that still computes.)"""
    for lock in _held:
        shutil.rmtree(Path(lock.lock_file).parent, ignore_errors=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _remove_if_left(folder: Path) -> None:
    if not (folder / LOCK).is_file():  # just being made, or not ours
        return
    try:
        with FileLock(folder / LOCK, timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
    except (Timeout, OSError):
        return
