"""Statistics of listening tests against published worked examples, scipy and statsmodels."""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import scipy.stats

from encodec_eval.listening.analysis.identification import binomial, identified
from encodec_eval.listening.analysis.preference import bradley_terry, thurstone, wins
from encodec_eval.listening.analysis.variance import block, krippendorff_alpha, mixed_model, repeated_anova
from encodec_eval.types import EvalError

TEAMS = ["Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore"]
WINS = [  # of the row over the column: American League 1987, Agresti, Categorical Data Analysis, 2002, table 10.10
    [0, 7, 9, 7, 7, 9, 11],
    [6, 0, 7, 5, 11, 9, 9],
    [4, 6, 0, 7, 7, 8, 12],
    [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12],
    [4, 4, 5, 6, 6, 0, 6],
    [2, 4, 1, 3, 1, 7, 0],
]


def games(table, names):
    rows = [
        {"first": names[i], "second": names[j], "score": 1}
        for i, j in np.ndindex(len(names), len(names))
        for _ in range(table[i][j])
    ]
    return pd.DataFrame(rows)


def test_bradley_terry_gives_the_published_abilities_of_baseball_teams():
    # Turner and Firth, Bradley-Terry Models in R, Journal of Statistical Software 48, 2012: against Baltimore
    published = {"Boston": (1.1077, 0.3339), "Cleveland": (0.6839, 0.3319), "Detroit": (1.4364, 0.3396)}
    published |= {"Milwaukee": (1.5814, 0.3433), "New York": (1.2476, 0.3359), "Toronto": (1.2945, 0.3367)}
    found = bradley_terry(games(WINS, TEAMS), cluster=None)
    last = found.conditions.index("Baltimore")
    for team, (ability, error) in published.items():
        here = found.conditions.index(team)
        value, p = found.difference(here, last)
        assert value == pytest.approx(ability, abs=1e-4), team
        assert p == pytest.approx(2 * scipy.stats.norm.sf(ability / error), rel=0.01), team


def tied_comparisons(listeners=12, seed=3):
    """Davidson's model with log strengths 1, 0, -1 and nu = 0.8."""
    generator, strength = np.random.default_rng(seed), dict(zip("abc", np.exp([1.0, 0.0, -1.0]), strict=True))
    rows = []
    for listener in range(listeners):
        for first, second in list(combinations("abc", 2)) * 6:
            tie = 0.8 * math.sqrt(strength[first] * strength[second])
            weights = np.array([strength[first], strength[second], tie])
            score = generator.choice([1, -1, 0], p=weights / weights.sum())
            rows.append({"listener": f"l{listener}", "first": first, "second": second, "score": int(score)})
    return pd.DataFrame(rows)


def test_ties_are_those_of_davidsons_model():
    comparisons = tied_comparisons()

    def loss(parameters):
        value = dict(zip("abc", [*parameters[:2], -parameters[:2].sum()], strict=True))
        total = 0.0
        for row in comparisons.itertuples():
            tie = parameters[2] + (value[row.first] + value[row.second]) / 2
            weights = [value[row.first], value[row.second], tie]
            total += np.logaddexp.reduce(weights) - weights[{1: 0, -1: 1, 0: 2}[row.score]]
        return total

    best = scipy.optimize.minimize(loss, np.zeros(3), method="BFGS").x
    found = bradley_terry(comparisons)
    assert found.values[:2] == pytest.approx(best[:2], abs=1e-4)
    assert found.log_tie == pytest.approx(best[2], abs=1e-4)
    assert found.degrees == 11


def test_intervals_of_strengths_hold_the_truth_as_often_as_they_say():
    held = [
        np.abs(found.values - [1, 0, -1]) <= found.half_intervals
        for found in (bradley_terry(tied_comparisons(seed=seed)) for seed in range(60))
    ]
    assert 0.89 <= np.mean(held) <= 0.99


def test_order_of_a_pair_does_not_matter():
    comparisons = tied_comparisons()
    turned = comparisons.rename(columns={"first": "second", "second": "first"}).assign(score=-comparisons["score"])
    assert bradley_terry(turned).values == pytest.approx(bradley_terry(comparisons).values, abs=1e-9)
    assert wins(turned).equals(wins(comparisons))


