"""Analysis of variance of repeated measures, a mixed model, and Krippendorff's alpha."""

import itertools
import warnings
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.linalg
import scipy.stats

from encodec_eval.mushra.analysis import statistics
from encodec_eval.types import EvalError

FloatArray = npt.NDArray[np.float64]
MOST_FOR_MIXED = 3000  # ratings; the model's matrices have their square as size


def repeated_anova(scores: FloatArray) -> pd.DataFrame:
    """Analysis of variance of `scores [listeners, conditions, items]`: effects against interactions with listeners.

    ITU-R BS.1116-3 asks for an analysis of variance of difference grades; listeners are the random factor, so that
    `condition` is tested against `condition x listener`, and so on (Winer, Statistical Principles in Experimental
    Design, 1971, chapter 7). Rows `effect, ss, df, error_ss, error_df, f, p, epsilon, p_corrected`: `p` takes
    sphericity for granted, for `p_corrected` both degrees of freedom are times `epsilon`. With one item, or one
    condition, effects of it are left out. Raises `EvalError` for fewer than two listeners.
    """
    listeners = scores.shape[0]
    if listeners < 2:
        raise EvalError(f"{listeners} listeners; expected two or more for an analysis of variance")
    names = {"condition": (1,), "item": (2,), "condition x item": (1, 2)}
    rows = []
    for name, axes in names.items():
        df = int(np.prod([scores.shape[axis] - 1 for axis in axes]))
        if df == 0:
            continue
        ss, error_ss = _sum_of_squares(scores, axes), _sum_of_squares(scores, (0, *axes))
        error_df = df * (listeners - 1)
        f = (ss / df) / (error_ss / error_df) if error_ss > 0 else float("inf")
        epsilon = sphericity(scores, axes)
        p, corrected = (float(scipy.stats.f.sf(f, share * df, share * error_df)) for share in (1.0, epsilon))
        rows.append((name, ss, df, error_ss, error_df, f, p, epsilon, corrected))
    columns = ["effect", "ss", "df", "error_ss", "error_df", "f", "p", "epsilon", "p_corrected"]
    return pd.DataFrame(rows, columns=columns)


def sphericity(scores: FloatArray, axes: tuple[int, ...]) -> float:
    """Box's epsilon of the effect of the factors `axes` of `scores [listeners, conditions, items]`, estimated after
    Greenhouse and Geisser (Psychometrika 24, 1959): 1 where orthogonal contrasts of the effect vary alike and apart
    over listeners, 1 / df at the worst. 1 if nothing varies.
    """
    away = tuple(axis for axis in range(1, scores.ndim) if axis not in axes)
    cells = scores.mean(axis=away).reshape(len(scores), -1)
    contrasts: FloatArray = np.ones((1, 1))
    for axis in axes:
        contrasts = np.asarray(np.kron(contrasts, scipy.linalg.helmert(scores.shape[axis])), dtype=np.float64)
    covariance = np.atleast_2d(np.cov(contrasts @ cells.T))
    spread = float((covariance**2).sum())
    return float(np.trace(covariance)) ** 2 / (len(covariance) * spread) if spread > 0 else 1.0


def _sum_of_squares(scores: FloatArray, axes: tuple[int, ...]) -> float:
    """Of the interaction of the factors `axes`: marginal means, without all lower effects."""
    effect = np.zeros_like(scores)
    for size in range(len(axes) + 1):
        for kept in itertools.combinations(axes, size):
            away = tuple(axis for axis in range(scores.ndim) if axis not in kept)
            effect = effect + (-1) ** (len(axes) - size) * scores.mean(axis=away, keepdims=True)
    return float((effect**2).sum())


def block(judgements: pd.DataFrame) -> FloatArray | None:
    """Scores `[listeners, conditions, items]`, several of one cell averaged; None unless every cell is there."""
    table = judgements.pivot_table(index="listener", columns=["condition", "item"], values="score", aggfunc="mean")
    conditions, items = judgements["condition"].nunique(), judgements["item"].nunique()
    if table.shape[1] != conditions * items or table.isna().to_numpy().any():
        return None
    return table.to_numpy().reshape(len(table), conditions, items)


