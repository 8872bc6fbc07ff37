"""Which strengths paired comparisons can tell: a condition that never lost to the others, or never won, has none.

A comparison is a row `first, second, score`, as in `preference`.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.optimize
from scipy.sparse.csgraph import connected_components

FloatArray = npt.NDArray[np.float64]
NOTHING = 1e-7  # below it a direction does not part two strengths


def comparable(comparisons: pd.DataFrame) -> list[list[str]]:
    """Groups of conditions within which Davidson's model has finite differences of log strengths, the largest first.

    A multinomial logit has no largest likelihood where its parameters can move in a direction that makes no answer less
    likely (Albert and Anderson, Biometrika 71, 1984). With d for the move of a log strength and t for that of log nu,
    a win of i over j asks for d_i >= d_j and, where there are ties, (d_i - d_j) / 2 >= t; a tie asks for
    t >= |d_i - d_j| / 2. Two conditions are in one group unless such a direction parts them. Without ties that is
    Ford's condition (Am. Math. Monthly 64, 1957): a chain of wins leads from each to the other.
    """
    conditions, wins, ties = _counted(comparisons)
    n = len(conditions)
    rows = []
    for i, j in wins:
        rows.append(_row(n, j, i, 0.0))
        if ties:
            rows.append(_row(n, j, i, 2.0))
    for i, j in ties:
        rows += [_row(n, i, j, -2.0), _row(n, j, i, -2.0)]
    same = np.eye(n)
    for i, j in combinations(range(n), 2):
        same[i, j] = same[j, i] = not any(_parted(np.array(rows), *pair) for pair in ((i, j), (j, i)))
    return _groups(conditions, same)


def joined_by_wins(comparisons: pd.DataFrame) -> list[list[str]]:
    """Groups of conditions within which Thurstone's case V has finite differences, where a tie is half a win of each:
    those that chains of wins and ties join both ways; the largest first."""
    conditions, wins, ties = _counted(comparisons)
    graph = np.zeros((len(conditions), len(conditions)))
    for i, j in [*wins, *ties, *((j, i) for i, j in ties)]:
        graph[i, j] = 1
    return _groups(conditions, graph)


def standing(comparisons: pd.DataFrame, condition: str) -> str:
    """Why a condition has no strength beside the others: it "never lost", it "never won", or it does but its wins and
    losses join it to no other ("parted from the others")."""
    first, second = comparisons["first"] == condition, comparisons["second"] == condition
    own = np.concatenate([comparisons.loc[first, "score"], -comparisons.loc[second, "score"]])
    if not (own < 0).any():
        return "never lost"
    return "parted from the others" if (own > 0).any() else "never won"


def _counted(comparisons: pd.DataFrame) -> tuple[list[str], set[tuple[int, int]], set[tuple[int, int]]]:
    """The conditions, and by their places who ever won over whom, and who was ever tied with whom."""
    conditions = sorted({*comparisons["first"], *comparisons["second"]})
    place = {name: n for n, name in enumerate(conditions)}
    wins, ties = set(), set()
    for first, second, score in zip(*(comparisons[name] for name in ("first", "second", "score")), strict=True):
        pair = place[first], place[second]
        if score == 0:
            ties.add(pair)
        else:
            wins.add(pair if score > 0 else pair[::-1])
    return conditions, wins, ties


def _row(n: int, plus: int, minus: int, of_tie: float) -> FloatArray:
    """The left side of `d_plus - d_minus + of_tie * t <= 0`."""
    row = np.zeros(n + 1)
    row[plus], row[minus], row[n] = 1, -1, of_tie
    return row


def _parted(rows: FloatArray, first: int, second: int) -> bool:
    """Whether a direction within the bounds `rows` raises the first strength above the second."""
    aim = -_row(rows.shape[1] - 1, first, second, 0.0)
    found = scipy.optimize.linprog(aim, A_ub=rows, b_ub=np.zeros(len(rows)), bounds=(-1, 1))
    assert found.x is not None, "no move at all is within the bounds"
    return bool(aim @ found.x < -NOTHING)


def _groups(conditions: Sequence[str], graph: FloatArray) -> list[list[str]]:
    _, labels = connected_components(graph, directed=True, connection="strong")
    groups = [[name for name, own in zip(conditions, labels, strict=True) if own == label] for label in set(labels)]
    return sorted(groups, key=lambda group: (-len(group), group))
