"""A codec's results as the head of a Hugging Face model card, and the table below it."""

import numpy as np
import pandas as pd
from huggingface_hub import EvalResult, ModelCardData

from encodec_eval.report import tables
from encodec_eval.report.results import Results, records, summarize
from encodec_eval.types import EvalError


def model_card(run: Results, series: str) -> str:
    """The snippet for one codec of a run: `model-index` metadata and a table.

    Raises `EvalError` if the run has no such series.
    """
    points = run.points[run.points.series == series]
    if points.empty:
        raise EvalError(f"no codec {series!r} in {run.folder}; expected {', '.join(run.points.series.unique())}")
    summary = summarize(run)
    table = tables.main_table(run, summary)
    data = ModelCardData(model_name=series, eval_results=eval_results(run, summary[summary.series == series]))
    body = tables.markdown(tables.quality_table(table[table.point.isin(points.name)]))
    about = f"{len(run.clips)} clips of {run.set_name}, means. {run.interval_note}"
    return f"---\n{data.to_yaml()}\n---\n\n## Evaluation\n\n{about}\n\n{body}"


def eval_results(run: Results, summary: pd.DataFrame) -> list[EvalResult]:
    """One for each point and audio metric that has a mean."""
    return [
        EvalResult(
            task_type="audio-to-audio",
            task_name="Audio coding",
            dataset_type=run.set_name,
            dataset_name=run.set_name,
            metric_type=row.metric,
            metric_name=f"{run.measures[row.metric].title} at {row.point}",
            metric_value=round(row.mean, run.measures[row.metric].digits + 1),
        )
        for row in records(summary)
        if row.metric in run.quality_metrics and np.isfinite(row.mean)
    ]
