"""Algorithmic delay against systems whose delay is known."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from encodec_eval.channels.delay import measure, write
from encodec_eval.systems import Encodec, Identity
from encodec_eval.types import EvalError, Output, Point


@dataclass(frozen=True)
class Blocks:
    """Each block of samples is scaled by its own mean, and comes out `late` samples later."""

    packages: ClassVar[tuple[str, ...]] = ()
    length: int
    late: int = 0
    rate: int = 16000

    @property
    def points(self):
        return [Point("blocks", "blocks")]

    def describe(self):
        return {"system": "blocks"}

    def process(self, wav, sample_rate, points, clip=None):
        if self.length == 0:
            raise EvalError("no blocks of no length")
        wav = wav[:, :: max(1, sample_rate // self.rate)]
        padded = torch.nn.functional.pad(wav, (0, -wav.shape[-1] % self.length)).reshape(1, -1, self.length)
        scaled = (padded * (1 + padded.mean(dim=-1, keepdim=True))).reshape(1, -1)[:, : wav.shape[-1]]
        return [Output(points[0], torch.nn.functional.pad(scaled, (self.late, 0))[:, : wav.shape[-1]], self.rate)]


@pytest.mark.parametrize(("length", "late"), [(320, 0), (1, 0), (777, 0), (8000, 0), (160, 480)])
def test_blocks_are_waited_for(length, late):
    found = measure(Blocks(length, late), Point("blocks", "blocks"))
    expected_ms = (length if length > 1 else 0) / 16
    assert found.delay_ms == pytest.approx(expected_ms, abs=0.6)  # the train's envelope is by half milliseconds
    assert found.lag_ms == pytest.approx(late / 16, abs=0.6)


def test_nothing_is_not_waited_for():
    assert measure(Identity(), Identity().points[0]).delay_ms == 0


@pytest.mark.slow
def test_the_model_waits_for_its_frame():
    system = Encodec("encodec_24khz_tiny", (6.0,))
    found = measure(system, system.points[0])
    assert found.look_ahead_ms == pytest.approx(13.33, abs=0.01)
    assert found.lag_ms == pytest.approx(0, abs=0.6)  # the train's envelope is by half milliseconds


@pytest.mark.slow
def test_the_model_with_segments_waits_for_a_second():
    system = Encodec("encodec_48khz_tiny", (6.0,))
    assert measure(system, system.points[0]).delay_ms == pytest.approx(1000, abs=1)


def test_what_cannot_be_measured_has_a_reason(tmp_path):
    write(tmp_path, [Identity(), Blocks(0)])
    rows = (tmp_path / "delay.csv").read_text().splitlines()
    assert rows[1:] == ["identity,0.0,0.0,0.0,", "blocks,,,,no blocks of no length"]
