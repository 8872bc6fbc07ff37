"""Paired differences and their intervals as a forest plot."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from encodec_eval.report.plots import COLOURS, STYLE, save
from encodec_eval.report.results import Results

COLUMNS = 3
ROW_INCHES = 0.28


def write_forest(differences: pd.DataFrame, run: Results, path: Path) -> Path:
    """Draw what `comparison.compare` found, a panel for each metric, as PNG and SVG. Returns the path of the SVG.

    A filled mark is a difference with p (Holm) below 0.05; the grey side is the better one.
    """
    metrics = list(dict.fromkeys(differences.metric))
    labels = list(dict.fromkeys(differences.point))
    columns = min(COLUMNS, len(metrics))
    rows = -(-len(metrics) // columns)
    height = rows * (1.1 + ROW_INCHES * len(labels))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows, columns, figsize=(2.2 + 3.4 * columns, height), sharey=True, squeeze=False, layout="constrained"
        )
        for panel, metric in zip(axes.flat, metrics, strict=False):
            measure = run.measures[metric]
            found = differences[differences.metric == metric].set_index("point").loc[labels]
            places = np.arange(len(labels))
            ends = found[["ci95_low", "ci95_high"]].sub(found.difference, axis=0)
            half = np.nan_to_num(ends.abs().to_numpy().T)
            panel.errorbar(found.difference, places, xerr=half, fmt="none", color=COLOURS[0], capsize=3, linewidth=1.4)
            sure = found.p_holm < 0.05
            panel.scatter(found.difference[sure], places[sure], color=COLOURS[0], zorder=3, s=34)
            panel.scatter(
                found.difference[~sure], places[~sure], facecolor="white", edgecolor=COLOURS[0], zorder=3, s=34
            )
            panel.axvline(0, color="#444444", linewidth=1)
            if measure.higher_is_better is not None:
                low, high = panel.get_xlim()
                panel.axvspan(*((0, high) if measure.higher_is_better else (low, 0)), color="#f2f2f2", zorder=0)
                panel.set_xlim(low, high)
            panel.set_title(measure.title, loc="left", fontweight="bold")
            panel.set_xlabel(f"difference{f' [{measure.unit}]' if measure.unit else ''}")
            panel.set_yticks(places, labels)
            panel.set_ylim(len(labels) - 0.5, -0.5)
        for panel in list(axes.flat)[len(metrics) :]:
            panel.set_visible(False)
        return save(figure, path)
