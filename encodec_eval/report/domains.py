"""Results by what is heard: a row for each domain and point, as in table 1 of the paper, and one over all."""

from collections.abc import Sequence

import pandas as pd

from encodec_eval.files import safe_name
from encodec_eval.report import caveats, tables
from encodec_eval.report.html import Section
from encodec_eval.report.plots import write_curves
from encodec_eval.report.results import Results, summarize

ALL = "all"


def section(results: Results, summary: pd.DataFrame, floats: str, curves: Sequence[str] | None = None) -> Section:
    """The part of a report that splits it by domain. Writes by_domain.csv and the figures of each domain.

    `summary` is that over all clips; `curves` are the metrics that are drawn, None for all.
    """
    parts = {name or "unlabelled": results.of_domain(name) for name in results.domains}
    summaries = {name: summarize(part) for name, part in parts.items()} | {ALL: summary}
    stacked = pd.concat([table.assign(domain=name) for name, table in summaries.items()])
    stacked.to_csv(results.folder / "by_domain.csv", index=False, float_format=floats)
    rows = [
        caveats.marked(tables.quality_table(tables.main_table(part, summaries[name])), part, summaries[name])
        for name, part in (parts | {ALL: results}).items()
    ]
    table = pd.concat([each.assign(domain=name) for name, each in zip(summaries, rows, strict=True)]).fillna("-")
    table = table[["point", "domain", *(name for name in table if name not in ("point", "domain"))]]
    order = {name: n for n, name in enumerate(results.points.name)}
    table = table.sort_values("point", key=lambda names: names.map(order), kind="stable", ignore_index=True)
    figures = [
        path
        for name, part in parts.items()
        for path in write_curves(part, summaries[name], f"_{safe_name(name)}", curves)
    ]
    note = (
        f"Means over the clips of a domain{tables.pooled_note(results)}, with 95 % t intervals over its speakers; "
        "`all`: over all clips."
    )
    table, footnotes = caveats.numbered(table)
    return Section("Results by domain", table, note, figures, open=True, footnotes=footnotes)
