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
SIMULATED = "simulated-"  # how the id of a listener that no human stands behind begins


def read_ratings(paths: Sequence[Path], manifest: Manifest | None = None) -> pd.DataFrame:
    """One row a rating, with columns `listener, item, condition, score, time_s`, sorted.

    Stimulus ids are translated by the manifest; without one, or where webMUSHRA wrote condition names itself, they
    are taken as conditions. The same row in two files counts once.
    Raises `EvalError` for a missing column, a score outside 0 to 100, ids without a manifest or that are not in it, two
    different scores for one rating, or a trial in which not every condition was rated.
    """
    frames = [_read_one(path) for path in paths]
    if not frames:
        raise EvalError("no results given; expected at least one CSV file")
    rows = pd.concat(frames, ignore_index=True)
    if manifest is not None:
        rows = _translate(rows, manifest)
    elif rows["condition"].str.fullmatch(STIMULUS_ID).any():
        tests = ", ".join(sorted(set(rows["test"])))
        raise EvalError(
            f"the results name stimuli by their ids: expected the manifest.json of test {tests}, which tells what they "
            "are; it is in the folder that `mushra` made, name it with --manifest"
        )
    rows = rows.drop_duplicates(["listener", "item", "condition", "score"])
    twice = rows[rows.duplicated(["listener", "item", "condition"])]
    if len(twice):
        first = twice.iloc[0]
        raise EvalError(f"listener {first.listener} rated {first.condition} of item {first['item']} twice, differently")
    _check_trials(rows, manifest)
    rows = rows.drop(columns="test")
    return rows.sort_values(["listener", "item", "condition"], ignore_index=True)


def _read_one(path: Path) -> pd.DataFrame:
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
    wrong = table[~scores.between(0, 100)]
    if len(wrong):
        line = int(wrong.index[0]) + 2
        raise EvalError(f"{path} line {line}: score {wrong.iloc[0]['rating_score']!r}; expected a number from 0 to 100")
    return pd.DataFrame(
        {
            "test": table.get("session_test_id", ""),
            "listener": table["session_uuid"],
            "item": table["trial_id"],
            "condition": table["rating_stimulus"],
            "score": scores.astype(float),
            "time_s": pd.to_numeric(table["rating_time"], errors="coerce") / 1000,
        }
    )


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
