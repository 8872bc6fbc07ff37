"""ABX: A and B are reference and version in random order, X is one of them: which? Their number is fixed before.

The answer is 1 under the id of the one that the listener takes for X. A listener who hears nothing is right in half of
the trials, so the exact binomial test tells who hears a difference (Clark, J. Audio Eng. Soc. 30, 1982).
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from encodec_eval.listening.methods.base import Judgement, Method, Quality, Trial, stimulus_of
from encodec_eval.mushra.manifest import REFERENCE, Item

STEEPNESS = 12.0  # of 100: an invented listener notices a loss as large as this in 63 % of trials


class Abx(Method):
    name = "abx"
    title = "ABX"
    standard = "Clark 1982; exact binomial test over a number of trials fixed before"
    measure = "share of right answers (0.5 is guessing)"
    low, high = 1, 1
    answers = "one"

    def trials(self, items: Sequence[Item], count: int, generator: np.random.Generator) -> Iterator[Trial]:
        coded = [name for name in items[0].conditions if name != REFERENCE]
        for condition in coded:
            order = generator.permutation(len(items))
            for turn in range(count):
                item = items[order[turn % len(items)]]
                version = next(stimulus for stimulus in item.stimuli if stimulus.condition == condition)
                pair = [item.open_reference, version]
                yield Trial(item, pair[generator.integers(2)], pair)

    def answer(self, trial: Item, quality: Quality, generator: np.random.Generator) -> dict[str, int]:
        first, second = trial.stimuli
        noticed = generator.random() < 1 - np.exp(-abs(quality(first) - quality(second)) / STEEPNESS)
        right = first if first.condition == trial.open_reference.condition else second
        return {right.id: 1} if noticed else self.guess(trial, generator)

    def judge(self, trial: Item, scores: Mapping[str, float]) -> list[Judgement]:
        (chosen,) = scores
        version = next(stimulus for stimulus in trial.stimuli if stimulus.condition != REFERENCE)
        right = stimulus_of(trial, chosen).condition == trial.open_reference.condition
        return [Judgement(version.condition, REFERENCE, float(right))]
