"""BS.1116: the open reference, and A and B, one of them the reference again, the other a version. ITU-R BS.1116-3.

Both are graded from 1.0 to 5.0 in steps of 0.1, kept as 10 to 50; one of them must get 5.0. A session has no more than
10 to 15 trials, and 20 to 30 minutes: a break is due after it. 20 listeners who pass the screening are enough.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from encodec_eval.listening.methods.base import Judgement, Method, Quality, Trial, stimulus_of
from encodec_eval.mushra.manifest import REFERENCE, Item


class Bs1116(Method):
    name = "bs1116"
    title = "Small impairments, double-blind triple stimulus with hidden reference"
    standard = "ITU-R BS.1116-3"
    measure = "difference grade (version less hidden reference)"
    low, high = 10, 50
    unit = 0.1
    break_every = 15

    def trials(self, items: Sequence[Item], count: int, generator: np.random.Generator) -> Iterator[Trial]:
        for item in items:
            hidden = next(stimulus for stimulus in item.stimuli if stimulus.condition == REFERENCE)
            for stimulus in item.stimuli:
                if stimulus is not hidden:
                    yield Trial(item, item.open_reference, [hidden, stimulus])

    def check(self, trial: Item, scores: Mapping[str, object]) -> None:
        super().check(trial, scores)
        if self.high not in scores.values():
            raise ValueError("one of the two is the reference: expected 50 (grade 5.0) for it")

    def guess(self, trial: Item, generator: np.random.Generator) -> dict[str, int]:
        scores = super().guess(trial, generator)
        return scores | {str(generator.choice(list(scores))): self.high}

    def answer(self, trial: Item, quality: Quality, generator: np.random.Generator) -> dict[str, int]:
        heard = {stimulus.id: quality(stimulus) for stimulus in trial.stimuli}
        best = max(heard, key=lambda name: heard[name])
        loss = max(heard.values()) - min(heard.values())
        return {name: self.high if name == best else self.clipped(50 - 0.4 * loss) for name in heard}

    def judge(self, trial: Item, scores: Mapping[str, float]) -> list[Judgement]:
        grades = {stimulus_of(trial, name).condition: score / 10 for name, score in scores.items()}
        hidden = grades.pop(REFERENCE)
        ((version, grade),) = grades.items()
        return [Judgement(version, REFERENCE, grade - hidden)]
