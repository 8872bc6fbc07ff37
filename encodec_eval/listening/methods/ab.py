"""AB, paired preference: two systems in random order, "I prefer A", "no preference", "I prefer B".

The answer stands under the id of what was called B: 1 if it is preferred, -1 if A is, 0 for no preference.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from encodec_eval.listening.methods.base import Judgement, Method, Quality, Trial, other, stimulus_of
from encodec_eval.mushra.manifest import REFERENCE, Item

JUST_NOTICED = 6.0  # of 100: below it an invented listener has no preference


class Ab(Method):
    name = "ab"
    title = "Paired preference"
    standard = "paired comparison with ties; Bradley and Terry 1952, Davidson 1970, Thurstone 1927"
    measure = "Bradley–Terry strength"
    low, high = -1, 1
    answers = "one"

    def trials(self, items: Sequence[Item], count: int, generator: np.random.Generator) -> Iterator[Trial]:
        for item in items:
            coded = [stimulus for stimulus in item.stimuli if stimulus.condition != REFERENCE]
            for pair in combinations(coded, 2):
                yield Trial(item, None, pair)

    def answer(self, trial: Item, quality: Quality, generator: np.random.Generator) -> dict[str, int]:
        second = str(generator.choice([stimulus.id for stimulus in trial.stimuli]))
        gain = quality(stimulus_of(trial, second)) - quality(other(trial, second))
        return {second: 0 if abs(gain) < JUST_NOTICED else 1 if gain > 0 else -1}

    def judge(self, trial: Item, scores: Mapping[str, float]) -> list[Judgement]:
        ((second, score),) = scores.items()
        return [Judgement(stimulus_of(trial, second).condition, other(trial, second).condition, score)]
