"""Summaries as tables people read: data frames of text, and those as Markdown and LaTeX."""

import re
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from encodec_eval.report.results import Results, records
from encodec_eval.types import Measure

RATES = {
    "bitrate_nominal": "kbps asked",
    "bitrate_payload": "kbps payload",
    "bitrate_file": "kbps file",
    "bitrate_entropy": "kbps with LM",
}
MOST_ROWS = 100  # of a table that has one for each thing that went wrong
MOST_COLUMNS = 14  # of a table of points to be read; one with more has its points as columns
LATEX_COLUMNS = 8
LATEX_CHARACTERS = 104  # of \footnotesize in the 16 cm of a page of A4 with margins of 2.5 cm
MARKS = "¹²³⁴⁵⁶⁷⁸⁹"
LATEX_SYMBOLS = {"↑": r"$\uparrow$", "↓": r"$\downarrow$", " x real time": r" $\times$RT", "±": r"$\pm$"}
LATEX_SYMBOLS |= {mark: rf"\textsuperscript{{{n}}}" for n, mark in enumerate(MARKS, start=1)}
SPEEDS = {"x_realtime_encode": "encode x real time", "x_realtime_decode": "decode x real time"}


def number(value: float, digits: int) -> str:
    """A number for a table, `-` where there is none."""
    return f"{round(value, digits) + 0.0:.{digits}f}" if np.isfinite(value) else "-"  # + 0.0: no "-0.00"


def interval(mean: float, low: float, high: float, digits: int) -> str:
    """A mean and its interval: `1.31 (1.28 to 1.35)`."""
    span = f" ({number(low, digits)} to {number(high, digits)})" if np.isfinite(low) else ""
    return number(mean, digits) + span


def main_table(results: Results, summary: pd.DataFrame) -> pd.DataFrame:
    """One row an operating point: rates, each metric with its interval, speed, and how many clips have every metric."""
    cells = {(row.point, row.metric): row for row in records(summary)}
    rows = []
    for point in results.points.name:
        row: dict[str, str] = {"point": point}
        for metric, title in RATES.items():
            row[title] = number(cells[point, metric].mean, 2) if metric in results.metrics else "-"
        for metric in results.quality_metrics:
            cell, measure = cells[point, metric], results.measures[metric]
            text = interval(cell.mean, cell.ci95_low, cell.ci95_high, measure.digits)
            if cell.n_scored < cell.n_total:
                text += f" [{cell.n_scored}/{cell.n_total}]"
            row[heading(measure)] = text
        for metric in results.code_metrics:  # which some systems cannot have: they do not count as unscored
            row[heading(results.measures[metric])] = number(cells[point, metric].mean, results.measures[metric].digits)
        for metric, title in SPEEDS.items():
            row[title] = number(cells[point, metric].mean, 1) if metric in results.metrics else "-"
        scored = min((cells[point, metric].n_scored for metric in results.quality_metrics), default=0)
        row["scored"] = f"{scored}/{len(results.clips)}"
        rows.append(row)
    table = pd.DataFrame(rows)
    return table.drop(columns=[name for name in table if (table[name] == "-").all()])


def heading(measure: Measure) -> str:
    """A metric's title, unit, edition and direction."""
    arrow = {True: " ↑", False: " ↓", None: ""}[measure.higher_is_better]
    unit = f" {measure.unit}" if measure.unit in ("dB", "kbps", "ms", "Hz", "LU", "%", "bit") else ""
    return f"{measure.title}{unit}{f' ({measure.edition})' if measure.edition else ''}{arrow}"


def pooled_note(results: Results) -> str:
    """Which means are not over clips but over what their clips hold, for behind "means over clips"."""
    pooled = [measure for measure in results.measures.values() if measure.weight]
    text = "; ".join(f"{each.title}: over {results.measures[each.weight].title}" for each in pooled)
    return f" ({text})" if text else ""


def difference_table(differences: pd.DataFrame, measures: Mapping[str, Measure]) -> pd.DataFrame:
    """Paired differences as text, one row for each point and metric."""
    rows = []
    for row in records(differences):
        digits = measures[row.metric].digits + 1
        rows.append(
            {
                "point": row.point,
                "metric": heading(measures[row.metric]),
                "difference": interval(row.difference, row.ci95_low, row.ci95_high, digits),
                "p": p_value(row.p),
                "p (Holm)": p_value(row.p_holm),
                "pairs": str(row.n_pairs),
            }
        )
    return pd.DataFrame(rows)


def p_value(p: float) -> str:
    if not np.isfinite(p):
        return "-"
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"


