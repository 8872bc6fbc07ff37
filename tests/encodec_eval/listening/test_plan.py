"""Power before a test: published examples, a simulation, and what the command says."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from encodec_eval.__main__ import main
from encodec_eval.listening.plan import (
    Spread,
    answers_needed,
    binomial_power,
    choice_plan,
    fewest,
    paired_power,
    rating_plan,
)
from encodec_eval.types import EvalError

ONE = Spread(1.0, 0.0, 0.0)


def test_a_paired_t_test_needs_the_pairs_of_the_textbook():
    # Cohen, Statistical Power Analysis, 1988: d = 0.5, two-sided 5 %, power 0.8; R's pwr.t.test gives n = 33.36713
    assert fewest(lambda n: paired_power(0.5, ONE, n, 1), 0.8) == 34
    assert paired_power(0.5, ONE, 34, 1) == pytest.approx(0.8078, abs=1e-4)  # as G*Power prints it


def test_leventhals_table_of_sixteen_trials_of_abx():
    # Leventhal, Type 1 and Type 2 Errors in the Statistical Analysis of Listening Tests, J. Audio Eng. Soc. 34, 1986
    for share, missed in {0.6: 0.8334, 0.7: 0.5501, 0.8: 0.2018, 0.9: 0.0170}.items():
        needed, power = binomial_power(share, np.array([16]))
        assert needed[0] == 12
        assert 1 - power[0] == pytest.approx(missed, abs=5e-5)


@pytest.mark.parametrize(("share", "published"), [(0.55, 783), (0.65, 85), (0.75, 30)])
def test_preferences_need_about_the_answers_of_cohens_sign_test(share, published):
    # Cohen, A Power Primer, Psychological Bulletin 112, 1992, table 2, power 0.8 at 5 %; his are of the normal
    # approximation, ours exact and safe from the saw, so a little more
    answers, _ = answers_needed(share, two_sided=True)
    assert published <= answers <= 1.2 * published + 2


def test_from_the_answers_needed_on_the_power_stays():
    answers, right = answers_needed(0.7)
    needed, power = binomial_power(0.7, np.arange(answers, answers + 200))
    assert power.min() >= 0.8
    assert needed[0] == right
    assert binomial_power(0.7, np.array([answers - 1]))[1][0] < 0.8


def drawn(generator, tests, listeners, items, spread, effect):
    """Differences `[tests, listeners, items]`."""
    of_listeners, of_items = spread.listener_share, spread.item_share
    shares = {(tests, listeners, 1): of_listeners, (tests, 1, items): of_items}
    shares[tests, listeners, items] = 1 - of_listeners - of_items
    parts = [spread.sd * np.sqrt(share) * generator.normal(size=shape) for shape, share in shares.items()]
    return effect + parts[0] + parts[1] + parts[2]


def test_simulated_tests_of_the_same_items_find_the_difference_as_often_as_planned():
    spread, generator = Spread(15, 0.3, 0.0), np.random.default_rng(0)
    listeners = fewest(lambda n: paired_power(5, spread, n, 8), 0.8)
    means = drawn(generator, 4000, listeners, 8, spread, 5).mean(axis=2)
    p = scipy.stats.ttest_1samp(means, 0, axis=1).pvalue
    assert np.mean(p < 0.05) == pytest.approx(paired_power(5, spread, listeners, 8), abs=0.02)


def test_simulated_tests_of_other_items_find_the_difference_as_often_as_planned():
    spread, generator, listeners, items = Spread(15, 0.2, 0.2), np.random.default_rng(1), 14, 10
    found = []
    for effect in (0, 9):
        x = drawn(generator, 4000, listeners, items, spread, effect)
        whole, rows, columns = x.mean(axis=(1, 2)), x.mean(axis=2), x.mean(axis=1)
        of_listeners, of_items = items * rows.var(axis=1, ddof=1), listeners * columns.var(axis=1, ddof=1)
        rest = ((x - rows[:, :, None] - columns[:, None, :] + whole[:, None, None]) ** 2).sum(axis=(1, 2))
        rest /= (listeners - 1) * (items - 1)
        error = np.maximum(of_listeners + of_items - rest, 1e-9)
        parts = of_listeners**2 / (listeners - 1) + of_items**2 / (items - 1)
        degrees = error**2 / (parts + rest**2 / ((listeners - 1) * (items - 1)))
        t = whole / np.sqrt(error / (listeners * items))
        found.append(np.mean(2 * scipy.stats.t.sf(np.abs(t), degrees) < 0.05))
    assert found[0] == pytest.approx(0.05, abs=0.02), "without a difference the test keeps its level"
    assert found[1] == pytest.approx(paired_power(9, spread, listeners, items, other_items=True), abs=0.04)


def test_more_items_cannot_replace_listeners_who_differ():
    plan = rating_plan(5, Spread(15, 0.5, 0.2), [2, 8, 1000])
    assert plan["listeners"].is_monotonic_decreasing
    bound = fewest(lambda n: paired_power(5, Spread(15 * np.sqrt(0.5), 1, 0), n, 1), 0.8)  # as if items were endless
    assert plan["listeners"].iloc[-1] == pytest.approx(bound, abs=1)
    assert pd.isna(plan["listeners_other_items"].iloc[0]), "with two items no number of listeners speaks for all items"


def test_a_difference_that_nobody_can_miss_has_power_one():
    assert paired_power(1000, Spread(0.01, 0, 0), 30, 8) == 1.0


def test_answers_of_a_listener_who_always_says_the_same_count_once():
    plan = choice_plan(0.7, [1, 10], listener_share=1.0)
    assert plan["listeners"].nunique() == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Spread(0), "--sd is 0; expected"),
        (lambda: Spread(1, 0.8, 0.3), "together at most 1"),
        (lambda: rating_plan(0, ONE, [1]), "--effect is 0; expected"),
        (lambda: answers_needed(0.5), "--share is 0.5; expected more than 0.5"),
        (lambda: answers_needed(0.501), "more than 10000 answers"),
        (lambda: choice_plan(0.7, [4], listener_share=2), "--listener-share is 2; expected"),
    ],
)
def test_impossible_plans_are_refused(call, message):
    with pytest.raises(EvalError, match=message):
        call()


def test_the_command_plans_ratings(capsys):
    assert main(["listening", "plan", "--effect", "5", "--sd", "15", "--items", "8"]) == 0
    out = capsys.readouterr().out
    plan = rating_plan(5, Spread(15), [8]).iloc[0]
    assert f"| 8     | {int(plan['listeners'])} " in out
    assert "0.2 of its variance" in out, "what was assumed is said"


def test_the_command_plans_abx_and_preferences(capsys):
    assert main(["listening", "plan", "--method", "abx", "--share", "0.7", "--items", "16"]) == 0
    answers, right = answers_needed(0.7)
    assert f"{answers}, of which {right} must agree" in capsys.readouterr().out
    assert main(["listening", "plan", "--method", "ab", "--share", "0.6", "--pairs", "3"]) == 0
    assert "0.0167" in capsys.readouterr().out


def test_the_command_says_what_a_method_needs(capsys):
    assert main(["listening", "plan", "--sd", "15"]) != 0
    assert main(["listening", "plan", "--method", "abx", "--effect", "5", "--sd", "3"]) != 0
    errors = capsys.readouterr().err
    assert "expected --effect and --sd" in errors
    assert "expected --share" in errors
