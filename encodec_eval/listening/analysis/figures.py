"""Figures of every method: its main table drawn, a condition a row, with 95 % intervals."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from encodec_eval.listening.crowd.words import words
from encodec_eval.listening.methods.base import Method
from encodec_eval.mushra.analysis.figures import (
    FAINT,
    INK,
    NEUTRAL,
    STYLE,
    Scale,
    condition_colours,
    condition_label,
    finish,
    score_figure,
)
from encodec_eval.report.plots import COLOURS

GUESSING = 0.5
FOOTNOTE_WIDTH = 110  # characters
MARGIN = 0.5  # of a grade, beyond the first and the last


def method_figure(method: Method, kept: pd.DataFrame, summary: pd.DataFrame, title: str, note: str) -> Figure | None:
    """The figure of the main table of a method; `kept` are its judgements. None if it has nothing to draw."""
    if method.name == "ab":
        return strength_figure(summary, f"{method.measure}, logarithm (0 is the mean of those shown)", title, note)
    if method.name == "abx":
        estimates = summary.assign(value=summary["share"])
        dots = kept.groupby(["condition", "listener"])["score"].mean()
        return estimate_figure(estimates, method.measure, GUESSING, title, note, dots, (0.0, 1.0))
    return score_figure(kept, summary, title, note, scale_of(method))


def scale_of(method: Method) -> Scale:
    """The axis of a method that rates, with the English words of its grades.

    BS.1116 shows difference grades: 0 is the reference's own, a grade less each step below.
    """
    said = words("en")
    steps = range(1, 6) if method.name == "bs1116" else range(method.low, method.high + 1)
    shift = 5 if method.name == "bs1116" else 0
    grades = [(float(step - shift), said[f"{method.name}.{step}"]) for step in steps]
    ticks = [where for where, _ in grades]
    return Scale(method.measure, ticks[0] - MARGIN, ticks[-1] + MARGIN, ticks, grades, 2)


def strength_figure(summary: pd.DataFrame, label: str, title: str, note: str) -> Figure | None:
    """Strengths `condition, log_strength, ci95`, and below them which conditions have none and why
    (`without_strength`). None if no condition has one."""
    known = summary["log_strength"].notna()
    if not known.any():
        return None
    drawn, gone = summary[known], summary[~known]
    value, half = drawn["log_strength"], drawn["ci95"]
    figure = estimate_figure(drawn.assign(value=value, low=value - half, high=value + half), label, 0.0, title, note)
    names = [f"{condition_label(row['condition'])} ({row['without_strength']})" for row in gone.to_dict("records")]
    if names:
        text = textwrap.fill("Not drawn, without a finite strength: " + "; ".join(names), FOOTNOTE_WIDTH)
        (axes,) = figure.axes
        axes.annotate(text, (0, 0), (0, -58), "axes fraction", "offset points", va="top", fontsize=8, color=INK)
    return figure


def estimate_figure(
    estimates: pd.DataFrame,
    label: str,
    line: float,
    title: str,
    note: str,
    dots: pd.Series | None = None,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Rows `condition, value, low, high`, best first, and a dashed line at the value that says nothing; `dots` are the
    values of single listeners, by condition and listener."""
    order = estimates.sort_values("value", ascending=False, ignore_index=True)
    colours = condition_colours(sorted(order["condition"]))
    jitter = np.random.default_rng(0)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7.6, 1.15 + 0.5 * len(order)))
        axes.axvline(line, color=NEUTRAL, lw=1.2, ls=(0, (4, 3)))
        for y, row in enumerate(order.to_dict("records")):
            colour, value = colours[row["condition"]], row["value"]
            if dots is not None:
                own = dots[row["condition"]]
                axes.scatter(own, y + jitter.uniform(-0.19, 0.19, len(own)), s=7, color=colour, alpha=0.35, lw=0)
            ends = [[value - row["low"]], [row["high"] - value]]
            axes.errorbar(value, y, xerr=ends, fmt="o", ms=5.5, color=colour, lw=2.2, capsize=3.5)
            text = f"{value:.2f} ({row['low']:.2f} to {row['high']:.2f})"
            axes.annotate(text, (1.02, y), va="center", fontsize=9.5, color=INK, xycoords=axes.get_yaxis_transform())
        axes.set_yticks(range(len(order)), [condition_label(name) for name in order["condition"]])
        axes.set_ylim(len(order) - 0.45, -0.55)
        if limits:
            axes.set_xlim(limits[0] - 0.02, limits[1] + 0.02)
        axes.grid(axis="x", color=FAINT, lw=0.8)
        axes.set_axisbelow(True)
        finish(axes, label, title, note)
    return figure


def preference_figure(pairs: pd.DataFrame, title: str, note: str) -> Figure:
    """Every pair as a bar: how often the one was preferred, neither, the other."""
    colours = (COLOURS[0], FAINT, COLOURS[1])
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7.6, 1.15 + 0.42 * len(pairs)))
        for y, row in enumerate(pairs.to_dict("records")):
            counts = np.array([row["preferred"], row["neither"], row["other"]])
            shares = counts / counts.sum()
            for share, left, n, colour in zip(shares, np.cumsum(shares) - shares, counts, colours, strict=True):
                axes.barh(y, share, left=left, height=0.62, color=colour, alpha=0.85, edgecolor="white")
                if share > 0.04:
                    shade = INK if colour == FAINT else "white"
                    axes.text(left + share / 2, y, str(n), ha="center", va="center", color=shade, fontsize=8.5)
            other = condition_label(row["second"])
            axes.annotate(other, (1.02, y), va="center", fontsize=9.5, color=INK, xycoords=axes.get_yaxis_transform())
        axes.set_yticks(range(len(pairs)), [condition_label(name) for name in pairs["first"]])
        axes.set_ylim(len(pairs) - 0.45, -0.55)
        axes.set_xlim(0, 1)
        finish(axes, "share of answers: the left one preferred, no preference, the right one", title, note)
    return figure
