"""What `python -m encodec_eval mushra` makes a test of."""

from unittest import mock

import pytest

from encodec_eval.__main__ import main
from encodec_eval.mushra.make import Design


def plan_of(*arguments: str) -> Design:
    with mock.patch("encodec_eval.commands.mushra.make_test") as make_test:
        assert main(["mushra", *arguments]) == 0
    return make_test.call_args.args[0]


@pytest.mark.parametrize(
    ("model", "speech", "bandwidths"),
    [("encodec_24khz_tiny", "librispeech-mini", [1.5, 3, 6, 12]), ("encodec_48khz_tiny", "clips-48k", [3, 6, 12, 24])],
)
def test_the_bandwidths_offered_are_those_of_the_model(model, speech, bandwidths):
    encodec, opus = plan_of("--set", speech, "--model", model).systems
    assert [point.nominal_kbps for point in encodec.points] == bandwidths
    assert [point.nominal_kbps for point in opus.points] == [12]


def test_bandwidths_that_are_asked_for_are_taken():
    (encodec,) = plan_of(
        "--set", "librispeech-mini", "--systems", "encodec", "--model", "encodec_24khz_tiny", "--bandwidths", "24"
    ).systems
    assert [point.nominal_kbps for point in encodec.points] == [24]
