"""Answers as files: webMUSHRA's columns, one file a session, and one tidy table of everything, a row a score."""

import importlib.util
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

import pandas as pd

from encodec_eval.listening.crowd.journal import read_journal
from encodec_eval.listening.crowd.settings import Settings, in_language, load_settings, names_of
from encodec_eval.listening.crowd.store import FILE_NAME, Session, passed, replay
from encodec_eval.listening.methods import columns
from encodec_eval.mushra.analysis.ratings import PLAYS, write_csv
from encodec_eval.mushra.manifest import Manifest, load_manifest
from encodec_eval.types import EvalError

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run a text that begins with one of these


def read_sessions(folder: Path) -> dict[str, Session]:
    """Every session in the record of the test in `folder`, by id."""
    return replay(read_journal(folder / FILE_NAME))


def page_rows(session: Session, manifest: Manifest, settings: Settings) -> list[dict[str, object]]:
    """A session's answers as rows of webMUSHRA's columns, as the page writes them."""
    names = names_of(settings)
    listener = session.listener or (session.about.get("participant", {}).get(names[0], "") if names else "")
    start = {"session_test_id": manifest.test_id, "listener": listener, "form": session.form + 1}
    start |= {"seed": session.seed, "session_uuid": session.id}
    return [
        {**start, "trial_id": item, "rating_stimulus": name, "rating_score": score, "rating_time": trial["ms"]}
        | ({PLAYS: sum(trial["plays"].values())} if PLAYS in columns(manifest) else {})
        | {"rating_comment": ""}
        for item, trial in session.trials.items()
        for name, score in trial["scores"].items()
    ]


def write_session(path: Path, session: Session, manifest: Manifest, settings: Settings) -> None:
    """Write a session's CSV in webMUSHRA's columns."""
    write_csv(path, page_rows(session, manifest, settings), columns(manifest))


def tidy(sessions: Iterable[Session], manifest: Manifest, settings: Settings) -> pd.DataFrame:
    """One row a score, in the order they came, with everything known of the trial and its listener.

    Questions are columns `question_<id>`, URL parameters `parameter_<name>`; `headphones` is True, False or missing.
    """
    names = manifest.names()
    rows = []
    for session in sessions:
        listener = {
            "test": manifest.test_id,
            "method": manifest.method,
            "session": session.id,
            "listener": session.listener,
            "form": session.form + 1,
            "finished": set(manifest.forms[session.form]) <= set(session.trials),
            "language": session.about.get("language", ""),
            "headphones": passed(session.about, settings),
            "volume_db": session.about.get("volume_db"),
        }
        listener |= {f"parameter_{name}": session.about.get("participant", {}).get(name) for name in names_of(settings)}
        listener |= _answers(session, settings)
        for position, (item, trial) in enumerate(session.trials.items(), start=1):
            when = datetime.fromtimestamp(trial["time"], timezone.utc).isoformat(timespec="seconds")
            heard = {"position": position, "item": item, "time_s": trial["ms"] / 1000, "answered": when}
            for name, score in trial["scores"].items():
                what = {"stimulus": name, "condition": names[name][1] if name in names else name}
                rows.append({**listener, **heard, **what, "plays": trial["plays"].get(name), "score": score})
    table = pd.DataFrame(rows)
    return table.astype({"plays": "Int64", "headphones": "boolean"}) if len(table) else table


def _answers(session: Session, settings: Settings) -> dict[str, object]:
    given = session.about.get("answers", {})
    out: dict[str, object] = {}
    for question in settings["questionnaire"]:
        value = given.get(question["id"])
        if question["kind"] == "choice" and value is not None:
            value = in_language(question["choices"][value], settings["languages"][0], settings)
        out[f"question_{question['id']}"] = (
            "'" + value if isinstance(value, str) and value.startswith(FORMULA) else value
        )
    return out


def export(folder: Path, out: Path) -> int:
    """Write the tidy table of a test to `out`, `.csv` or `.parquet`. Returns the number of rows.

    Raises `EvalError` for another ending, where nothing was answered, or where Parquet is asked for without pyarrow.
    """
    if out.suffix not in (".csv", ".parquet"):
        raise EvalError(f"--out is {out}; expected a name that ends in .csv or .parquet")
    if out.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise EvalError("Parquet needs pyarrow (pip install pyarrow); expected that, or a name that ends in .csv")
    table = tidy(read_sessions(folder).values(), load_manifest(folder), load_settings(folder))
    if not len(table):
        raise EvalError(f"{folder / FILE_NAME} has no answers yet")
    if out.suffix == ".csv":
        table.to_csv(out, index=False)
    else:
        table.to_parquet(out, index=False)
    return len(table)
