"""Training and breaks where the settings leave them to the method."""

from dataclasses import replace

import pytest

from encodec_eval.listening.crowd.pacing import pacing
from encodec_eval.listening.crowd.settings import checked
from encodec_eval.listening.methods.base import is_control
from encodec_eval.mushra.manifest import REFERENCE
from encodec_eval.mushra.page import page_data
from tests.encodec_eval.listening.invented import SYSTEMS, manifest_of


@pytest.mark.parametrize("name", ["acr", "dcr", "ccr"])
def test_training_goes_through_the_conditions_with_another_recording_each_time(name):
    manifest = manifest_of(name)
    found = pacing(manifest, checked({}, "test"))
    assert found["training"] == 4
    items = {item.id: item for item in manifest.items}
    (trials,) = found["training_trials"]
    assert [items[one].stimuli[-1].condition for one in trials] == [REFERENCE, *SYSTEMS]
    assert len({items[one].clip for one in trials}) == 4


def test_training_has_no_control_and_no_more_than_five_trials():
    manifest = manifest_of("acr", systems=[f"codec@{n}" for n in range(8)])
    found = pacing(manifest, checked({}, "test"))
    assert found["training"] == 5
    items = {item.id: item for item in manifest.items}
    assert not any(is_control(items[one].stimuli[-1].condition) for one in found["training_trials"][0])


def test_each_form_trains_on_its_own_trials():
    manifest = manifest_of("acr")
    ids = manifest.forms[0]
    halves = replace(manifest, forms=[ids[:9], ids[9:]])
    found = pacing(halves, checked({}, "test"))
    assert all(set(trials) <= set(form) for trials, form in zip(found["training_trials"], halves.forms, strict=True))
    assert found["training"] == min(len(trials) for trials in found["training_trials"])


@pytest.mark.parametrize("name", ["ab", "abx", "bs1116"])
def test_methods_that_compare_train_once_on_what_comes_first(name):
    found = pacing(manifest_of(name), checked({}, "test"))
    assert (found["training"], found["training_trials"]) == (1, [[]])
    assert found["break_every"] == (15 if name == "bs1116" else 0)


def test_settings_come_first():
    data = page_data(manifest_of("bs1116"), checked({"training": 0, "break_every": 0}, "test"))
    assert (data["crowd"]["training"], data["crowd"]["break_every"]) == (0, 0)
    assert page_data(manifest_of("acr"), checked({"training": 2}, "test"))["crowd"]["training"] == 2
