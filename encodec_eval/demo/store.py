"""The sessions of all visitors: their folders, the kept results of examples, and which run of a visitor is current."""

import hashlib
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

from encodec_eval.demo import temporary
from encodec_eval.demo.session import Session
from encodec_eval.demo.settings import EXAMPLE_DIGESTS, KEEP_S

Key = tuple[bytes, str, tuple[float, ...]]

kept: dict[Key, Session] = {}
current: dict[str, str] = {}  # the run of each browser session that may still show something


def sessions_folder() -> Path:
    return temporary.folder() / "sessions"


def examples_folder() -> Path:
    """Served by path, so that Gradio does not delete what is kept."""
    return temporary.folder() / "examples"


def new_session(model: str, name: str = "clip", parent: Path | None = None) -> Session:
    """A session in a folder of its own, under a name that nobody can guess. What is left of old ones is removed."""
    parent = parent or sessions_folder()
    parent.mkdir(exist_ok=True, parents=True)
    for old in sessions_folder().glob("*"):
        with suppress(FileNotFoundError):  # another thread was faster
            if old.stat().st_mtime < time.time() - KEEP_S:
                shutil.rmtree(old, ignore_errors=True)
    folder = parent / secrets.token_urlsafe(24)
    folder.mkdir(mode=0o700)
    return Session(folder, model, name)


def forget(session: Session | None) -> None:
    """Remove a session's files, unless it is kept."""
    if session is not None and session.folder not in {each.folder for each in kept.values()}:
        shutil.rmtree(session.folder, ignore_errors=True)


def example_key(path: Path, model: str, opus_kbps: list[float]) -> Key | None:
    """What the result for an example depends on; None if the clip is not one."""
    if not path.is_file():
        return None
    digest = hashlib.sha256(path.read_bytes()).digest()
    return (digest, model, tuple(sorted(opus_kbps))) if digest in EXAMPLE_DIGESTS else None


def begin_run(visitor: str) -> str:
    """The name of a new run, which makes every earlier one of this visitor stop."""
    current[visitor] = secrets.token_hex(8)
    return current[visitor]


def cancel_runs(visitor: str) -> None:
    """Make the run of this visitor stop, if there is one."""
    current.pop(visitor, None)
