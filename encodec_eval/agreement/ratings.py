"""Ratings of listeners from wherever they come, as means by clip and by condition."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlparse

import numpy as np
import pandas as pd
import scipy.stats

from encodec_eval.files import safe_name
from encodec_eval.mushra.analysis.ratings import SIMULATED, read_ratings
from encodec_eval.mushra.analysis.report import INVENTED
from encodec_eval.mushra.manifest import FILE_NAME, LOW_ANCHOR, MID_ANCHOR, REFERENCE, Manifest, load_manifest
from encodec_eval.types import EvalError

NAMES = {LOW_ANCHOR: "lowpass@3.5k", MID_ANCHOR: "lowpass@7k", REFERENCE: "identity"}  # of a test and of a run
MOS = ("MOS", "DMOS", "CMOS", "MOS_OVRL")  # what the P.808 toolkit calls the mean
EXPECTED = (
    "expected the folder that `mushra analyze` wrote, CSV files of webMUSHRA, votes_per_clip.csv of the P.808 toolkit, "
    "or a table with the columns clip, condition, and listener and score or mean and ci95"
)


@dataclass(frozen=True)
class Ratings:
    """Means and halves of their 95 % intervals: `clip condition mean ci95` and `condition mean ci95`.

    `simulated`: no human gave them.
    """

    by_clip: pd.DataFrame
    by_condition: pd.DataFrame
    simulated: bool = False


def read(path: Path, manifest: Path | None, clips: Sequence[str], points: Sequence[str]) -> Ratings:
    """The ratings in a file or folder, with the names of the run's clips and points.

    Raises `EvalError` for what is no ratings, or of which nothing is in the run.
    """
    given = _read(path, manifest, clips, points)
    known = {name: found for name in given.by_clip["clip"].unique() if (found := match(str(name), clips))}
    by_clip = given.by_clip.assign(
        clip=given.by_clip["clip"].map(known), condition=given.by_clip["condition"].replace(NAMES)
    )
    by_condition = given.by_condition.assign(condition=given.by_condition["condition"].replace(NAMES))
    by_clip = by_clip[by_clip["clip"].notna() & by_clip["condition"].isin(points)]
    by_condition = by_condition[by_condition["condition"].isin(points)]
    if by_clip.empty:
        raise EvalError(f"no rating in {path} is of a clip and point of the run; its points are {', '.join(points)}")
    return Ratings(by_clip.reset_index(drop=True), by_condition.reset_index(drop=True), given.simulated)


def match(name: str, clips: Sequence[str]) -> str | None:
    """The clip of that id, or the only one whose id ends in it; None if there is no such one."""
    if name in clips:
        return name
    found = [clip for clip in clips if clip.endswith(f"/{name}")]
    return found[0] if len(found) == 1 else None


def _read(path: Path, manifest: Path | None, clips: Sequence[str], points: Sequence[str]) -> Ratings:
    if path.is_dir() and (path / "by_item.csv").is_file():
        return _analysed(path, manifest)
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise EvalError(f"{path} holds no ratings; {EXPECTED}")
    try:
        table = pd.read_csv(files[0])
    except (ValueError, pd.errors.ParserError) as error:
        raise EvalError(f"{files[0]} is no table: {error}; {EXPECTED}") from error
    if "rating_stimulus" in table:
        found = _manifest(path, manifest)
        rows = read_ratings(files, found)
        named = {item.id: item.clip for item in found.items} if found else {}
        return of_votes(rows.assign(clip=rows["item"].replace(named)))
    if "file_url" in table:
        return _p808(table, files[0], clips, points)
    if {"clip", "condition", "listener", "score"} <= set(table):
        return of_votes(table)
    if {"clip", "condition", "mean", "ci95"} <= set(table):
        return of_means(table)
    raise EvalError(f"{files[0]} has the columns {', '.join(map(str, table))}; {EXPECTED}")


def of_votes(votes: pd.DataFrame) -> Ratings:
    """From rows `listener clip condition score`. The interval of a condition is over its listeners' means."""
    keys = ["clip", "condition"]
    by_clip = means_of(votes, keys, "score")
    listeners = votes.groupby(["condition", "listener"], sort=False)["score"].mean().reset_index()
    by_condition = means_of(listeners, ["condition"], "score")
    simulated = bool(votes["listener"].astype(str).str.startswith(SIMULATED).any())
    return Ratings(by_clip, by_condition, simulated)


def of_means(means: pd.DataFrame) -> Ratings:
    """From rows `clip condition mean ci95`. The interval of a condition is over its clips: listeners are not known."""
    return Ratings(means[["clip", "condition", "mean", "ci95"]], means_of(means, ["condition"], "mean"))


def means_of(rows: pd.DataFrame, keys: list[str], column: str) -> pd.DataFrame:
    """Mean and half interval of a column by `keys`, in the order of the rows: `*keys mean ci95`."""
    grouped = rows.groupby(keys, sort=False)[column]
    return pd.DataFrame({"mean": grouped.mean(), "ci95": grouped.apply(half_interval)}).reset_index()


def half_interval(values: pd.Series) -> float:
    """Half of the 95 % t interval of a mean; NaN for one value."""
    n = len(values)
    return float(scipy.stats.t.ppf(0.975, n - 1) * values.std() / np.sqrt(n)) if n > 1 else np.nan


def _analysed(folder: Path, manifest: Path | None) -> Ratings:
    found = _manifest(folder, manifest)
    if found is None:
        raise EvalError(f"{folder} names items, not clips: give the test's {FILE_NAME} with --manifest")
    items = pd.read_csv(folder / "by_item.csv")
    by_clip = items.assign(clip=items["item"].map({item.id: item.clip for item in found.items}))
    summary = pd.read_csv(folder / "summary.csv")
    report = folder / "report.md"
    simulated = report.is_file() and INVENTED in report.read_text(encoding="utf-8")
    return Ratings(by_clip[["clip", "condition", "mean", "ci95"]], summary[["condition", "mean", "ci95"]], simulated)


def _manifest(path: Path, given: Path | None) -> Manifest | None:
    if given:
        return load_manifest(given)
    near = [folder for folder in (path, *path.resolve().parents[:2]) if (folder / FILE_NAME).is_file()]
    return load_manifest(near[0]) if near else None


def _p808(table: pd.DataFrame, path: Path, clips: Sequence[str], points: Sequence[str]) -> Ratings:
    """Of the P.808 toolkit's votes by file. A file belongs to the point that a folder or the file is named after, and
    to the clip whose name is in the file's."""
    (mean, *_) = [name for name in MOS if name in table] or [""]
    interval = next((str(name) for name in table if str(name).startswith("95%CI")), "")
    if not mean or not interval:
        raise EvalError(f"{path} lacks {' or '.join(MOS)}, or 95%CI; {EXPECTED}")
    places = [_place(str(url), clips, points) for url in table["file_url"]]
    rows = pd.DataFrame(places, columns=["clip", "condition"]).assign(
        mean=table[mean].astype(float), ci95=table[interval].astype(float)
    )
    return of_means(rows.dropna(subset=["clip", "condition"]))


def _place(url: str, clips: Sequence[str], points: Sequence[str]) -> tuple[str | None, str | None]:
    path = PurePosixPath(unquote(urlparse(url).path))
    names = {safe_name(point): point for point in points}
    within = sorted((name for name in names if name in str(path)), key=len)
    heard = sorted((clip for clip in clips if safe_name(PurePosixPath(clip).name) in path.stem), key=len)
    return heard[-1] if heard else None, names[within[-1]] if within else None
