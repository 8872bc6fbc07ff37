"""DCR, degradation category rating: the reference, then a version of it, five grades of damage. ITU-T P.800 annex D."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from encodec_eval.listening.methods.base import GOLD_BAD, TRAINING, Known, Method, Quality, Trial, judged_singly
from encodec_eval.mushra.manifest import REFERENCE, Item


class Dcr(Method):
    name = "dcr"
    title = "Degradation category rating"
    standard = "ITU-T P.800 annex D, with the controls of P.808"
    measure = "DMOS (DCR)"
    low, high = 1, 5
    traps = True
    most_training = TRAINING
    known: ClassVar[Known] = {REFERENCE: (5, 1), GOLD_BAD: (1, 1)}

    def trials(self, items: Sequence[Item], count: int, generator: np.random.Generator) -> Iterator[Trial]:
        return judged_singly(items, reference=True)  # of the hidden reference: the null pairs of annex D

    def answer(self, trial: Item, quality: Quality, generator: np.random.Generator) -> dict[str, int]:
        return {stimulus.id: self.clipped(1 + quality(stimulus) / 25) for stimulus in trial.stimuli}
