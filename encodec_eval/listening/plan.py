"""How many listeners and items a test needs, before it: power of a paired difference, and of ABX and AB."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.stats

from encodec_eval.types import EvalError

IntArray = npt.NDArray[np.int64]
ITEMS = (1, 2, 4, 8, 12, 16, 24, 48)
ANSWERS = (1, 4, 8, 16, 32)
MOST = 10_000  # listeners, or answers together: no test is larger


@dataclass(frozen=True)
class Spread:
    """How one listener's difference of two conditions on one item varies: `sd` in points of the scale, and which shares
    of its variance are the listener's own on all items, and the item's own for all listeners."""

    sd: float
    listener_share: float = 0.2
    item_share: float = 0.1

    def __post_init__(self) -> None:
        if not (np.isfinite(self.sd) and self.sd > 0):
            raise EvalError(f"--sd is {self.sd:g}; expected a number of points above 0")
        if min(self.listener_share, self.item_share) < 0 or self.listener_share + self.item_share > 1:
            raise EvalError(
                f"--listener-share {self.listener_share:g} and --item-share {self.item_share:g}; "
                "expected shares of at least 0 and together at most 1"
            )


def paired_power(
    effect: float, spread: Spread, listeners: int, items: int, alpha: float = 0.05, other_items: bool = False
) -> float:
    """Power of the two-sided t test of a difference of `effect` points when every listener rates both conditions on
    every item.

    Differences are effect + listener + item + rest. The items of the test are fixed unless `other_items`: then the
    difference must hold for items like these too, with the degrees of freedom of Satterthwaite (the fully crossed
    design of Westfall, Kenny and Judd, J. Exp. Psychology: General 143, 2014). With fixed items it is the paired t test
    of listeners' means, whose power is that of the noncentral t (Cohen, Statistical Power Analysis, 1988, chapter 2).
    0 where there is nothing to test: fewer than two listeners, or items where other items are meant.
    """
    if listeners < 2 or (other_items and items < 2):
        return 0.0
    variance, rest = spread.sd**2, 1 - spread.listener_share - spread.item_share
    of_listeners = variance * (items * spread.listener_share + rest)  # mean squares of the two-way layout
    of_items = variance * (listeners * spread.item_share + rest)
    error, degrees = of_listeners, listeners - 1.0
    if other_items:
        of_rest = variance * rest
        error = of_listeners + of_items - of_rest
        parts = of_listeners**2 / (listeners - 1) + of_items**2 / (items - 1)
        degrees = error**2 / (parts + of_rest**2 / ((listeners - 1) * (items - 1)))
    if error == 0:
        return 1.0
    shift = abs(effect) / np.sqrt(error / (listeners * items))
    limit = scipy.stats.t.isf(alpha / 2, degrees)
    missed = scipy.stats.nct.cdf(limit, degrees, shift) - scipy.stats.nct.cdf(-limit, degrees, shift)
    return float(1 - np.nan_to_num(missed))  # far from zero scipy's noncentral t underflows to nan: nothing is missed


def fewest(power: Callable[[int], float], wanted: float) -> int | None:
    """The smallest number, up to `MOST`, that reaches the power, which must rise with it; None if none does."""
    low, high = 1, 2
    while power(high) < wanted:
        low, high = high, 2 * high
        if low >= MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= wanted else (middle, high)
    return high if high <= MOST else None


def rating_plan(
    effect: float, spread: Spread, items: Sequence[int], power: float = 0.8, alpha: float = 0.05
) -> pd.DataFrame:
    """Per number of items: the listeners that find a difference of `effect`, for these items and for others like them
    (missing where no number does), and the ratings of one condition that they give."""
    if not (np.isfinite(effect) and effect != 0):
        raise EvalError(f"--effect is {effect:g}; expected a difference other than 0")
    rows = []
    for count in items:
        found = [
            fewest(
                lambda n, count=count, other=other: paired_power(effect, spread, n, count, alpha, other),  # type: ignore[misc]
                power,
            )
            for other in (False, True)
        ]
        reached = paired_power(effect, spread, found[0], count, alpha) if found[0] else float("nan")
        row = {"items": count, "listeners": found[0], "power": reached, "listeners_other_items": found[1]}
        rows.append(row | {"ratings": found[0] * count if found[0] else None})
    return pd.DataFrame(rows).astype(dict.fromkeys(("listeners", "listeners_other_items", "ratings"), "Int64"))


def binomial_power(
    share: float, answers: IntArray, alpha: float = 0.05, two_sided: bool = False
) -> tuple[IntArray, npt.NDArray[np.float64]]:
    """How many of `answers` must be right to reject guessing by the exact binomial test, and the power of that when
    each is right with the probability `share`. Two-sided: as many, of either kind."""
    needed = np.asarray(scipy.stats.binom.isf(alpha / (2 if two_sided else 1), answers, 0.5), dtype=np.int64) + 1
    found = np.asarray(scipy.stats.binom.sf(needed - 1, answers, share))
    if two_sided:
        found = found + np.asarray(scipy.stats.binom.cdf(answers - needed, answers, share))
    return needed, found


def answers_needed(share: float, power: float = 0.8, alpha: float = 0.05, two_sided: bool = False) -> tuple[int, int]:
    """The fewest answers from which on the exact test has the power, and how many of them must be right.

    The power of an exact test is a saw of the number: the first number that reaches it may be followed by some that do
    not. Raises `EvalError` for a share that is guessing, or needs more than `MOST` answers.
    """
    if not 0.5 < share <= 1:
        raise EvalError(f"--share is {share:g}; expected more than 0.5, which is guessing, and at most 1")
    answers = np.arange(1, MOST + 1, dtype=np.int64)
    needed, found = binomial_power(share, answers, alpha, two_sided)
    short = np.flatnonzero(found < power)
    first = int(short[-1]) + 1 if len(short) else 0
    if first >= len(answers):
        raise EvalError(f"a share of {share:g} needs more than {MOST} answers; expected a larger one, or less power")
    return int(answers[first]), int(needed[first])


def choice_plan(
    share: float,
    answers: Sequence[int],
    power: float = 0.8,
    alpha: float = 0.05,
    two_sided: bool = False,
    listener_share: float = 0.0,
) -> pd.DataFrame:
    """Per number of answers that one listener gives to one pair: listeners, and all answers together.

    Answers of one listener are alike: with a correlation of `listener_share` between them, m answers of each count as
    m / (1 + (m - 1) correlation) (the design effect of Kish, Survey Sampling, 1965, chapter 5).
    """
    if not 0 <= listener_share <= 1:
        raise EvalError(f"--listener-share is {listener_share:g}; expected a share from 0 to 1")
    independent, _ = answers_needed(share, power, alpha, two_sided)
    rows = []
    for count in answers:
        effect = 1 + (count - 1) * listener_share
        listeners = int(np.ceil(independent * effect / count - 1e-9))
        rows.append({"answers_each": count, "listeners": listeners, "answers": listeners * count})
    return pd.DataFrame(rows)
