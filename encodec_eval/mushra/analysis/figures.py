"""Figures of a listening test: scores over all items, scores by item, scores against objective measures."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from encodec_eval.mushra.manifest import LOW_ANCHOR, MID_ANCHOR, REFERENCE
from encodec_eval.report.plots import COLOURS

LABELS = {REFERENCE: "Reference (hidden)", LOW_ANCHOR: "Anchor 3.5 kHz", MID_ANCHOR: "Anchor 7 kHz"}
WORD_WIDTH, TITLE_WIDTH = 12, 70  # characters, before the words of a grade, or a title, are broken
QUALITY = ("Bad", "Poor", "Fair", "Good", "Excellent")
NEUTRAL, INK, FAINT = "#7d8794", "#1d2530", "#e6e9ee"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#b7bec8",
    "xtick.color": "#5b6675",
    "ytick.color": INK,
    "figure.dpi": 150,
}


@dataclass(frozen=True)
class Scale:
    """The axis of scores in a figure: its name, ends and ticks, the words of its grades as `(where, word)` from low to
    high, and the digits of a mean."""

    label: str
    low: float
    high: float
    ticks: Sequence[float]
    words: Sequence[tuple[float, str]]
    digits: int = 1


MUSHRA = Scale("MUSHRA score", 0, 100, range(0, 101, 20), [(20 * i + 10, word) for i, word in enumerate(QUALITY)])


def condition_label(name: str) -> str:
    """How figures and tables write a condition: `encodec_24khz@6` becomes `encodec_24khz, 6 kbps`."""
    series, at, rate = name.partition("@")
    return LABELS.get(name) or (f"{series}, {rate} kbps" if at else name)


def condition_colours(conditions: Sequence[str]) -> dict[str, str]:
    """One colour for each series of systems, grey for reference and anchors."""
    series = list(dict.fromkeys(name.partition("@")[0] for name in conditions if name not in LABELS))
    return {
        name: NEUTRAL if name in LABELS else COLOURS[series.index(name.partition("@")[0]) % len(COLOURS)]
        for name in conditions
    }


def score_figure(ratings: pd.DataFrame, summary: pd.DataFrame, title: str, note: str, scale: Scale = MUSHRA) -> Figure:
    """Per condition, best first: every listener's mean (dots), quartiles and median of all ratings (box), and the mean
    with its 95 % interval."""
    words = [(where, textwrap.fill(word, WORD_WIDTH, break_long_words=False)) for where, word in scale.words]
    lines = max(word.count("\n") + 1 for _, word in words)
    order = summary.sort_values("mean", ascending=False, ignore_index=True)
    colours = condition_colours(sorted(order["condition"]))
    jitter = np.random.default_rng(0)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7.6, 0.99 + 0.16 * lines + 0.5 * len(order)))
        top = -0.72 - 0.33 * lines
        _quality_zones(axes, scale, words, (top - 0.55) / 2)
        for y, row in enumerate(order.to_dict("records")):
            colour = colours[row["condition"]]
            box = row["q75"] - row["q25"]
            axes.barh(y, box, left=row["q25"], height=0.56, color=colour, alpha=0.16, lw=0)
            axes.plot([row["median"]] * 2, [y - 0.28, y + 0.28], color=colour, lw=1.4, alpha=0.55)
            dots = ratings[ratings["condition"] == row["condition"]].groupby("listener")["score"].mean()
            axes.scatter(dots, y + jitter.uniform(-0.19, 0.19, len(dots)), s=7, color=colour, alpha=0.35, lw=0)
            axes.errorbar(row["mean"], y, xerr=row["ci95"], fmt="o", ms=5.5, color=colour, lw=2.2, capsize=3.5)
            interval = "" if np.isnan(row["ci95"]) else f" ± {row['ci95']:.{scale.digits}f}"
            text = f"{row['mean']:.{scale.digits}f}{interval}"
            axes.text(scale.high + 0.03 * (scale.high - scale.low), y, text, va="center", fontsize=9.5, color=INK)
        axes.set_yticks(range(len(order)), [condition_label(name) for name in order["condition"]])
        axes.set_ylim(len(order) - 0.45, top)
        finish(axes, scale.label, title, note)
    return figure


def finish(axes: Axes, label: str, title: str, note: str) -> None:
    """What the figures with a condition a row have in common."""
    axes.set_xlabel(label)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_title(textwrap.fill(title, TITLE_WIDTH), loc="left", fontsize=12, fontweight="bold", pad=10)
    axes.annotate(note, (0, 0), (0, -44), "axes fraction", "offset points", fontsize=8, color="#5b6675")


def _quality_zones(axes: Axes, scale: Scale, words: Sequence[tuple[float, str]], y: float) -> None:
    axes.set_xlim(scale.low, scale.high)
    axes.set_xticks(scale.ticks)
    half = (words[1][0] - words[0][0]) / 2
    for i, (where, word) in enumerate(words):
        if i % 2 == 0:
            axes.axvspan(where - half, where + half, color="#f5f7f9", zorder=0, lw=0)
        axes.text(where, y, word, ha="center", va="center", fontsize=8.5, color="#5b6675")


def item_figure(by_item: pd.DataFrame, order: Sequence[str], title: str) -> Figure:
    """Mean score of every condition (columns, in `order`) on every item (rows)."""
    table = by_item.pivot(index="item", columns="condition", values="mean")[list(order)]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(1.6 + 0.95 * len(order), 1.3 + 0.36 * len(table)))
        axes.imshow(table, cmap="YlGnBu", vmin=0, vmax=115, aspect="auto")
        for (y, x), value in np.ndenumerate(table.to_numpy()):
            axes.text(x, y, f"{value:.0f}", ha="center", va="center", color="white" if value > 62 else INK)
        axes.set_xticks(range(len(order)), [_column_label(name) for name in order], fontsize=7.5)
        axes.set_yticks(range(len(table)), table.index)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(title, loc="left", fontsize=12, fontweight="bold", pad=10)
    return figure


def _column_label(name: str) -> str:
    """A condition's name in narrow lines."""
    first, _, second = condition_label(name).replace(" (", ", (").replace("Anchor ", "Anchor, ").partition(", ")
    return (first.replace("_", "\n", 1) if len(first) > 14 else first) + "\n" + second


