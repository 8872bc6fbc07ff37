"""CCR, comparison category rating: reference and version in random order, from much worse to much better. ITU-T P.800
annex E.

The answer stands under the id of what was heard second and says how it compares with the first, so that the order of
each listener is known from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from encodec_eval.listening.methods.base import (
    GOLD_BAD,
    TRAINING,
    Judgement,
    Known,
    Method,
    Quality,
    Trial,
    judged_singly,
    other,
    stimulus_of,
)
from encodec_eval.mushra.manifest import REFERENCE, Item


class Ccr(Method):
    name = "ccr"
    title = "Comparison category rating"
    standard = "ITU-T P.800 annex E, with the controls of P.808"
    measure = "CMOS (CCR), against the reference"
    low, high = -3, 3
    answers = "one"
    most_training = TRAINING
    known: ClassVar[Known] = {REFERENCE: (0, 1), GOLD_BAD: (-3, 1)}

    def trials(self, items: Sequence[Item], count: int, generator: np.random.Generator) -> Iterator[Trial]:
        for trial in judged_singly(items, reference=True):
            yield replace(trial, opened=None, stimuli=[trial.item.open_reference, *trial.stimuli])

    def answer(self, trial: Item, quality: Quality, generator: np.random.Generator) -> dict[str, int]:
        second = str(generator.choice([stimulus.id for stimulus in trial.stimuli]))
        gain = quality(stimulus_of(trial, second)) - quality(other(trial, second))
        return {second: self.clipped(gain / 25)}

    def judge(self, trial: Item, scores: Mapping[str, float]) -> list[Judgement]:
        ((second, score),) = scores.items()
        heard, first = stimulus_of(trial, second).condition, other(trial, second).condition
        if heard == REFERENCE:  # the reference came second: turn the answer round
            return [Judgement(first, REFERENCE, -score)]
        return [Judgement(heard, REFERENCE, score)]
