"""Metrics of one's own: a class that takes an option, and a `Metric`."""

import numpy as np

from encodec_eval.types import Metric, UndefinedError


class Level:
    """How much louder the output is, in dB."""

    name, title, unit, higher_is_better = "level", "Level", "dB", None

    def __init__(self, floor: float = 0.0):
        self.floor = floor

    def __call__(self, reference, estimate, sample_rate):
        if np.abs(reference).max() < self.floor:
            raise UndefinedError("the reference is below the floor")
        return 10 * np.log10((estimate @ estimate) / (reference @ reference))


PEAK = Metric(
    name="peak",
    title="Peak",
    unit="",
    higher_is_better=None,
    range=(0, float("inf")),
    source="largest sample of the output",
    function=lambda reference, estimate, sample_rate: np.abs(estimate).max(),
)


class Broken(Level):
    name = "broken"

    def __call__(self, reference, estimate, sample_rate):
        return "loud"
