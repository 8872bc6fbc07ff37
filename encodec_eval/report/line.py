"""What a report has of runs with `--through`: curves of quality over loss, errors or generations, and delays."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from encodec_eval import stats
from encodec_eval.report import tables
from encodec_eval.report.html import Section
from encodec_eval.report.plots import COLOURS, MARKERS, STYLE, place_labels, save
from encodec_eval.report.results import Results, records

AREA = (0.0, 0.2)  # of loss, that the mean of a curve is taken over
AXES = {
    "loss": "packets lost",
    "ber": "rate of bit errors",
    "jitter": "mean delay of packets [ms]",
    "generations": "times coded",
    "transcode": "kbps after transcoding",
}
COLUMNS = ["curve", "axis", "x", "point"]
NOTE = (
    "Means over clips, by what is done between encoder and decoder. `mean to 20 %` is the area under the curve of loss "
    "from 0 to 20 % (trapezoids), as a mean quality, with its interval; `-` where the run does not span that."
)
DELAY_NOTE = (
    "Measured: how far the output looks ahead of a click, and how late a click train comes out (`comes late`); the sum "
    "is the algorithmic delay. Whole packets, a playout buffer, and waiting for a copy in the next packet add to it."
)


def curves(results: Results) -> pd.DataFrame:
    """`curve axis x point` of the points that lie on a curve, in the order of the run; empty for a run without."""
    points = results.points
    if "axis" not in points:
        return pd.DataFrame(columns=COLUMNS)
    found = points[points.x.notna()]
    return found.rename(columns={"name": "point"})[COLUMNS]


def areas(results: Results, metric: str) -> dict[str, stats.Interval]:
    """The mean of each curve over `AREA` of loss, from the curve of every clip that has all its points."""
    table, found = results.table(metric), {}
    low, high = AREA
    for curve, rows in curves(results).query("axis == 'loss'").groupby("curve", sort=False):
        rows = rows.sort_values("x")
        if rows.x.iloc[0] > low or rows.x.iloc[-1] < high or len(rows) < 2:
            continue
        by_clip = [mean_between(rows.x.to_numpy(), values, low, high) for values in table[rows.point].to_numpy()]
        found[str(curve)] = stats.mean_interval(by_clip, results.groups, results.weights(metric))
    return found


def mean_between(x: stats.Floats, y: stats.Floats, low: float, high: float) -> float:
    """The mean of the piecewise linear curve through points of increasing `x`, from `low` to `high`."""
    inside = np.unique(np.concatenate([[low, high], x[(x > low) & (x < high)]]))
    return float(np.trapezoid(np.interp(inside, x, y), inside) / (high - low))


def sections(results: Results, summary: pd.DataFrame) -> list[Section]:
    """The sections of a run with `--through`; none for another run."""
    made = []
    for axis, rows in curves(results).groupby("axis", sort=False):
        figures = [draw(results, summary, rows, metric) for metric in results.quality_metrics if rows.x.nunique() > 1]
        if axis == "generations" and "equal_codes" in results.metrics and rows.x.nunique() > 1:
            figures.append(draw(results, summary, rows, "equal_codes"))
        name = f"Quality over {AXES[str(axis)]}"
        made.append(Section(name, curve_table(results, summary, rows), NOTE, figures, open=True))
    delays = results.folder / "delay.csv"
    if delays.exists():
        made.append(Section("Algorithmic delay", delay_table(delays), DELAY_NOTE, open=True))
    return made


def curve_table(results: Results, summary: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each curve and metric, one column for each x, and the mean up to 20 % of loss."""
    means = summary.pivot(index="point", columns="metric", values="mean")
    counted = [name for name in ("lost", "equal_codes") if name in results.metrics]
    made = []
    for metric in [*results.quality_metrics, *counted]:
        measure = results.measures[metric]
        area = areas(results, metric) if metric in results.quality_metrics else {}
        for curve, points in rows.groupby("curve", sort=False):
            if means.loc[points.point, metric].isna().all():
                continue
            row = {"system": str(curve), "metric": tables.heading(measure)}
            for point in records(points):
                row[f"{point.x:g}"] = tables.number(means.loc[point.point, metric], measure.digits)
            mean = area.get(str(curve))
            row["mean to 20 %"] = tables.interval(mean.mean, mean.low, mean.high, measure.digits) if mean else "-"
            made.append(row)
    table = pd.DataFrame(made)
    if len(table):
        order = ["system", "metric", *(f"{x:g}" for x in sorted(rows.x.unique())), "mean to 20 %"]
        table = table[order].fillna("-")
    return table.drop(columns=[name for name in table if (table[name] == "-").all()])


def delay_table(path: Path) -> pd.DataFrame:
    """`delay.csv` as text."""
    frame = pd.read_csv(path, dtype=str).fillna("-")
    names = {"look_ahead_ms": "looks ahead ms", "lag_ms": "comes late ms", "delay_ms": "algorithmic delay ms"}
    frame = frame.rename(columns=names)
    return frame if (frame.reason != "-").any() else frame.drop(columns="reason")


def draw(results: Results, summary: pd.DataFrame, rows: pd.DataFrame, metric: str) -> Path:
    """A metric over the axis of `rows`, as PNG and SVG in the run's folder. Returns the path of the SVG."""
    with plt.rc_context(STYLE):
        return save(figure(results, summary, rows, metric), results.folder / f"{rows['axis'].iloc[0]}_{metric}")


def figure(results: Results, summary: pd.DataFrame, rows: pd.DataFrame, metric: str) -> Figure:
    """The mean of a metric over an axis, a line for each curve, with 95 % bands."""
    drawn, axes = plt.subplots(figsize=(7.6, 4.8), layout="constrained")
    cells = summary[summary.metric == metric].set_index("point")
    labels = []
    for n, (curve, points) in enumerate(rows.groupby("curve", sort=False)):
        colour, style = COLOURS[n % len(COLOURS)], ("-", "--", ":")[n // len(COLOURS) % 3]
        line = cells.loc[points.point].assign(x=points.x.to_numpy()).dropna(subset=["mean"]).sort_values("x")
        if not len(line):
            continue
        axes.plot(line.x, line["mean"], style, color=colour, marker=MARKERS[n % len(MARKERS)], mec="white", lw=2)
        known = line.dropna(subset=["ci95_low"])
        axes.fill_between(known.x, known.ci95_low, known.ci95_high, color=colour, alpha=0.12, linewidth=0)
        labels.append((float(line["mean"].iloc[-1]), str(curve).replace(" ", "\n", 1), colour))
    measure = results.measures[metric]
    place_labels(axes, labels)
    axis = str(rows["axis"].iloc[0])
    if axis == "loss":
        axes.xaxis.set_major_formatter(lambda x, position: f"{100 * x:g} %")
    if axis == "ber" and rows.x.min() > 0:
        axes.set_xscale("log")
    count = len(set(results.groups))
    bands = f"\nbands: 95 % t intervals over {count} speakers" if count > 1 else ""
    axes.set_xlabel(AXES[axis] + bands)
    axes.set_ylabel(f"{measure.title}{f' [{measure.unit}]' if measure.unit else ''}")
    axes.set_title(f"{measure.title} on {results.set_name}, {len(results.clips)} clips", loc="left", fontweight="bold")
    return drawn