def correlation_figure(joined: pd.DataFrame, correlations: pd.DataFrame, title: str) -> Figure:
    """Mean score against each metric, a dot a stimulus; `joined` has `condition, metric, value, mean`."""
    colours = condition_colours(sorted(joined["condition"].unique()))
    metrics = list(correlations["metric"])
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(1, len(metrics), figsize=(3.1 * len(metrics), 3.1), sharey=True, squeeze=False)
        for axes, (_, row) in zip(grid[0], correlations.iterrows(), strict=True):
            points = joined[joined["metric"] == row["metric"]]
            axes.scatter(points["value"], points["mean"], s=16, c=points["condition"].map(colours), alpha=0.7, lw=0)
            axes.set_xlabel(row["metric"])
            axes.set_title(f"Pearson {row['pearson']:.2f}, Spearman {row['spearman']:.2f}", loc="left", fontsize=9)
            axes.set_ylim(0, 100)
            axes.grid(color=FAINT, lw=0.8)
            axes.set_axisbelow(True)
        grid[0][0].set_ylabel("MUSHRA score")
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        figure.tight_layout()
    return figure


def save_figure(figure: Figure, *paths: Path) -> None:
    """Write a figure to files, the same bytes each time, and close it."""
    for path in paths:
        metadata = {".png": {"Software": None}, ".pdf": {"CreationDate": None}}.get(path.suffix)
        figure.savefig(path, bbox_inches="tight", pad_inches=0.12, metadata=metadata)
    plt.close(figure)
