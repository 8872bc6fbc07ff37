"""Judgements -> the tables of a report, each with what it is; the method's main table first."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from encodec_eval.listening.analysis.identification import identified
from encodec_eval.listening.analysis.preference import bradley_terry, one_way, thurstone, wins
from encodec_eval.listening.analysis.separation import comparable, joined_by_wins, standing
from encodec_eval.listening.analysis.variance import agreement, block, krippendorff_alpha, mixed_model, repeated_anova
from encodec_eval.listening.methods.base import Method
from encodec_eval.mushra.analysis.figures import condition_label
from encodec_eval.mushra.analysis.report import pair_table, plus_minus
from encodec_eval.mushra.analysis.statistics import compare_pairs, friedman, listener_means, summarise
from encodec_eval.mushra.manifest import REFERENCE
from encodec_eval.report.tables import interval, p_value
from encodec_eval.types import EvalError

SUMMARY = "summary"


@dataclass(frozen=True)
class Section:
    """A table of the report: `name` that of its file, `table` its numbers, `text` the same for reading, `note` what
    they are. `lacking` says why there is none."""

    name: str
    title: str
    note: str
    table: pd.DataFrame
    text: pd.DataFrame
    lacking: str = ""


def sections(kept: pd.DataFrame, method: Method) -> list[Section]:
    """The statistics of a method over the judgements of listeners who were kept."""
    if method.name == "ab":
        return _preferences(kept)
    if method.name == "abx":
        return _identifications(kept)
    return _ratings(kept, method)


def _preferences(kept: pd.DataFrame) -> list[Section]:
    rows = kept.rename(columns={"condition": "first", "against": "second"})
    pairs = wins(rows)
    shown = pairs.assign(first=pairs["first"].map(condition_label), second=pairs["second"].map(condition_label))
    text = shown.round({"share": 3}).assign(p=shown["p"].map(p_value), p_holm=shown["p_holm"].map(p_value))
    note = (
        "`share`: of the first, ties half. p: permutation of the signs of listeners' mean preferences, "
        "corrected after Holm over all pairs."
    )
    return [
        _strengths(rows),
        Section("pairs", "Preferences by pair", note, pairs, text.rename(columns={"p_holm": "p (Holm)"})),
        _agreement(_preference_agreement(rows)),
    ]


def _strengths(rows: pd.DataFrame) -> Section:
    """Strengths of the conditions that comparisons join; of the others only why they have none."""
    fit = bradley_terry(rows)  # of all: where it was stopped tells the order even where there is no finite estimate
    table = pd.DataFrame({"condition": fit.conditions}).set_index("condition", drop=False)
    joined, scaled = comparable(rows)[0], joined_by_wins(rows)[0]
    if len(joined) > 1:
        found = bradley_terry(_among(rows, joined))
        table.loc[list(found.conditions), "log_strength"] = found.values
        table.loc[list(found.conditions), "ci95"] = found.half_intervals
    table["thurstone"] = pd.Series(thurstone(_among(rows, scaled)) if len(scaled) > 1 else {}, dtype=float)
    table = table.reindex(columns=["condition", "log_strength", "ci95", "thurstone"])
    without = table["log_strength"].isna()
    table["without_strength"] = [standing(rows, str(name)) if gone else "" for name, gone in without.items()]
    text = pd.DataFrame(
        {
            "condition": table["condition"].map(condition_label),
            "log strength ± 95 % CI": _plus_minus(table["log_strength"], table["ci95"]),
            "Thurstone, case V": table["thurstone"].map("{:.2f}".format),
        }
    )
    text.loc[without, "log strength ± 95 % CI"] = "- (" + table.loc[without, "without_strength"] + ")"
    text.loc[table["thurstone"].isna(), "Thurstone, case V"] = "-"
    note = (
        "Bradley and Terry's model with ties after Davidson, t intervals from the sandwich over listeners; Thurstone's "
        "values in standard deviations of a difference, a tie half a win of each. 0 is the mean of those that have one."
    )
    if without.any():
        note += " **-: how much stronger or weaker has no finite estimate; see the preferences by pair.**"
    if without.any() and not without.all():
        note += " The strengths of the others are from the comparisons among them."
    order = np.argsort(-fit.values, kind="stable")
    return Section(SUMMARY, "Strengths", note, table.iloc[order].reset_index(drop=True), text.iloc[order])


def _among(rows: pd.DataFrame, conditions: list[str]) -> pd.DataFrame:
    return rows[rows["first"].isin(conditions) & rows["second"].isin(conditions)]


def _preference_agreement(rows: pd.DataFrame) -> pd.DataFrame:
    table = one_way(rows).pivot_table(
        index="listener", columns=["first", "second", "item"], values="score", aggfunc="mean"
    )
    row = ("Krippendorff's alpha (ordinal)", len(table), rows["item"].nunique())
    return pd.DataFrame(
        [(*row, krippendorff_alpha(table.to_numpy(), "ordinal"))], columns=["measure", "listeners", "items", "value"]
    )


def _identifications(kept: pd.DataFrame) -> list[Section]:
    note = (
        "Exact one-sided binomial test against guessing; Clopper and Pearson's interval, which treats the answers of a "
        "listener as independent; p (Holm) is corrected over all rows."
    )
    made = []
    for name, title, by in ((SUMMARY, "Right answers", []), ("by_listener", "By listener", ["listener"])):
        table = identified(kept, [*by, "condition"])
        text = table[by].assign(condition=table["condition"].map(condition_label))
        text["right"] = [f"{right} of {trials}" for right, trials in zip(table["right"], table["trials"], strict=True)]
        text["share (95 % CI)"] = [
            interval(share, low, high, 2) for share, low, high in table[["share", "low", "high"]].to_numpy(float)
        ]
        text["p"], text["p (Holm)"] = table["p"].map(p_value), table["p_holm"].map(p_value)
        made.append(Section(name, title, note, table, text))
    made[0] = Section(SUMMARY, made[0].title, note, *_sorted(made[0].table, made[0].text, "share"))
    return made


def _ratings(kept: pd.DataFrame, method: Method) -> list[Section]:
    table = summarise(kept)
    quartiles = table[["median", "q25", "q75"]].to_numpy(float)
    text = pd.DataFrame(
        {
            "condition": table["condition"].map(condition_label),
            "mean ± 95 % CI": _plus_minus(table["mean"], table["ci95"]),
            "median (quartiles)": [interval(middle, low, high, 1) for middle, low, high in quartiles],
            "listeners": table["listeners"].astype(str),
            "ratings": table["ratings"].astype(str),
        }
    )
    measure = method.measure[0].upper() + method.measure[1:]
    note = f"{measure}: mean and 95 % interval (Student t) over listeners' means; quartiles over ratings."
    order = list(table.sort_values("mean", ascending=False)["condition"])
    means = listener_means(kept)[order].dropna()
    pairs = compare_pairs(means) if len(order) > 1 else pd.DataFrame(columns=["first", "second"])
    # That the hidden reference differs from the versions is no news, and it hardly varies.
    versions = kept[kept["condition"] != REFERENCE]
    pair_note = "Permutation of the signs of listeners' mean differences; p corrected after Holm over all pairs."
    return [
        Section(SUMMARY, "Means", note, *_sorted(table, text, "mean")),
        _friedman(means.drop(columns=REFERENCE, errors="ignore")),
        Section("pairs", "Pairs", pair_note, pairs, pair_table(pairs, 2))
        if len(pairs)
        else _without("pairs", "Pairs", "only one condition was judged"),
        _anova(versions),
        _mixed(versions),
        _agreement(agreement(kept)),
    ]


def _friedman(means: pd.DataFrame) -> Section:
    title = "Friedman's test"
    try:
        found = pd.DataFrame([friedman(means)])
    except EvalError as error:
        return _without("friedman", title, str(error))
    text = found.assign(chi2=found["chi2"].round(1), p=found["p"].map(p_value), kendall_w=found["kendall_w"].round(2))
    names = {"chi2": "chi²", "kendall_w": "Kendall's W"}
    note = (
        "Are the conditions equal? Without the hidden reference, by the ranks of each listener's means. Kendall's W: "
        "how far these rankings agree."
    )
    return Section("friedman", title, note, found, text.rename(columns=names))


def _anova(versions: pd.DataFrame) -> Section:
    title = "Analysis of variance"
    cells = block(versions)
    if cells is None:
        return _without("anova", title, "not every listener judged every condition of every item")
    table = repeated_anova(cells)
    if not len(table):
        return _without("anova", title, "only one condition of one item was judged")
    text = table.round({"ss": 2, "error_ss": 2, "f": 2, "epsilon": 2}).assign(
        p=table["p"].map(p_value), p_corrected=table["p_corrected"].map(p_value)
    )
    note = (
        "Repeated measures without the hidden reference, each effect against its interaction with listeners. p assumes "
        "sphericity; p (corrected) multiplies both degrees of freedom by epsilon, after Greenhouse and Geisser."
    )
    return Section("anova", title, note, table, text.rename(columns={"p_corrected": "p (corrected)"}))


def _mixed(versions: pd.DataFrame) -> Section:
    title = "Mixed model"
    try:
        table = mixed_model(versions)
    except EvalError as error:
        return _without("mixed_model", title, str(error))
    text = table.round(3).assign(condition=table["condition"].map(condition_label))
    note = (
        "`score ~ condition + (1 | listener) + (1 | item)` by REML, without the hidden reference; normal intervals; "
        "standard deviations of listeners, items and the rest."
    )
    return Section("mixed_model", title, note, table, text)


def _agreement(table: pd.DataFrame) -> Section:
    note = (
        "1 is full agreement, 0 is chance. ICC(2,1) is that of one listener, ICC(2,k) that of the mean of all: "
        "absolute agreement, in groups who heard the same items."
    )
    return Section("agreement", "Agreement between listeners", note, table, table.round(3))


def _without(name: str, title: str, reason: str) -> Section:
    return Section(name, title, "", pd.DataFrame(), pd.DataFrame(), f"Not computed: {reason}.")


def _plus_minus(means: pd.Series, halves: pd.Series) -> list[str]:
    return [plus_minus(mean, half, 2) for mean, half in zip(means, halves, strict=True)]


def _sorted(table: pd.DataFrame, text: pd.DataFrame, by: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Numbers as they are, their text best first."""
    return table, text.loc[table.sort_values(by, ascending=False).index]
