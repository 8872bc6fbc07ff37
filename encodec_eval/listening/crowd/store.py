"""All that is known of a test's listeners, in memory and, before a listener is told so, on the disk."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from encodec_eval.listening.crowd.forms import HandOut
from encodec_eval.listening.crowd.headphones import CHECKS
from encodec_eval.listening.crowd.journal import Journal
from encodec_eval.listening.crowd.posted import Posted
from encodec_eval.listening.crowd.settings import Settings, names_of
from encodec_eval.mushra.manifest import Manifest

FILE_NAME = "answers.jsonl"
MAX_SESSIONS = 10000


@dataclass
class Session:
    """One listener: what they were given and what came from them; times are seconds since 1970."""

    id: str
    form: int
    seed: int
    listener: str = ""
    about: dict[str, Any] = field(default_factory=dict)
    trials: dict[str, dict[str, Any]] = field(default_factory=dict)
    began: float = 0
    seen: float = 0


def passed(about: dict[str, Any], settings: Settings) -> bool | None:
    """Whether a listener passed the headphone check; None as long as they may try."""
    check = settings["headphones"]
    if check is None:
        return None
    right = CHECKS[check["check"]].right(check["seed"])
    attempts = about.get("headphones", [])
    counts = [sum(a == b for a, b in zip(attempt, right, strict=True)) for attempt in attempts]
    if any(count >= check["pass"] for count in counts):
        return True
    return False if len(counts) >= check["attempts"] else None


def replay(records: Iterable[dict[str, Any]]) -> dict[str, Session]:
    """The sessions that the records of a journal tell of, in the order they began."""
    sessions: dict[str, Session] = {}
    for record in records:
        _take(sessions, record)
    return sessions


def _take(sessions: dict[str, Session], record: dict[str, Any]) -> None:
    name = record["session"]
    session = sessions.setdefault(name, Session(name, record["form"], record["seed"], began=record["time"]))
    session.seen = record["time"]
    session.form = record["form"]
    session.listener = record.get("listener") or session.listener
    session.about |= record.get("about", {})
    if "item" in record:
        session.trials[record["item"]] = {"time": record["time"]} | {
            key: record[key] for key in ("scores", "ms", "plays")
        }


class Store:
    """The record of a test; `clock` gives seconds. Safe for many threads."""

    def __init__(
        self, manifest: Manifest, settings: Settings, folder: Path, clock: Callable[[], float] = time.time
    ) -> None:
        self.manifest, self.settings, self.clock = manifest, settings, clock
        self.journal = Journal(folder / FILE_NAME)
        self.sessions = replay(self.journal.records())
        self._hand_out = HandOut(manifest.forms, 60 * settings["drop_out_minutes"], clock)
        self._names = {self._participant(each.about): each.id for each in self.sessions.values()}
        self._lock = threading.Lock()
        for session in self.sessions.values():
            self._count(session, session.seen)

    def open(self, posted: Posted, asked: int | None) -> Session:
        """Begin a session, or find the one that this participant or page has already. Raises `ValueError` when full."""
        with self._lock:
            known = self.sessions.get(self._names.get(self._participant(posted.about), "") or posted.session)
            if known is not None:
                return known
            if len(self.sessions) >= MAX_SESSIONS:
                raise ValueError(f"{MAX_SESSIONS} sessions are stored already")
            posted.form = self._hand_out.next(posted.session) if asked is None else asked
            record = self._record(posted)
            session = self._apply([record], posted)
        self.journal.append(record)
        return session

    def add(self, posted: Posted) -> Session:
        """Keep what is new in a post. When this returns, the disk has it. Raises `ValueError` for what may not be."""
        with self._lock:
            session = self.sessions.get(posted.session)
            if session is None and len(self.sessions) >= MAX_SESSIONS:
                raise ValueError(f"{MAX_SESSIONS} sessions are stored already")
            if session and session.form != posted.form and session.trials:
                raise ValueError("this session has another form")
            before = session.about if session else {}
            if passed(before, self.settings) is not None:  # judged once: another browser gives no more attempts
                posted.about.pop("headphones", None)
            about = before | posted.about
            if posted.trials and self.excluded(about):
                raise ValueError("the headphone check was not passed")
            old = session.trials if session else {}
            fresh = {
                item: trial
                for item, trial in posted.trials.items()
                if item not in old or {key: old[item][key] for key in trial} != trial
            }
            records = [self._record(posted) | {"item": item, **trial} for item, trial in fresh.items()]
            if not session or about != session.about or (posted.listener and posted.listener != session.listener):
                records.insert(0, self._record(posted))
        # The disk first: what is in memory may be told to a listener as stored.
        if records:
            self.journal.append(*records)
        with self._lock:
            return self._apply(records, posted)

    def excluded(self, about: dict[str, Any]) -> bool:
        """Whether a listener may not go on: the settings ask for headphones, and the check was not passed."""
        check = self.settings["headphones"]
        return check is not None and check["exclude"] and passed(about, self.settings) is not True

    def finished(self, session: Session) -> bool:
        """Whether every item of the form was answered."""
        return set(self.manifest.forms[session.form]) <= set(session.trials)

    def at_it(self) -> dict[int, int]:
        """How many listeners are at each form now."""
        with self._lock:
            return dict(self._hand_out.at_it())

    def next_form(self) -> int:
        """The form that would be given to a listener whom nothing else is known of, and count it as given."""
        with self._lock:
            return self._hand_out.next(f"anonymous {time.monotonic_ns()}")

    def _record(self, posted: Posted) -> dict[str, Any]:
        record: dict[str, Any] = {"time": round(self.clock(), 3), "session": posted.session, "form": posted.form}
        record |= {"seed": posted.seed, "listener": posted.listener}
        return record | ({"about": posted.about} if posted.about else {})

    def _apply(self, records: list[dict[str, Any]], posted: Posted) -> Session:
        before = self.sessions.get(posted.session)
        done = before is not None and self.finished(before)
        for record in records:
            _take(self.sessions, record)
        session = self.sessions[posted.session]
        if name := self._participant(session.about):
            self._names[name] = session.id
        if not done:
            self._count(session, self.clock())
        return session

    def _count(self, session: Session, when: float) -> None:
        if self.finished(session):
            self._hand_out.finished(session.id, session.form)
        elif passed(session.about, self.settings) is False and self.settings["headphones"]["exclude"]:
            self._hand_out.left(session.id)
        else:
            self._hand_out.seen(session.id, session.form, when)

    def _participant(self, about: dict[str, Any]) -> str:
        names = names_of(self.settings)
        return str(about.get("participant", {}).get(names[0], "")) if names else ""

    def close(self) -> None:
        """Let another process have the record."""
        self.journal.close()
