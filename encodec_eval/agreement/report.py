"""The report of how well metrics follow listeners: tables, a scatter plot of each level, Markdown."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from codec.files import write_atomically
from encodec_eval.agreement.tables import Points
from encodec_eval.mushra.analysis.report import INVENTED
from encodec_eval.report.plots import COLOURS, MARKERS, STYLE, save
from encodec_eval.report.results import Results
from encodec_eval.report.tables import heading, interval, markdown, number, p_value

COLUMNS = 3
NOTE = (
    "By ITU-T P.1401. Correlations of scores and mean ratings: Pearson (interval by Fisher's z), Spearman (Bonett and "
    "Wright, 2000), Kendall's tau-b (Fieller et al., 1957), with the sign reversed where lower is better. RMSE: after "
    "a monotonic third-order mapping of the scores, or a line where fewer than 8 points are known (column `order`); "
    "interval by chi squared. RMSE*: only the part of an error outside the 95 % interval of its rating counts. Outlier "
    "ratio: share of points whose error exceeds that interval. `-`: not known. Points of the same clip or listener "
    "depend on each other, so the intervals by clip are too narrow."
)
PAIRS_NOTE = (
    "Two metrics' Pearson correlations with the same ratings: z after Meng, Rosenthal and Rubin (1992), p two-sided, "
    "corrected after Holm over the pairs of a level."
)


def agreement_table(results: Results, table: pd.DataFrame) -> pd.DataFrame:
    """The measures as text, the best correlation of each level first."""
    names = ("pearson", "spearman", "kendall", "rmse", "rmse*", "outlier ratio")
    ordered = table.sort_values(["level", "pearson"], ascending=[False, False], kind="stable")
    rows = []
    for row in ordered.to_dict("records"):
        cells = {name: interval(row[name], row[f"{name}_low"], row[f"{name}_high"], 2) for name in names}
        metric = heading(results.measures[row["metric"]])
        rows.append(
            {"by": row["level"], "metric": metric, "points": str(row["points"]), "order": str(row["order"])} | cells
        )
    return pd.DataFrame(rows)


def pair_table(results: Results, pairs: pd.DataFrame) -> pd.DataFrame:
    """Comparisons as text."""
    return pd.DataFrame(
        {
            "by": pairs["level"],
            "first": [results.measures[name].title for name in pairs["first"]],
            "second": [results.measures[name].title for name in pairs["second"]],
            "r first": [number(value, 3) for value in pairs["r_first"]],
            "r second": [number(value, 3) for value in pairs["r_second"]],
            "z": [number(value, 2) for value in pairs["z"]],
            "p": pairs["p"].map(p_value),
            "p (Holm)": pairs["p_holm"].map(p_value),
        }
    )


def scatter(results: Results, points: list[Points]) -> Figure:
    """Ratings with their intervals over each metric, and the mapping; all points of one level."""
    rows = -(-len(points) // COLUMNS)
    figure, grid = plt.subplots(
        rows, min(COLUMNS, len(points)), figsize=(3.6 * min(COLUMNS, len(points)), 3.2 * rows), squeeze=False,
        layout="constrained", sharey=True,
    )  # fmt: skip
    conditions = list(dict.fromkeys(name for each in points for name in each.rows["condition"]))
    for axes in grid.flat[len(points) :]:
        axes.set_visible(False)
    for axes, each in zip(grid.flat, points, strict=False):
        sign = 1.0 if results.measures[each.metric].higher_is_better else -1.0
        for name, part in each.rows.groupby("condition", sort=False):
            n = conditions.index(str(name))
            marker = MARKERS[(n + n // len(COLOURS)) % len(MARKERS)]  # another one when colours begin again
            axes.errorbar(
                sign * part["score"], part["mean"], part["ci95"], fmt=marker, ms=4, lw=0.8,
                color=COLOURS[n % len(COLOURS)], alpha=0.75, label=str(name),
            )  # fmt: skip
        line = np.linspace(each.mapping.low, each.mapping.high, 200)
        axes.plot(sign * line, each.mapping(line), color="#444444", lw=1.2, zorder=1)
        axes.set_xlabel(heading(results.measures[each.metric]), fontsize=9)
    for axes in grid[:, 0]:
        axes.set_ylabel("rating")
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return figure


def write(
    results: Results, points: list[Points], table: pd.DataFrame, pairs: pd.DataFrame, simulated: bool, folder: Path
) -> str:
    """Write agreement.csv, comparisons.csv, the plots and report.md into a folder, which is made. Returns the main
    table."""
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "agreement.csv", index=False, float_format="%.6g")
    pairs.to_csv(folder / "comparisons.csv", index=False, float_format="%.6g")
    text = markdown(agreement_table(results, table))
    parts = [f"# How well metrics follow listeners: {results.set_name}", *([INVENTED] if simulated else []), text, NOTE]
    with plt.rc_context(STYLE):
        for level in dict.fromkeys(each.level for each in points):
            save(scatter(results, [each for each in points if each.level == level]), folder / f"by_{level}")
            parts.append(f"![ratings over metrics, by {level}](by_{level}.png)")
    if len(pairs):
        parts += ["## Do two metrics differ?", PAIRS_NOTE, markdown(pair_table(results, pairs))]
    write_atomically(folder / "report.md", "\n\n".join(part.strip() for part in parts) + "\n")
    return text
