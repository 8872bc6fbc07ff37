"""Summaries as tables people read: data frames of text, and those as Markdown and LaTeX."""

from collections.abc import Mapping

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
SPEEDS = {"x_realtime_encode": "encode x real time", "x_realtime_decode": "decode x real time"}


def number(value: float, digits: int) -> str:
    """A number for a table, `-` where there is none."""
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


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
            row[title] = number(cells[point, metric].mean, 2)
        for metric in results.quality_metrics:
            cell, measure = cells[point, metric], results.measures[metric]
            text = interval(cell.mean, cell.ci95_low, cell.ci95_high, measure.digits)
            if cell.n_scored < cell.n_total:
                text += f" [{cell.n_scored}/{cell.n_total}]"
            row[heading(measure)] = text
        for metric, title in SPEEDS.items():
            row[title] = number(cells[point, metric].mean, 1)
        scored = min((cells[point, metric].n_scored for metric in results.quality_metrics), default=0)
        row["scored"] = f"{scored}/{len(results.clips)}"
        rows.append(row)
    table = pd.DataFrame(rows)
    return table.drop(columns=[name for name in table if (table[name] == "-").all()])


def heading(measure: Measure) -> str:
    """A metric's title, unit and direction."""
    arrow = {True: " ↑", False: " ↓", None: ""}[measure.higher_is_better]
    return f"{measure.title}{f' {measure.unit}' if measure.unit in ('dB', 'kbps', 'ms') else ''}{arrow}"


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
    counts = failed.groupby(["point", "metric", "reason"], sort=False).size()
    return counts.rename("clips").reset_index().astype(str)


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


def latex(table: pd.DataFrame, caption: str, label: str) -> str:
    """A table of text as a LaTeX table with booktabs rules."""
    text = table.map(lambda cell: str(cell).replace(" to ", "--"))
    body = text.to_latex(index=False, escape=True, caption=caption, label=label, position="t")
    symbols = {"↑": r"$\uparrow$", "↓": r"$\downarrow$", " x real time": r" $\times$RT"}
    for symbol, replacement in symbols.items():
        body = body.replace(symbol, replacement)
    return body
