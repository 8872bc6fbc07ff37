"""ACR, absolute category rating: one recording at a time, five grades of quality. ITU-T P.800 annex B, P.808."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from encodec_eval.listening.methods.base import GOLD_BAD, TRAINING, Known, Method, Quality, Trial, judged_singly
from encodec_eval.mushra.manifest import REFERENCE, Item


class Acr(Method):
    name = "acr"
    title = "Absolute category rating"
    standard = "ITU-T P.800 annex B, with the controls of P.808"
    measure = "MOS (ACR)"
    low, high = 1, 5
    traps = True
    most_training = TRAINING
    known: ClassVar[Known] = {REFERENCE: (5, 1), GOLD_BAD: (1, 1)}

    def trials(self, items: Sequence[Item], count: int, generator: np.random.Generator) -> Iterator[Trial]:
        for trial in judged_singly(items, reference=True):
            yield replace(trial, opened=None)

    def answer(self, trial: Item, quality: Quality, generator: np.random.Generator) -> dict[str, int]:
        return {stimulus.id: self.clipped(1 + quality(stimulus) / 25) for stimulus in trial.stimuli}
