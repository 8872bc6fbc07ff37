"""Rate-quality curves and codebook usage as figures."""

import io
import textwrap
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from PIL import Image

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from encodec_eval import stats
from encodec_eval.report.literature import ENCODEC_SPEECH
from encodec_eval.report.results import Results, records
from encodec_eval.report.tables import RATES

# Okabe and Ito's palette without its yellow: told apart with any colour vision, and legible on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
TITLE_CHARACTERS = 58  # of a line: names of several sets are longer than a figure is wide
TICKS = (0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "svg.fonttype": "none",  # text stays text, in a third of the bytes of its outlines
    "svg.hashsalt": "encodec_eval",
    "savefig.dpi": 160,
}


def write_curves(
    results: Results, summary: pd.DataFrame, ending: str = "", metrics: Sequence[str] | None = None
) -> list[Path]:
    """Draw quality over rate for every metric of a run that has a value, or only for `metrics`, as PNG and SVG in its
    folder, `ending` behind their names.

    Returns the paths of the SVGs.
    """
    known = set(summary.metric[summary["mean"].notna()])
    with plt.rc_context(STYLE):
        return [
            save(rate_quality(results, summary, metric), results.folder / f"rate_{metric}{ending}")
            for metric in results.quality_metrics
            if metric in known and (metrics is None or metric in metrics)
        ]