def bjontegaard_table(deltas: pd.DataFrame, measures: Mapping[str, Measure]) -> pd.DataFrame:
    """Bjontegaard deltas and their intervals as text, one row a codec."""
    rows: dict[str, dict[str, str]] = {}
    for row in records(deltas):
        cells = rows.setdefault(row.series, {"codec": row.series})
        measure = measures[row.metric]
        rate = interval(row.bd_rate_percent, row.bd_rate_ci95_low, row.bd_rate_ci95_high, 1)
        quality = interval(row.bd_quality, row.bd_quality_ci95_low, row.bd_quality_ci95_high, measure.digits)
        cells[f"BD-rate % by {measure.title}"] = rate
        cells[f"BD-{measure.title}{f' {measure.unit}' if measure.unit == 'dB' else ''}"] = quality
    return pd.DataFrame(list(rows.values()))


def codebook_table(usage: pd.DataFrame) -> pd.DataFrame:
    """Codebook usage as text."""
    table = usage.copy()
    for column, digits in (("entropy_bits", 2), ("perplexity", 0)):
        table[column] = [number(value, digits) for value in table[column]]
    return table.astype(str).rename(columns=lambda name: name.replace("_", " "))


def reasons_table(results: Results) -> pd.DataFrame:
    """Why audio metrics have no value: `point metric reason clips`."""
    failed = results.scores[results.scores.value.isna() & results.scores.metric.isin(results.quality_metrics)]
    counts = failed.groupby(["point", "metric", "reason"], sort=False, observed=True).size()
    return counts.rename("clips").reset_index().astype(str)


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """A table of points or codecs, perhaps in several domains, as it is; if it has too many columns, turned: with a row
    for each metric, and a column for each point or codec."""
    if len(table.columns) <= MOST_COLUMNS:
        return table
    domain = [name for name in ("domain",) if name in table]
    named = next(name for name in table if name not in domain)
    cells = table.melt([named, *domain], var_name="metric", value_name="cell")
    keys = ["metric", *domain]
    turned = cells.pivot(index=keys, columns=named, values="cell").rename_axis(columns=None)
    order = pd.Index(cells.metric.unique()) if not domain else pd.MultiIndex.from_frame(cells[keys]).unique()
    return turned.reindex(index=order, columns=table[named].unique()).rename_axis(index=keys).reset_index()


def markdown(table: pd.DataFrame) -> str:
    """A table of text as Markdown, its columns padded so that it reads well as it stands."""
    columns = [[str(name), *(str(cell).replace("|", "\\|") for cell in table[name])] for name in table]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in zip(*columns, strict=True)
    ]
    rule = "|".join("-" * (width + 2) for width in widths)
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])]) + "\n"


def is_numeric(column: Iterable[object]) -> bool:
    """Whether every cell of a column is a number, perhaps with its interval, or `-`: it then stands to the right."""
    return all(re.fullmatch(r"-|[<-]? ?[\d(\[].*", str(cell)) for cell in column)


def latex(table: pd.DataFrame, caption: str, label: str) -> str:
    """A table of text as LaTeX tables with booktabs rules, numbers to the right.

    One that is too wide for a page is split into several that repeat the first column.
    """
    first, *_ = table.columns
    parts = page_columns(table)
    written = []
    for n, columns in enumerate(parts):
        end, more = (f"-{n + 1}", f" ({n + 1} of {len(parts)})") if len(parts) > 1 else ("", "")
        written.append(_latex(table[[first, *columns]], caption.removesuffix(".") + more + ".", label + end))
    return "\n".join(written)


def page_columns(table: pd.DataFrame) -> list[list[str]]:
    """The columns behind the first, in groups that fit a page beside it."""
    widths = {name: max(len(str(name)), *(len(str(cell)) for cell in table[name])) + 2 for name in table}
    first, *others = table.columns
    parts: list[list[str]] = [[]]
    for name in others:
        width = sum(widths[each] for each in [first, *parts[-1], name])
        if parts[-1] and (len(parts[-1]) + 2 > LATEX_COLUMNS or width > LATEX_CHARACTERS):
            parts.append([])
        parts[-1].append(name)
    return parts


def _latex(table: pd.DataFrame, caption: str, label: str) -> str:
    text = table.map(lambda cell: str(cell).replace(" to ", "--"))
    body = text.to_latex(
        index=False,
        escape=True,
        column_format="".join("r" if is_numeric(table[name]) else "l" for name in table),
        caption=re.sub(r"([&%$#_{}])", r"\\\1", caption),
        label=label,
        position="t",
    )
    body = body.replace(r"\begin{tabular}", r"\footnotesize\tabcolsep4pt\begin{tabular}")
    for symbol, replacement in LATEX_SYMBOLS.items():
        body = body.replace(symbol, replacement)
    return body


def quality_table(main: pd.DataFrame) -> pd.DataFrame:
    """The main table's quality alone: the point, its payload rate, the metrics, and how many clips were scored."""
    cost = [*SPEEDS.values(), *(title for name, title in RATES.items() if name != "bitrate_payload")]
    return main.drop(columns=[name for name in cost if name in main])


def cost_table(main: pd.DataFrame) -> pd.DataFrame:
    """The main table's rates and speeds alone."""
    return main[["point", *(name for name in [*RATES.values(), *SPEEDS.values()] if name in main)]]
