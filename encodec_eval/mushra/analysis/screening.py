"""Post-screening: whose ratings are not used, and why. Ratings are rows `listener, item, condition, score`."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from encodec_eval.mushra.manifest import LOW_ANCHOR, MID_ANCHOR, REFERENCE, Manifest
from encodec_eval.types import EvalError


@dataclass(frozen=True)
class Dropped:
    """A listener whose ratings are not used."""

    listener: str
    reason: str


def screen_bs1534(ratings: pd.DataFrame) -> list[Dropped]:
    """The rule of ITU-R BS.1534-3: hidden reference below 90 on more than 15 % of a listener's items, or
    mid anchor above 90 on more than 15 % of them. Items whose mid anchor more than 25 % of the listeners put above 90
    are left out of the second count."""
    _need(ratings, REFERENCE, MID_ANCHOR)
    reference, mid = _scores(ratings, REFERENCE), _scores(ratings, MID_ANCHOR)
    above = (mid > 90).where(mid.notna())
    above = above.loc[:, above.astype(float).mean() <= 0.25]
    return _drop(
        ratings,
        (_share(reference < 90, reference), lambda share: share > 0.15, "hidden reference below 90 on {:.0%} of items"),
        (_share(above == 1, above), lambda share: share > 0.15, "mid anchor above 90 on {:.0%} of items"),
    )


def screen_paper(ratings: pd.DataFrame) -> list[Dropped]:
    """The rule of the EnCodec paper (arXiv 2210.13438): reference below 90 in at least 20 % of the cases,
    or low anchor above 80 in more than half of them."""
    _need(ratings, REFERENCE, LOW_ANCHOR)
    reference, low = _scores(ratings, REFERENCE), _scores(ratings, LOW_ANCHOR)
    return _drop(
        ratings,
        (_share(reference < 90, reference), lambda share: share >= 0.2, "hidden reference below 90 on {:.0%} of items"),
        (_share(low > 80, low), lambda share: share > 0.5, "low anchor above 80 on {:.0%} of items"),
    )


SCREENS: dict[str, Callable[[pd.DataFrame], list[Dropped]]] = {"bs1534": screen_bs1534, "paper": screen_paper}


def incomplete(ratings: pd.DataFrame, manifest: Manifest) -> list[Dropped]:
    """Listeners who did not rate all items of one form: a mean over other items would not compare."""
    forms = [set(form) for form in manifest.forms]
    dropped = []
    for listener, rows in ratings.groupby("listener"):
        heard = set(rows["item"])
        if heard not in forms:
            length = len(max(forms, key=lambda form: len(form & heard)))
            dropped.append(Dropped(str(listener), f"not finished: {len(heard)} of {length} items"))
    return dropped


def _need(ratings: pd.DataFrame, *conditions: str) -> None:
    lacking = sorted(set(conditions) - set(ratings["condition"]))
    if lacking:
        raise EvalError(
            f"this post-screening needs ratings of {' and '.join(conditions)}; lacking: {', '.join(lacking)}"
        )


def _scores(ratings: pd.DataFrame, condition: str) -> pd.DataFrame:
    return ratings[ratings["condition"] == condition].pivot(index="listener", columns="item", values="score")


def _share(hit: pd.DataFrame, rated: pd.DataFrame) -> pd.Series:
    return (hit & rated.notna()).sum(axis=1) / rated.notna().sum(axis=1).clip(lower=1)


def _drop(ratings: pd.DataFrame, *rules: tuple[pd.Series, Callable[[float], bool], str]) -> list[Dropped]:
    dropped = []
    for listener in sorted(ratings["listener"].unique()):
        reasons = [text.format(shares[listener]) for shares, broken, text in rules if broken(shares[listener])]
        if reasons:
            dropped.append(Dropped(str(listener), "; ".join(reasons)))
    return dropped
