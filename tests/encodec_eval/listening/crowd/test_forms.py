"""Balanced forms, and their hand-out to listeners of whom some leave."""

from collections import Counter

import numpy as np
import pytest

from encodec_eval.listening.crowd.forms import HandOut, balanced_forms
from encodec_eval.types import EvalError

ITEMS = [f"item{n:03d}" for n in range(200)]


def counts(forms):
    return Counter(item for form in forms for item in form)


@pytest.mark.parametrize(
    ("items", "per_listener", "ratings"), [(200, 10, 50), (7, 3, 4), (5, 5, 3), (11, 4, 10), (3, 1, 1)]
)
def test_every_item_has_its_ratings_and_none_has_two_more(items, per_listener, ratings):
    names = ITEMS[:items]
    forms = balanced_forms(names, per_listener, ratings, seed=1)
    assert len(forms) == -(-items * ratings // per_listener)
    assert all(len(set(form)) == per_listener for form in forms)
    each = counts(forms)
    assert min(each[name] for name in names) >= ratings
    assert max(each.values()) - min(each.values()) <= 1
    assert forms == balanced_forms(names, per_listener, ratings, seed=1)


def test_a_thousand_listeners_rate_two_hundred_items_while_a_third_leaves():
    forms = balanced_forms(ITEMS, 10, 50, seed=0)
    assert len(forms) == 1000
    now = [0.0]
    hand_out = HandOut(forms, patience_s=3600, clock=lambda: now[0])
    generator = np.random.default_rng(0)
    finished, came = [], 0
    while len(finished) < 1000:
        came += 1
        now[0] += 60
        form = hand_out.next(f"listener {came}")
        if generator.random() < 2 / 3:
            hand_out.finished(f"listener {came}", form)
            finished.append(form)
    each = counts(forms[n] for n in finished)
    assert came > 1400, "a third left"
    # Forms of those who left within the last hour are out still: 20 listeners of 10 items, spread over 200.
    assert min(each[item] for item in ITEMS) >= 50 - 4
    assert max(each.values()) <= 50 + 4
    assert max(Counter(finished).values()) <= 2
    while missing := set(range(1000)) - set(finished):
        now[0] += 3601
        form = hand_out.next(f"late {len(finished)}")
        assert form in missing, "what is missing is handed out first"
        hand_out.finished(f"late {len(finished)}", form)
        finished.append(form)
    assert min(counts(forms[n] for n in finished).values()) >= 50


def test_a_session_keeps_its_form_and_who_left_frees_it_at_once():
    hand_out = HandOut([["a"], ["b"]], patience_s=10, clock=lambda: 0.0)
    assert [hand_out.next(name) for name in ("x", "y", "x")] == [0, 1, 0]
    hand_out.left("y")
    assert hand_out.next("z") == 1


@pytest.mark.parametrize(("per_listener", "ratings", "message"), [
    (4, 1, "--per-listener is 4; expected 1 to 3, the number of items"),
    (0, 1, "--per-listener is 0; expected 1 to 3"),
    (1, 0, "--ratings is 0; expected 1 to 100000"),
])  # fmt: skip
def test_forms_that_cannot_be_are_refused(per_listener, ratings, message):
    with pytest.raises(EvalError, match=message):
        balanced_forms(["a", "b", "c"], per_listener, ratings, 0)
