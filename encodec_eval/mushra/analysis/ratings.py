"""Results of listening tests: CSV files in webMUSHRA's columns <-> one row a rating."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from encodec_eval.mushra.manifest import STIMULUS_ID, Manifest
from encodec_eval.types import EvalError

SESSION_COLUMNS = ["session_test_id", "session_uuid"]
RATING_COLUMNS = ["trial_id", "rating_stimulus", "rating_score", "rating_time", "rating_comment"]
CSV_COLUMNS = [*SESSION_COLUMNS, *RATING_COLUMNS]
PAGE_COLUMNS = ["session_test_id", "listener", "form", "seed", "session_uuid", *RATING_COLUMNS]  # what our page writes
PLAYS = "rating_plays"  # a column more: how often the stimuli of the trial were started, together
SIMULATED = "simulated-"  # how the id, or the name, of a listener that no human stands behind begins


def read_ratings(paths: Sequence[Path], manifest: Manifest | None = None) -> pd.DataFrame:
    """One row a rating, with columns `listener, item, condition, score, time_s`, sorted.

    Stimulus ids are translated by the manifest; without one, or where webMUSHRA wrote condition names itself, they
    are taken as conditions. The same row in two files counts once.
    Raises `EvalError` for a missing column, a score outside 0 to 100, ids without a manifest or that are not in it, two
    different scores for one rating, or a trial in which not every condition was rated.
    """
    rows = read_rows(paths, 0, 100)
    if manifest is not None:
        rows = _translate(rows, manifest)
    elif rows["condition"].str.fullmatch(STIMULUS_ID).any():
        tests = ", ".join(sorted(set(rows["test"])))
        raise EvalError(
            f"the results name stimuli by their ids: expected the manifest.json of test {tests}, which tells what they "
            "are; it is in the folder that `mushra` made, name it with --manifest"
        )
    rows = without_twins(rows)
    _check_trials(rows, manifest)
    rows = rows.drop(columns=["test", "plays"])
    return rows.sort_values(["listener", "item", "condition"], ignore_index=True)


def read_rows(paths: Sequence[Path], low: float, high: float) -> pd.DataFrame:
    """What the files say, with columns `test, listener, item, condition, score, time_s, plays`; conditions are still
    the ids of stimuli. Raises `EvalError` for no file, a missing column, or a score not from `low` to `high`."""
    frames = [_read_one(path, low, high) for path in paths]
    if not frames:
        raise EvalError("no results given; expected at least one CSV file")
    return pd.concat(frames, ignore_index=True)


def without_twins(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that two files have, once. Raises `EvalError` for two different scores of one thing."""
    rows = rows.drop_duplicates(["listener", "item", "condition", "score"])
    twice = rows[rows.duplicated(["listener", "item", "condition"])]
    if len(twice):
        first = twice.iloc[0]
        raise EvalError(f"listener {first.listener} rated {first.condition} of item {first['item']} twice, differently")
    return rows


def _read_one(path: Path, low: float, high: float) -> pd.DataFrame:
    if not path.is_file():
        raise EvalError(f"{path} is not a file; results are CSV files")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, pd.errors.ParserError) as error:
        raise EvalError(f"{path} is not a CSV file of results: {error}") from error
    missing = [name for name in CSV_COLUMNS[1:6] if name not in table]
    if missing:
        raise EvalError(f"{path} lacks the columns {', '.join(missing)}; needed are {', '.join(CSV_COLUMNS)}")
    scores = pd.to_numeric(table["rating_score"], errors="coerce")
    wrong = table[~scores.between(low, high)]
    if len(wrong):
        line, given = int(wrong.index[0]) + 2, wrong.iloc[0]["rating_score"]
        raise EvalError(f"{path} line {line}: score {given!r}; expected a number from {low:g} to {high:g}")
    return pd.DataFrame(
        {
            "test": table.get("session_test_id", ""),
            "listener": _listeners(table),
            "item": table["trial_id"],
            "condition": table["rating_stimulus"],
            "score": scores.astype(float),
            "time_s": pd.to_numeric(table["rating_time"], errors="coerce") / 1000,
            "plays": pd.to_numeric(table[PLAYS], errors="coerce") if PLAYS in table else float("nan"),
        }
    )


def _listeners(table: pd.DataFrame) -> pd.Series:
    """Who gave each score: the session, and before it the name of one that says it is simulated."""
    session = table["session_uuid"]
    if "listener" not in table:
        return session
    named = table["listener"].str.startswith(SIMULATED)
    return session.where(~named, table["listener"] + "-" + session.str[:8])


def _translate(rows: pd.DataFrame, manifest: Manifest) -> pd.DataFrame:
    names = manifest.names()
    known = {(item.id, condition) for item in manifest.items for condition in item.conditions}
    pairs = [names.get(s, (i, s)) for i, s in zip(rows["item"], rows["condition"], strict=True)]
    for pair, item, stimulus in zip(pairs, rows["item"], rows["condition"], strict=True):
        if pair not in known or pair[0] != item:
            tests = ", ".join(sorted(set(rows["test"])))
            raise EvalError(
                f"stimulus {stimulus!r} of trial {item!r} is not in the manifest of test {manifest.test_id}: expected "
                f"that of test {tests}, name it with --manifest"
            )
    return rows.assign(condition=[condition for _, condition in pairs])


def _check_trials(rows: pd.DataFrame, manifest: Manifest | None) -> None:
    wanted = set(manifest.conditions) if manifest is not None else set(rows["condition"])
    for (listener, item), trial in rows.groupby(["listener", "item"]):
        lacking = wanted - set(trial["condition"])
        if lacking:
            raise EvalError(f"listener {listener}, item {item}: no score for {', '.join(sorted(lacking))}")


def write_csv(path: Path, rows: Iterable[dict[str, object]], columns: Sequence[str] = CSV_COLUMNS) -> None:
    """Write result rows, given by the names of `columns`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