def test_a_condition_that_always_wins_gets_a_finite_strength():
    found = bradley_terry(games([[0, 9], [0, 0]], ["good", "bad"]), cluster=None)
    assert np.isfinite(found.values).all()
    assert found.values[found.conditions.index("good")] > 2


def test_comparisons_that_nothing_joins_are_refused():
    rows = pd.DataFrame({"first": ["a", "c"], "second": ["b", "d"], "score": [1, 1], "listener": ["x", "y"]})
    with pytest.raises(EvalError, match="no comparison joins c, d with a"):
        bradley_terry(rows)


def test_thurstone_of_two_is_the_quantile_of_the_share():
    value = thurstone(games([[0, 73], [27, 0]], ["a", "b"]))
    assert value["a"] - value["b"] == pytest.approx(scipy.stats.norm.ppf(0.73), abs=1e-4)


def test_thurstone_of_three_is_the_classical_solution_where_the_model_fits_exactly():
    true = np.array([0.6, 0.1, -0.7])
    table = [[round(1e5 * scipy.stats.norm.cdf(a - b)) if a != b else 0 for b in true] for a in true]
    weighted = pd.concat([games([[0, n // 1000], [m // 1000, 0]], [a, b]) for a, b, n, m in
                          [("a", "b", table[0][1], table[1][0]), ("a", "c", table[0][2], table[2][0]),
                           ("b", "c", table[1][2], table[2][1])]])  # fmt: skip
    assert list(thurstone(weighted).values()) == pytest.approx(true, abs=0.03)


def test_twelve_of_sixteen_is_the_textbook_case_of_abx():
    p, low, high = binomial(12, 16)
    assert p == pytest.approx(sum(math.comb(16, k) for k in range(12, 17)) / 2**16)
    assert round(p, 3) == 0.038
    # Clopper and Pearson through the beta distribution (Biometrika 26, 1934)
    assert (low, high) == pytest.approx((scipy.stats.beta.ppf(0.025, 12, 5), scipy.stats.beta.ppf(0.975, 13, 4)))


def test_identified_counts_by_condition():
    rows = pd.DataFrame({"condition": ["a"] * 16 + ["b"] * 16, "score": [1.0] * 12 + [0.0] * 4 + [1.0, 0.0] * 8})
    table = identified(rows, ["condition"])
    assert table["right"].tolist() == [12, 8]
    assert table["p_holm"].tolist() == pytest.approx([2 * 0.0384064, 0.598190], abs=1e-5)


def test_anova_is_that_of_statsmodels():
    anova = pytest.importorskip("statsmodels.stats.anova")
    generator = np.random.default_rng(1)
    scores = generator.normal(size=(7, 3, 4)) + generator.normal(size=(7, 1, 1)) + np.array([0, 0.4, 1.1])[:, None]
    rows = [{"l": i, "c": j, "t": k, "y": value} for (i, j, k), value in np.ndenumerate(scores)]
    expected = anova.AnovaRM(pd.DataFrame(rows), "y", "l", within=["c", "t"]).fit().anova_table
    found = repeated_anova(scores)
    assert found["f"].to_numpy() == pytest.approx(expected["F Value"].to_numpy())
    assert found["error_df"].tolist() == expected["Den DF"].tolist()
    assert found["p"].to_numpy() == pytest.approx(expected["Pr > F"].to_numpy())


FIELD = [  # seconds until eight celebrities retch, by what they eat: Field, Discovering Statistics, chapter 13
    [8, 7, 1, 6],
    [9, 5, 2, 5],
    [6, 2, 3, 8],
    [5, 3, 1, 9],
    [8, 4, 5, 8],
    [7, 5, 6, 7],
    [10, 2, 7, 2],
    [12, 6, 8, 1],
]


def test_sphericity_is_corrected_for_as_in_fields_example():
    (found,) = repeated_anova(np.array(FIELD, float)[:, :, None]).to_dict("records")
    assert (round(found["f"], 2), round(found["p"], 3)) == (3.79, 0.026)
    assert round(found["epsilon"], 3) == 0.533
    assert (round(found["epsilon"] * 3, 2), round(found["epsilon"] * 21, 2)) == (1.60, 11.19)
    assert round(found["p_corrected"], 3) == 0.063


def test_epsilon_is_that_of_the_eigenvalues_for_main_effects_and_interaction():
    generator = np.random.default_rng(4)
    scores = generator.normal(size=(9, 3, 4)) * generator.uniform(0.5, 3, size=(3, 4))
    found = repeated_anova(scores).set_index("effect")
    centred = {
        "condition": scores.mean(axis=2, keepdims=True),
        "item": scores.mean(axis=1, keepdims=True),
        "condition x item": scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=2, keepdims=True),
    }
    for effect, cells in centred.items():
        rest = (cells - cells.mean(axis=(1, 2), keepdims=True)).reshape(9, -1)
        values = np.linalg.eigvalsh(np.cov(rest.T))  # df of them are not zero (Box, Ann. Math. Stat. 25, 1954)
        expected = values.sum() ** 2 / (found.loc[effect, "df"] * (values**2).sum())
        assert found.loc[effect, "epsilon"] == pytest.approx(expected), effect
        assert 1 / found.loc[effect, "df"] < expected < 1


def test_corrected_p_is_that_of_pingouin():
    generator = np.random.default_rng(5)
    scores = generator.normal(size=(9, 3, 4)) * generator.uniform(0.5, 3, size=(3, 4))
    found = repeated_anova(scores)  # below what rm_anova of pingouin 0.7.0 says of these numbers
    assert found["epsilon"].tolist() == pytest.approx([0.665774, 0.869949, 0.531834], abs=1e-6)
    assert found["p_corrected"].tolist() == pytest.approx([0.898862, 0.49443, 0.15671], abs=1e-6)


def test_sphericity_needs_no_correction_with_two_conditions_or_where_nothing_varies():
    assert repeated_anova(np.random.default_rng(2).normal(size=(9, 2, 1)))["epsilon"].tolist() == [pytest.approx(1)]
    still = np.tile([[1.0], [2.0], [3.0]], (4, 1, 1))
    assert repeated_anova(still)[["epsilon", "p_corrected"]].to_numpy().tolist() == [[1.0, 0.0]]


def test_anova_of_two_conditions_is_the_paired_t_test():
    scores = np.random.default_rng(2).normal(size=(9, 2, 1))
    t = scipy.stats.ttest_rel(scores[:, 0, 0], scores[:, 1, 0])
    found = repeated_anova(scores)
    assert found["effect"].tolist() == ["condition"]
    assert found["f"][0] == pytest.approx(t.statistic**2)
    assert found["p"][0] == pytest.approx(t.pvalue)


KRIPPENDORFF = [  # Computing Krippendorff's Alpha-Reliability, 2011, example C: four observers, twelve units
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
]


@pytest.mark.parametrize(("level", "alpha"), [("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_krippendorffs_own_example(level, alpha):
    scores = np.array([[np.nan if cell == "." else float(cell) for cell in row.split()] for row in KRIPPENDORFF])
    assert krippendorff_alpha(scores, level) == pytest.approx(alpha, abs=5e-4)


def test_alpha_of_equal_answers_has_no_value():
    assert math.isnan(krippendorff_alpha(np.full((3, 4), 2.0)))


def test_a_block_needs_every_cell():
    rows = pd.DataFrame(
        [{"listener": a, "condition": c, "item": i, "score": 1.0} for a in "xy" for c in "pq" for i in "12"]
    )
    assert block(rows).shape == (2, 2, 2)
    assert block(rows[1:]) is None


def test_mixed_model_finds_the_spreads_and_the_means_of_a_balanced_design():
    pytest.importorskip("statsmodels")
    generator = np.random.default_rng(0)
    listener, item = generator.normal(0, 1.0, 20), generator.normal(0, 0.5, 12)
    rows = [
        {
            "listener": f"l{a}",
            "item": f"i{b}",
            "condition": c,
            "score": m + listener[a] + item[b] + generator.normal(0, 0.3),
        }
        for a in range(20)
        for b in range(12)
        for c, m in {"p": 2.0, "q": 3.0}.items()
    ]
    table = mixed_model(pd.DataFrame(rows))
    spreads = table.iloc[0]
    means = pd.DataFrame(rows).groupby("condition")["score"].mean()
    assert table["mean"].to_numpy() == pytest.approx(means.to_numpy(), abs=1e-3)  # in balance REML gives plain means
    assert spreads["listener_sd"] == pytest.approx(listener.std(ddof=1), rel=0.1)
    assert spreads["item_sd"] == pytest.approx(item.std(ddof=1), rel=0.1)
    assert spreads["residual_sd"] == pytest.approx(0.3, rel=0.1)
