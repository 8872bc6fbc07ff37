"""Ratings -> everything that the report says about them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from encodec_eval.mushra.analysis import domains, statistics
from encodec_eval.mushra.analysis.ratings import SIMULATED
from encodec_eval.mushra.analysis.screening import Dropped
from encodec_eval.mushra.manifest import REFERENCE, Manifest


@dataclass(frozen=True)
class Analysis:
    """Everything that the report says. `ratings` are those kept, `simulated` if any of them is; for the tables see
    `statistics`."""

    title: str
    preset: str
    simulated: bool
    clean_speech: bool
    ratings: pd.DataFrame
    heard: int
    dropped: Sequence[Dropped]
    summary: pd.DataFrame
    by_item: pd.DataFrame
    by_domain: pd.DataFrame
    friedman: dict[str, float]
    pairs: pd.DataFrame
    agreement: pd.DataFrame
    objective: pd.DataFrame
    correlations: pd.DataFrame

    @property
    def note(self) -> str:
        """Who the numbers come from, in one line."""
        listeners, items = self.ratings["listener"].nunique(), self.ratings["item"].nunique()
        who = "SIMULATED listeners, no human heard this" if self.simulated else "listeners"
        return (
            f"{listeners} {who}; {items} items; {len(self.dropped)} of {self.heard} dropped by the {self.preset} rule"
        )


def objective_scores(manifest: Manifest | None) -> pd.DataFrame:
    """The preview scores that have a value, the reference's left out: rows `item, condition, metric, value`."""
    rows = [
        {"item": item.id, "condition": stimulus.condition, "metric": metric, "value": value}
        for item in (manifest.items if manifest else ())
        for stimulus in item.stimuli
        if stimulus.condition != REFERENCE
        for metric, value in stimulus.scores.items()
        if isinstance(value, float)
    ]
    return pd.DataFrame(rows, columns=["item", "condition", "metric", "value"])


def analyse(ratings: pd.DataFrame, manifest: Manifest | None, preset: str, dropped: Sequence[Dropped]) -> Analysis:
    """All statistics of ratings (`listener, item, condition, score`) without the listeners who were dropped."""
    kept = ratings[~ratings["listener"].isin([each.listener for each in dropped])]
    means = statistics.listener_means(kept)
    means = means[means.mean().sort_values(ascending=False).index]
    by_item = statistics.summarise(kept, ("item", "condition"))
    objective = objective_scores(manifest)
    simulated = bool(kept["listener"].str.startswith(SIMULATED).any())
    return Analysis(
        title=(manifest.title if manifest else "Listening test") + (" (simulated listeners)" if simulated else ""),
        preset=preset,
        simulated=simulated,
        clean_speech=manifest is not None and domains.clean_speech(manifest),
        ratings=kept,
        heard=ratings["listener"].nunique(),
        dropped=dropped,
        summary=statistics.summarise(kept),
        by_item=by_item,
        by_domain=domains.summarise(kept, manifest),
        friedman=statistics.friedman(means),
        pairs=statistics.compare_pairs(means),
        agreement=statistics.agreement(kept),
        objective=objective,
        correlations=statistics.correlations(by_item, objective),
    )
