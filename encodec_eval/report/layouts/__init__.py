"""A run in the columns and editions of a published table, with its rows beside ours: every file here names `LAYOUT`."""

import importlib
import pkgutil
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from encodec_eval.report.results import Results, records, summarize
from encodec_eval.report.tables import number
from encodec_eval.types import EvalError


@dataclass(frozen=True)
class Column:
    """A column as it was published: the metric that fills it here, if any does, over all clips or those of a domain.

    `edition` is how it was measured there; `ours` is what differs here.
    """

    title: str
    metric: str | None
    edition: str = ""
    ours: str = ""
    digits: int = 2
    domain: str | None = None


@dataclass(frozen=True)
class Row:
    """A published row: the codec, its rate, and values by the titles of columns."""

    codec: str
    kbps: float
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """A published table. `source` is the publication whose columns these are; `rows_from` and `rows_set` say who
    measured the rows, and on what."""

    name: str
    source: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    rows_from: str
    rows_set: str
    note: str = ""


def names() -> list[str]:
    """The layouts there are."""
    return [module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)]


def get(name: str) -> Layout:
    """The layout of that name. Raises `EvalError` if there is none."""
    if name not in names():
        raise EvalError(f"no layout {name!r}; expected {', '.join(names())}")
    layout: Layout = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").LAYOUT
    return layout


def table(results: Results, layout: Layout) -> pd.DataFrame:
    """The run in the layout as text, then the published rows, marked as measured elsewhere."""
    means = {None: _means(results)} | {name: _means(results.of_domain(name)) for name in results.domains}
    rows = []
    for point in results.points.name:
        rate = means[None].get((point, "bitrate_payload"), np.nan)
        row = {"codec": point, "kbps": number(rate, 2), "measured": "here"}
        for column in layout.columns:
            value = means.get(column.domain, {}).get((point, column.metric or ""), np.nan)
            row[column.title] = number(value, column.digits)
        rows.append(row)
    for quoted in layout.rows:
        row = {"codec": quoted.codec, "kbps": f"{quoted.kbps:g}", "measured": "elsewhere"}
        for column in layout.columns:
            row[column.title] = number(quoted.values.get(column.title, np.nan), column.digits)
        rows.append(row)
    return pd.DataFrame(rows)


def _means(results: Results) -> dict[tuple[str, str], float]:
    return {(row.point, row.metric): row.mean for row in records(summarize(results))}


def notes(results: Results, layout: Layout) -> list[str]:
    """What a reader has to know: sources, sets, editions, and what the run lacks with the command that adds it."""
    found = [
        f"Columns of {layout.source}.",
        f"Rows marked here: {results.set_name}, {len(results.clips)} clips.",
    ]
    if layout.rows:
        found.append(f"Rows marked elsewhere, which were not measured by us: {layout.rows_from}, on {layout.rows_set}.")
    for column in {each.title: each for each in layout.columns}.values():
        parts = [f"there {column.edition}" if column.edition else "", f"here {column.ours}" if column.ours else ""]
        if any(parts):
            found.append(f"{column.title}: {'; '.join(filter(None, parts))}.")
    found += [layout.note] if layout.note else []
    return found + _lacking(results, layout)


def _lacking(results: Results, layout: Layout) -> list[str]:
    from encodec_eval.metrics import METRICS

    found = [f"{each.title} is not measured by this project." for each in layout.columns if each.metric is None]
    wanted = dict.fromkeys(each.metric for each in layout.columns if each.metric and each.metric not in results.metrics)
    known = [name for name in wanted if name in METRICS]
    found += [f"This version has no metric {name}." for name in wanted if name not in METRICS]
    if known:
        found.append(f"The run lacks {', '.join(known)}: `{command_with(results, known)}`.")
    absent = dict.fromkeys(each.domain for each in layout.columns if each.domain and each.domain not in results.domains)
    if absent:
        found.append(f"The run has no clips of {', '.join(map(str, absent))}: give such sets to `--set`.")
    return found


def command_with(results: Results, metrics: Sequence[str]) -> str:
    """The run's command with these metrics beside its own, into a folder of its own."""
    sessions = results.config.get("sessions") or [{"command": "python -m encodec_eval"}]
    kept: list[str] = []
    dropping = False
    for word in shlex.split(str(sessions[0]["command"])):
        if word.startswith("--"):
            dropping = word in ("--metrics", "--out", "--overwrite")
        if not dropping:
            kept.append(word)
    wanted = [*results.quality_metrics, *metrics]
    return shlex.join([*kept, "--metrics", *wanted, "--out", f"{results.folder}_more"])
