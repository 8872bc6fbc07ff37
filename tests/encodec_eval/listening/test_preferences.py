"""What comparisons in pairs tell: p of every pair, and which strengths have a finite estimate."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from scipy.sparse.csgraph import connected_components

from encodec_eval.listening.analysis.figures import method_figure
from encodec_eval.listening.analysis.preference import bradley_terry, thurstone, wins
from encodec_eval.listening.analysis.separation import comparable, joined_by_wins, standing
from encodec_eval.listening.analysis.tables import sections
from encodec_eval.listening.methods import METHODS
from encodec_eval.stats import holm


def compared(*rows, listeners=("one", "two")):
    """Rows of (first, second, score), given by the listeners in turn."""
    table = pd.DataFrame(rows, columns=["first", "second", "score"])
    return table.assign(listener=[listeners[n % len(listeners)] for n in range(len(table))])


def judged(comparisons):
    return comparisons.rename(columns={"first": "condition", "second": "against"}).assign(item="clip")


def test_p_of_a_pair_is_that_of_all_flips_of_listeners_mean_preferences():
    answers = {
        "u": [1, 1, 1, 1],
        "v": [1, 1, 0, 1],
        "w": [1, 0, 0, 0],
        "x": [1, -1, 1, 1],
        "y": [-1, 0, -1, -1],
        "z": [1, 1],
    }
    rows = [("a", "b", score) for given in answers.values() for score in given]
    names = [name for name, given in answers.items() for _ in given]
    (found,) = wins(compared(*rows).assign(listener=names)).to_dict("records")
    means = np.array([1, 0.75, 0.25, 0.5, -0.75, 1])
    flipped = np.array([np.mean(means * signs) for signs in product((1, -1), repeat=6)])
    assert found["p"] == pytest.approx(np.mean(np.abs(flipped) >= means.mean() - 1e-12))
    assert found["p"] == 2 * 6 / 64, "what is turned sums to 0.75 or less: nothing, 0.25, 0.5, 0.75, 0.75, 0.25 + 0.5"
    assert (found["preferred"], found["neither"], found["other"], found["listeners"]) == (13, 5, 4, 6)


def test_one_answer_of_each_listener_makes_the_exact_sign_test():
    rows = compared(*[("a", "b", 1)] * 9, ("a", "b", -1), listeners=[f"l{n}" for n in range(10)])
    assert wins(rows)["p"][0] == pytest.approx(scipy.stats.binomtest(9, 10).pvalue)


def test_many_answers_of_few_listeners_are_no_more_than_few_listeners():
    rows = compared(*[("a", "b", 1)] * 60, listeners=("one", "two", "three"))
    assert wins(rows)["p"][0] == pytest.approx(2 / 2**3)
    assert wins(rows.assign(listener="one"))["p"][0] == 1
    assert wins(rows.assign(score=0))["p"][0] == 1, "ties alone say nothing"


def test_p_of_pairs_is_corrected_after_holm():
    generator = np.random.default_rng(0)
    pairs = [("a", "b"), ("a", "c"), ("b", "c")] * 40
    rows = compared(*[(*pair, int(generator.integers(-1, 2))) for pair in pairs], listeners=[f"l{n}" for n in range(8)])
    found = wins(rows)
    assert found["p_holm"].tolist() == holm(found["p"].to_numpy()).tolist()


def test_without_ties_strengths_are_comparable_where_chains_of_wins_lead_both_ways():
    for seed in range(8):
        generator = np.random.default_rng(seed)
        pairs = [generator.permutation(5)[:2] for _ in range(9)]
        rows = compared(*[("abcde"[i], "abcde"[j], 1) for i, j in pairs])
        graph = np.zeros((5, 5))
        for i, j in pairs:
            graph[i, j] = 1
        _, label = connected_components(graph, connection="strong")
        met = sorted({*rows["first"], *rows["second"]})
        groups = {tuple(name for name in met if label["abcde".index(name)] == each) for each in set(label)} - {()}
        assert {tuple(group) for group in comparable(rows)} == groups, seed
        assert comparable(rows) == joined_by_wins(rows)


def test_a_tie_alone_joins_no_strengths_of_two():
    rows = compared(("a", "b", 1), ("a", "b", 0))
    assert comparable(rows) == [["a"], ["b"]]
    assert joined_by_wins(rows) == [["a", "b"]]
    assert comparable(compared(("a", "b", 1), ("a", "b", -1))) == [["a", "b"]]


def test_a_tie_joins_where_the_tie_parameter_is_held_by_others():
    held = [("a", "b", 1), ("a", "b", -1), ("a", "b", 0)]
    rows = compared(*held, ("b", "c", 1), ("b", "c", 1), ("b", "c", 0))
    assert comparable(rows) == [["a", "b", "c"]]
    loose = bradley_terry(rows)
    assert np.abs(loose.values).max() < 5, "finite, and not where the fit was stopped"
    assert comparable(compared(*held, ("b", "c", 1), ("b", "c", 1))) == [["a", "b"], ["c"]]


def test_why_a_condition_has_no_strength():
    rows = compared(("a", "b", 1), ("b", "c", 1), ("c", "d", 1), ("c", "d", -1), ("c", "e", 0))
    assert [standing(rows, name) for name in "abe"] == ["never lost", "parted from the others", "never lost"]
    assert standing(rows.assign(score=-rows["score"]), "a") == "never won"


@pytest.fixture
def beaten():
    """c never won; a and b beat each other, a twice."""
    return compared(
        ("a", "b", 1), ("b", "a", 1), ("a", "b", 1), ("a", "c", 1), ("b", "c", 1), ("c", "b", -1), ("a", "b", 1)
    )


def test_a_condition_that_never_won_gets_no_strength_and_the_others_theirs(beaten):
    section = sections(judged(beaten), METHODS["ab"])[0]
    table = section.table.set_index("condition")
    pair = beaten[~beaten["first"].eq("c") & ~beaten["second"].eq("c")]
    assert table.loc[["a", "b"], "log_strength"].tolist() == pytest.approx(bradley_terry(pair).values.tolist())
    assert table.loc["a", "log_strength"] - table.loc["b", "log_strength"] == pytest.approx(np.log(3), abs=1e-4)
    assert table.loc[["a", "b"], "ci95"].notna().all()
    assert table.loc["c", ["log_strength", "ci95", "thurstone"]].isna().all()
    assert table.loc["a", "thurstone"] == pytest.approx(thurstone(pair)["a"])
    assert table["without_strength"].to_dict() == {"a": "", "b": "", "c": "never won"}
    assert section.text["log strength ± 95 % CI"].tolist()[-1] == "- (never won)", "the order is still by strength"
    assert "no finite estimate" in section.note


def test_a_strength_that_is_not_finite_is_not_drawn_but_named(beaten):
    summary = sections(judged(beaten), METHODS["ab"])[0].table
    figure = method_figure(METHODS["ab"], judged(beaten), summary, "title", "note")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert len(axes.containers) == 2
    assert np.abs(axes.get_xlim()).max() < 20
    assert any("c (never won)" in text.get_text() for text in axes.texts)


def test_no_figure_of_strengths_where_none_is_finite():
    rows = judged(compared(("a", "b", 1), ("a", "b", 1)))
    strengths = sections(rows, METHODS["ab"])[0]
    assert strengths.table["log_strength"].isna().all()
    assert strengths.text["condition"].tolist() == ["a", "b"]
    assert method_figure(METHODS["ab"], rows, strengths.table, "title", "note") is None