def write_codebooks(results: Results, usage: pd.DataFrame) -> Path:
    """Draw how codebooks are used, as PNG and SVG in the run's folder. Returns the path of the SVG."""
    with plt.rc_context(STYLE):
        return save(codebooks(usage, results.set_name), results.folder / "codebooks")


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, of 256 colours, which takes a third of the bytes of all, and as SVG. Returns the latter's
    path."""
    pixels = io.BytesIO()
    figure.savefig(pixels, format="png")
    Image.open(pixels).convert("RGB").quantize(256).save(path.with_suffix(".png"), optimize=True)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    plt.close(figure)
    return path.with_suffix(".svg")


def rate_quality(results: Results, summary: pd.DataFrame, metric: str) -> Figure:
    """Mean of a metric over the measured payload rate, with 95 % bands; systems without a rate are horizontal lines."""
    spec = results.measures[metric]
    figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    means = summary.pivot(index="point", columns="metric", values="mean").reindex(columns=list(RATES))
    cells = summary[summary.metric == metric].set_index("point")
    labels: list[tuple[float, str, str]] = []
    rates: list[float] = []
    series = list(results.points.groupby("series", sort=False))
    for n, (name, points) in enumerate(series):
        colour, marker = COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)]
        rows = cells.loc[points.name].assign(rate=measured_rate(means.loc[points.name])).dropna(subset=["mean"])
        rated = rows.dropna(subset=["rate"]).sort_values("rate")
        if len(rated):
            curve(axes, rated, colour, marker)
            labels.append((rated["mean"].iloc[-1], str(name), colour))
            rates += list(rated.rate)
        coded = rows.assign(rate=means.loc[points.name].bitrate_entropy).dropna(subset=["rate"])
        if len(coded):
            axes.plot(coded.rate, coded["mean"], ":", color=colour, marker=marker, mfc="white", linewidth=1.6, zorder=3)
            labels.append((coded["mean"].iloc[0], f"{name}\nwith LM (dotted)", colour))
            rates += list(coded.rate)
        for row in records(rows[rows.rate.isna()].reset_index()):
            axes.axhline(row.mean, color="#888888", linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
            labels.append((row.mean, str(row.point), "#666666"))
    if metric in ENCODEC_SPEECH and rates and "speech" in spec.source:
        axes.plot(ENCODEC_SPEECH.kbps, ENCODEC_SPEECH[metric], "--", color="#999999", marker="o", mfc="white", lw=1.2)
        labels.append((ENCODEC_SPEECH[metric].iloc[-1], "quoted: EnCodec\n(Codec-SUPERB)", "#999999"))
        rates += list(ENCODEC_SPEECH.kbps)
    rate_axis(axes, rates)
    speakers = len(set(results.groups))
    if speakers > 1:
        rough = " (rough)" if speakers < stats.ROUGH_BELOW else ""
        axes.set_xlabel(
            f"{axes.get_xlabel()}\nbands and bars: 95 % t intervals over {speakers} speakers{rough}".strip()
        )
    place_labels(axes, labels)
    arrow = {True: "  (higher is better)", False: "  (lower is better)", None: ""}[spec.higher_is_better]
    axes.set_ylabel(f"{spec.title}{f' [{spec.unit}]' if spec.unit else ''}{arrow}")
    title = f"{spec.title} on {results.set_name}, {len(results.clips)} clips"
    axes.set_title(textwrap.fill(title, TITLE_CHARACTERS), loc="left", fontweight="bold")
    return figure


def curve(axes: Axes, rows: pd.DataFrame, colour: str, marker: str) -> None:
    """One codec: its line, its points, and its intervals as a band (as bars if it is one point)."""
    axes.plot(rows.rate, rows["mean"], color=colour, marker=marker, markersize=6.5, linewidth=2, zorder=3, mec="white")
    known = rows.dropna(subset=["ci95_low"])
    if len(known) > 1:
        axes.fill_between(known.rate, known.ci95_low, known.ci95_high, color=colour, alpha=0.16, linewidth=0, zorder=2)
    elif len(known):
        spread = np.abs(known[["ci95_low", "ci95_high"]].to_numpy().T - known["mean"].to_numpy())
        axes.errorbar(known.rate, known["mean"], spread, color=colour, capsize=3, linewidth=1.2, zorder=2)


def measured_rate(means: pd.DataFrame) -> pd.Series:
    """The payload rate, else that of the file, else the one asked for."""
    return means.bitrate_payload.fillna(means.bitrate_file).fillna(means.bitrate_nominal)


def rate_axis(axes: Axes, rates: Sequence[float]) -> None:
    """A logarithmic rate axis with plain numbers."""
    if not rates:
        axes.set_xticks([])
        return
    axes.set_xscale("log")
    axes.set_xlim(min(rates) / 1.15, max(rates) * 1.15)
    axes.xaxis.set_major_locator(FixedLocator([t for t in TICKS if min(rates) / 1.15 <= t <= max(rates) * 1.15]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:g}"))
    axes.set_xlabel("payload rate [kbps] (of the file, or asked for, where no payload is known)")


def place_labels(axes: Axes, labels: Sequence[tuple[float, str, str]]) -> None:
    """Names at the right edge beside the ends of their lines, pushed apart so that none covers another."""
    low, high = axes.get_ylim()
    heights = [0.05 * (1 + text.count("\n")) for _, text, _ in labels]
    order = sorted(range(len(labels)), key=lambda n: labels[n][0])
    placed = [(labels[n][0] - low) / (high - low) for n in range(len(labels))]
    for below, above in pairwise(order):
        placed[above] = max(placed[above], placed[below] + (heights[below] + heights[above]) / 2)
    ceiling = 1.02
    for n in reversed(order):
        placed[n] = min(placed[n], ceiling - heights[n] / 2)
        ceiling = placed[n] - heights[n] / 2
    for n, (_, text, colour) in enumerate(labels):
        axes.text(
            1.015, placed[n], text, transform=axes.transAxes, color=colour, va="center", ha="left",
            fontsize=9.5, fontweight="bold", linespacing=1.0,
        )  # fmt: skip


def codebooks(usage: pd.DataFrame, set_name: str) -> Figure:
    """Perplexity and number of used entries of each codebook."""
    figure, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    for n, (series, rows) in enumerate(usage.groupby("series", sort=False)):
        colour = COLOURS[n % len(COLOURS)]
        axes.plot(rows.codebook, rows.perplexity, color=colour, marker="o", linewidth=2, label=f"{series}: perplexity")
        axes.plot(
            rows.codebook, rows.used, color=colour, linestyle=":", linewidth=1.6, label=f"{series}: entries in use"
        )
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("codebook")
    axes.set_ylabel("entries")
    holed = usage[[len(set(clips.split("/"))) > 1 for clips in usage.clips]].drop_duplicates("series")
    title = ", ".join([f"Codebook usage on {set_name}", *(holed.clips + " clips of " + holed.series)])
    axes.set_title(title, loc="left", fontweight="bold")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, -0.16), ncols=2)
    return figure