def mixed_model(judgements: pd.DataFrame) -> pd.DataFrame:
    """`score ~ condition + (1 | listener) + (1 | item)` by REML, with statsmodels, the extra [listening].

    Returns the conditions' means (`condition, mean, ci95`, normal intervals) that hold over listeners and items both,
    each row with the standard deviations `listener_sd`, `item_sd`, `residual_sd`. Raises `EvalError` without it,
    for one listener or item, and for more than `MOST_FOR_MIXED` judgements.
    """
    if min(judgements["listener"].nunique(), judgements["item"].nunique()) < 2 or len(judgements) > MOST_FOR_MIXED:
        raise EvalError(f"the mixed model needs two listeners, two items and at most {MOST_FOR_MIXED} judgements")
    try:
        import statsmodels.api as sm
    except ImportError as error:
        raise EvalError("the mixed model needs statsmodels: pip install -e '.[listening]'") from error
    conditions = sorted(judgements["condition"].unique())
    fixed = pd.get_dummies(pd.Categorical(judgements["condition"], conditions)).to_numpy(float)
    random = [pd.get_dummies(judgements[name]).to_numpy(float) for name in ("listener", "item")]
    structure: Any = sm.regression.mixed_linear_model.VCSpec(
        ["listener", "item"], [[[*map(str, range(each.shape[1]))]] for each in random], [[each] for each in random]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a variance at zero, which the figures below show
        model = sm.MixedLM(
            judgements["score"].to_numpy(float), fixed, groups=np.ones(len(judgements)), exog_vc=structure
        )
        fit = model.fit(reml=True, method=["lbfgs"])
    half = scipy.stats.norm.ppf(0.975) * np.sqrt(np.diag(fit.cov_params())[: len(conditions)])
    table = pd.DataFrame({"condition": conditions, "mean": fit.fe_params, "ci95": half})
    spreads = dict(zip(("listener_sd", "item_sd"), np.sqrt(fit.vcomp).tolist(), strict=True))
    return table.assign(**spreads, residual_sd=float(np.sqrt(fit.scale)))


def agreement(judgements: pd.DataFrame) -> pd.DataFrame:
    """How far listeners agree, rows `measure, listeners, items, value`: Krippendorff's alpha of all scores, a condition
    of an item being a unit; ICC(2,1) and ICC(2,k) of each group of two listeners or more who heard the same items."""
    table = judgements.pivot_table(index="listener", columns=["condition", "item"], values="score", aggfunc="mean")
    alpha = krippendorff_alpha(table.to_numpy())
    rows = [("Krippendorff's alpha (interval)", len(table), judgements["item"].nunique(), alpha)]
    cells = judgements.groupby(["listener", "condition", "item"])["score"].mean().to_frame().reset_index()
    for group in statistics.agreement(cells).to_dict("records"):
        if group["listeners"] < 2:
            continue
        heard = group["listeners"], group["items"]
        rows += [("ICC(2,1)", *heard, group["icc_single"]), ("ICC(2,k)", *heard, group["icc_mean"])]
    return pd.DataFrame(rows, columns=["measure", "listeners", "items", "value"])


def krippendorff_alpha(scores: FloatArray, level: Literal["ordinal", "interval"] = "interval") -> float:
    """Krippendorff's alpha of `scores [raters, units]`, NaN where a rater did not rate: 1 is full agreement, 0 that of
    chance (Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011). NaN where all scores are equal."""
    values = np.unique(scores[np.isfinite(scores)])
    counts = np.stack([(scores == value).sum(axis=0) for value in values]).astype(float)  # [values, units]
    counts = counts[:, counts.sum(axis=0) > 1]
    raters = counts.sum(axis=0)
    coincidences = (counts / (raters - 1)) @ counts.T - np.diag((counts / (raters - 1)).sum(axis=1))
    totals = coincidences.sum(axis=1)
    if level == "interval":
        distance = (values[:, None] - values[None, :]) ** 2
    else:
        ranks = np.cumsum(totals) - totals / 2
        distance = (ranks[:, None] - ranks[None, :]) ** 2
    expected = (np.outer(totals, totals) * distance).sum() / (totals.sum() - 1)
    return float(1 - (coincidences * distance).sum() / expected) if expected > 0 else float("nan")
