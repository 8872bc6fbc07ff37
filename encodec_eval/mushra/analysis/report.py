"""Analysed ratings -> tables (CSV, Markdown, LaTeX) and figures in a folder."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from encodec_eval.mushra.analysis import figures, paper
from encodec_eval.mushra.analysis.analyse import Analysis
from encodec_eval.mushra.analysis.screening import Dropped
from encodec_eval.report.tables import latex, markdown, p_value

FEW_LISTENERS = 15
INVENTED = "**`mushra simulate` invented these scores to test the analysis. They say nothing about any codec.**"


def overall_table(analysis: Analysis) -> pd.DataFrame:
    """The main table as text, best mean first: mean ± interval, median and quartiles, counts; for clean speech the
    paper's scores too."""
    rows = []
    for _, row in analysis.summary.sort_values("mean", ascending=False).iterrows():
        paper_score = paper.quoted(row["condition"]) if analysis.clean_speech else None
        rows.append(
            {
                "condition": figures.condition_label(row["condition"]),
                "mean ± 95 % CI": plus_minus(row["mean"], row["ci95"]),
                "median (quartiles)": f"{row['median']:.0f} ({row['q25']:.0f} to {row['q75']:.0f})",
                "ratings": f"{row['ratings']}",
                "paper, quoted": plus_minus(*paper_score) if paper_score else "",
            }
        )
    table = pd.DataFrame(rows)
    return table if any(table["paper, quoted"]) else table.drop(columns="paper, quoted")


def domain_table(analysis: Analysis) -> pd.DataFrame:
    """Mean ± interval as text: a row a condition, a column a domain, and one over all."""
    stacked = pd.concat([analysis.by_domain, analysis.summary.assign(domain="all")])
    cells = [plus_minus(mean, half) for mean, half in zip(stacked["mean"], stacked["ci95"], strict=True)]
    wide = stacked.assign(cell=cells).pivot(index="condition", columns="domain", values="cell")
    order = analysis.summary.sort_values("mean", ascending=False)["condition"]
    wide = wide.loc[order, list(dict.fromkeys(stacked["domain"]))].fillna("-")
    wide.index = pd.Index([figures.condition_label(name) for name in wide.index], name="condition")
    return wide.reset_index()


def pair_table(pairs: pd.DataFrame, digits: int = 1) -> pd.DataFrame:
    """Comparisons as text."""
    return pd.DataFrame(
        {
            "first": pairs["first"].map(figures.condition_label),
            "second": pairs["second"].map(figures.condition_label),
            "difference ± 95 % CI": [
                plus_minus(d, c, digits) for d, c in zip(pairs["difference"], pairs["ci95"], strict=True)
            ],
            "p": pairs["p"].map(p_value),
            "p (Holm)": pairs["p_holm"].map(p_value),
        }
    )


def plus_minus(mean: float, half: float, digits: int = 1) -> str:
    return f"{mean:.{digits}f}" if np.isnan(half) else f"{mean:.{digits}f} ± {half:.{digits}f}"


def markdown_report(analysis: Analysis) -> str:
    """The whole report."""
    table, test = overall_table(analysis), analysis.friedman
    kept = analysis.ratings["listener"].nunique()
    parts = [f"# {analysis.title}", f"{analysis.note}."]
    if analysis.simulated:
        parts.append(INVENTED)
    elif kept < FEW_LISTENERS:
        parts.append(
            f"With {kept} listeners the intervals are wide and tests weak; BS.1534 finds 20 to be often enough."
        )
    parts += ["![Scores](scores.png)", markdown(table)]
    parts.append(
        "Mean and 95 % interval (Student t) over listeners' means; median and quartiles over ratings."
        + (
            f" Quoted: {paper.SOURCE}, of Opus and the full EnCodec, from other listeners and items."
            if "paper, quoted" in table
            else ""
        )
    )
    if len(analysis.by_domain):
        parts += ["## By domain", markdown(domain_table(analysis)), "Mean and 95 % interval over listeners' means."]
    parts += ["## Listeners dropped", dropped_text(analysis.dropped)]
    parts += [
        "## Comparisons",
        f"Friedman: chi² = {test['chi2']:.1f} with {test['df']:.0f} degrees of freedom, p {p_value(test['p'])}; "
        f"Kendall's W = {test['kendall_w']:.2f}. "
        "Pairs: permutation of the signs of listeners' mean differences, corrected after Holm.",
        markdown(pair_table(analysis.pairs)),
        "## Agreement between listeners",
        markdown(analysis.agreement.round(2).rename(columns={"icc_single": "ICC(2,1)", "icc_mean": "ICC(2,k)"})),
        "ICC(2,1): one listener; ICC(2,k): the mean of all; absolute agreement over all stimuli of the same items.",
        "## By item",
        "![Scores by item](items.png)",
    ]
    if len(analysis.correlations):
        parts += ["## Against objective measures", "![Correlation](correlation.png)"]
        parts += [markdown(analysis.correlations.round(3)), "Over stimuli of all systems and anchors."]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def dropped_text(dropped: Sequence[Dropped]) -> str:
    return "\n".join(f"- `{each.listener}`: {each.reason}" for each in dropped) or "None."


def write_report(analysis: Analysis, folder: Path) -> None:
    """Write report, tables and figures into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    title = analysis.title
    order = list(analysis.summary.sort_values("mean", ascending=False)["condition"])
    tables = {"summary": analysis.summary, "by_item": analysis.by_item, "pairs": analysis.pairs}
    tables |= {"by_domain": analysis.by_domain} if len(analysis.by_domain) else {}
    tables |= {"agreement": analysis.agreement, "correlations": analysis.correlations}
    tables["dropped"] = pd.DataFrame([asdict(each) for each in analysis.dropped], columns=["listener", "reason"])
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    (folder / "report.md").write_text(markdown_report(analysis), encoding="utf-8")
    (folder / "summary.tex").write_text(
        latex(overall_table(analysis), f"{title}: {analysis.note}", "tab:mushra"), "utf-8"
    )
    scores = figures.score_figure(analysis.ratings, analysis.summary, title, analysis.note)
    figures.save_figure(scores, folder / "scores.png")
    figures.save_figure(figures.item_figure(analysis.by_item, order, f"{title}, by item"), folder / "items.png")
    if len(analysis.correlations):
        joined = analysis.objective.merge(analysis.by_item, on=["item", "condition"])
        figure = figures.correlation_figure(joined, analysis.correlations, f"{title}, against objective measures")
        figures.save_figure(figure, folder / "correlation.png")
