"""Whose answers are not used, and why: ITU-T P.808's controls for crowds, BS.1116's test of expertise, haste."""

from collections.abc import Callable

import pandas as pd
import scipy.stats

from encodec_eval.listening.methods.base import GOLD_BAD, TRAP, Method, is_control
from encodec_eval.mushra.analysis.screening import incomplete
from encodec_eval.mushra.manifest import REFERENCE, Manifest

FEWEST_FOR_LINES = 6  # answers, before equal ones are suspicious
LEAST_VARIANCE = 0.1  # of the answers of one listener, in the toolkit's `acr_result_parser_template.cfg`
HASTY_SHARE, HASTY_TRIALS = 0.5, 0.2
WHOLE_SHARE = 0.9  # of the audio: the end of a recording is often silent
EXPERT_P = 0.05

Rule = Callable[[pd.DataFrame, Method], str]  # of a listener's answers: why they are not used, or ""


def exclusions(answers: pd.DataFrame, manifest: Manifest, method: Method) -> pd.DataFrame:
    """Who is left out: rows `listener, rule, reason`, one for each rule that a listener broke.

    Listeners who did not answer all trials of one form are judged by no other rule.
    """
    gone = incomplete(answers.assign(item=answers["trial"]), manifest)
    rows = [(each.listener, "not finished", each.reason) for each in gone]
    finished = answers[~answers["listener"].isin([each.listener for each in gone])]
    rows += [
        (str(listener), name, reason)
        for listener, given in finished.groupby("listener")
        for name, rule in rules_of(method).items()
        if (reason := rule(given, method))
    ]
    return pd.DataFrame(rows, columns=["listener", "rule", "reason"])


def rules_of(method: Method) -> dict[str, Rule]:
    """The rules of a method, over listeners who finished.

    With controls (ACR, DCR, CCR), those of ITU-T P.808 as the toolkit of Naderi and Cutler (Interspeech 2020,
    github.com/microsoft/P.808, `result_parser.py`) has them: a trapping question answered wrong; a gold question off by
    more than 1; a variance below 0.1 of all other answers. The hidden reference is the toolkit's gold question of
    excellent quality in ACR, and of a pair of equals in DCR (4 or 5) and CCR (-1 to 1); as every listener hears
    several, it is their mean that may not be off by more than 1. Not the toolkit's: in AB the same answer throughout.
    BS.1116-3: a one-sided t test of the listener's difference grades that does not find them below zero at 5 %, as in
    the verification tests of MPEG (ISO/IEC JTC1/SC29/WG11).
    """
    rules: dict[str, Rule] = {}
    if method.known:
        rules |= {"trapping question": _trap, "gold question": _gold, "hidden reference": _reference}
    if method.name == "bs1116":
        rules["expertise"] = _not_expert
    if method.name not in ("abx", "bs1116"):  # which shuffle what the answer stands for
        rules["same answer"] = _straight
    return rules


def hasty(answers: pd.DataFrame) -> pd.DataFrame:
    """Per listener: median seconds and mean plays a trial, plays a signal, the share of hasty trials, and whether that
    is more than a fifth of them (`flagged`).

    A trial is hasty if it was answered in less than half the time that hearing all of its signals once takes; if fewer
    were started than there are; or if nothing was started twice and there was no time to hear it to its end. Gold
    questions and traps do not count: their length differs.
    """
    trials = controls_out(answers).drop_duplicates(["listener", "trial"])
    once = trials["plays"] <= trials["signals"]
    short = trials["time_s"] < HASTY_SHARE * trials["audio_s"]
    skipped = (trials["plays"] < trials["signals"]) | (once & (trials["time_s"] < WHOLE_SHARE * trials["audio_s"]))
    rows = []
    for listener, group in trials.assign(hasty=short | skipped).groupby("listener"):
        share = float(group["hasty"].mean())
        rows.append(
            {
                "listener": listener,
                "median_s": float(group["time_s"].median()),
                "plays": float(group["plays"].mean()),
                "plays_a_signal": float(group["plays"].sum() / group["signals"].sum()),
                "hasty_trials": share,
                "flagged": share > HASTY_TRIALS,
            }
        )
    return pd.DataFrame(rows)


def controls_out(answers: pd.DataFrame) -> pd.DataFrame:
    """Without gold questions and traps, which screening alone looks at."""
    return answers[~answers["condition"].map(is_control).astype(bool)]


def _trap(rows: pd.DataFrame, method: Method) -> str:
    traps = rows[rows["condition"].str.startswith(TRAP)]
    wrong = sum(row.score != int(str(row.condition).removeprefix(TRAP)) for row in traps.itertuples())
    return f"{wrong} of {len(traps)} trapping questions answered wrong" if wrong else ""


def _gold(rows: pd.DataFrame, method: Method) -> str:
    gold = rows[rows["condition"] == GOLD_BAD]
    expected, tolerance = method.known[GOLD_BAD]
    wrong = int(((gold["score"] - expected).abs() > tolerance).sum())
    return f"{wrong} of {len(gold)} gold questions answered wrong" if wrong else ""


def _reference(rows: pd.DataFrame, method: Method) -> str:
    hidden = rows.loc[rows["condition"] == REFERENCE, "score"]
    expected, tolerance = method.known[REFERENCE]
    if hidden.empty or abs(hidden.mean() - expected) <= tolerance:
        return ""
    return f"hidden reference {hidden.mean():.1f} on average; expected {expected} within {tolerance}"


def _straight(rows: pd.DataFrame, method: Method) -> str:
    given = controls_out(rows)["answer"]
    if len(given) < FEWEST_FOR_LINES:
        return ""
    if given.nunique() == 1:
        return f"the same answer in all {len(given)} trials"
    variance = float(given.var())
    if method.known and variance < LEAST_VARIANCE:
        return f"almost the same answer in all {len(given)} trials: variance {variance:.2f}, below {LEAST_VARIANCE}"
    return ""


def _not_expert(rows: pd.DataFrame, method: Method) -> str:
    if rows["score"].nunique() < 2:
        return "" if rows["score"].iloc[0] < 0 else "difference grades do not tell version and reference apart"
    p = float(scipy.stats.ttest_1samp(rows["score"], 0.0, alternative="less").pvalue)
    return (
        f"version and reference are not told apart (t test of difference grades, p = {p:.2f})" if p > EXPERT_P else ""
    )
