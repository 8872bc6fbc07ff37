"""What every method of listening is: its scale, its trials, its valid answers, how an invented listener answers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from encodec_eval.mushra.manifest import REFERENCE, Item, Stimulus

GOLD_BAD, TRAP = "gold_bad", "trap"  # conditions that only screening looks at; of traps, `trap3` asks for the answer 3

TRAINING = 5  # trials that show the range of quality, as many as the toolkit for P.808 advises

Known = Mapping[str, tuple[int, int]]
Quality = Callable[[Stimulus], float]  # what an invented listener hears, from 0 (useless) to 100 (the reference)


@dataclass(frozen=True)
class Trial:
    """One page of a test before it gets its own names: the item it is of, what stands open if anything does, and what
    is judged."""

    item: Item
    opened: Stimulus | None
    stimuli: Sequence[Stimulus]


@dataclass(frozen=True)
class Judgement:
    """What is analysed of an answer: of which condition, compared with which other, and the value."""

    condition: str
    against: str
    score: float


class Method:
    """A method without state. Scores are whole numbers from `low` to `high`; their words are in `languages`.

    `answers` is "all" if every stimulus of a trial gets a score, "one" if the answer is one score under the id of one
    of them. `known` gives the answers that screening expects of control conditions: `(answer, tolerance)`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    standard: ClassVar[str]
    measure: ClassVar[str]  # what the axis of the figure says
    low: ClassVar[int]
    high: ClassVar[int]
    unit: ClassVar[float] = 1.0  # what one step of a score is worth
    answers: ClassVar[Literal["all", "one"]] = "all"
    known: ClassVar[Known] = {}
    traps: ClassVar[bool] = False  # whether its page explains how a trap is answered
    most_training: ClassVar[int] = 1  # training trials where settings name no number; more than 1: of other conditions
    break_every: ClassVar[int] = 0  # trials between two breaks where settings name no number; 0: none

    def expected(self, condition: str) -> tuple[int, int] | None:
        """The answer that screening expects of a control condition, and how far off it may be; None for others."""
        if condition.startswith(TRAP):
            return int(condition.removeprefix(TRAP)), 0
        return self.known.get(condition)

    def trials(self, items: Sequence[Item], count: int, generator: np.random.Generator) -> Iterator[Trial]:
        """The trials of a whole test; `count` is the number of trials of a condition where the method fixes one."""
        raise NotImplementedError

    def check(self, trial: Item, scores: Mapping[str, object]) -> None:
        """Raise `ValueError` with the reason unless `scores` is a whole and valid answer to the trial."""
        ids = {stimulus.id for stimulus in trial.stimuli}
        if self.answers == "all" and set(scores) != ids:
            raise ValueError("wrong stimuli")
        if self.answers == "one" and not (len(scores) == 1 and set(scores) <= ids):
            raise ValueError("expected one score, under the id of a stimulus of the trial")
        for score in scores.values():
            if not isinstance(score, int) or isinstance(score, bool) or not self.low <= score <= self.high:
                raise ValueError(f"a number must be whole and from {self.low} to {self.high}")

    def answer(self, trial: Item, quality: Quality, generator: np.random.Generator) -> dict[str, int]:
        """How an invented listener who hears `quality` answers a trial."""
        raise NotImplementedError

    def judge(self, trial: Item, scores: Mapping[str, float]) -> list[Judgement]:
        """What an answer says, for the analysis."""
        return [Judgement(stimulus_of(trial, name).condition, "", score) for name, score in scores.items()]

    def guess(self, trial: Item, generator: np.random.Generator) -> dict[str, int]:
        """Any valid answer, drawn blindly."""
        ids = [stimulus.id for stimulus in trial.stimuli]
        chosen = ids if self.answers == "all" else [str(generator.choice(ids))]
        return {name: int(generator.integers(self.low, self.high + 1)) for name in chosen}

    def clipped(self, score: float) -> int:
        """The nearest score of the scale."""
        return round(min(max(score, self.low), self.high))


def is_control(condition: str) -> bool:
    """Whether a condition is a gold question or a trap."""
    return condition == GOLD_BAD or condition.startswith(TRAP)


def judged_singly(items: Sequence[Item], *, reference: bool) -> Iterator[Trial]:
    """A trial for each stimulus of each item; the hidden reference too, if asked for."""
    for item in items:
        for stimulus in item.stimuli:
            if reference or stimulus.condition != REFERENCE:
                yield Trial(item, item.open_reference, [stimulus])


def other(trial: Item, name: str) -> Stimulus:
    """Of a pair, the stimulus that `name` is not the id of."""
    return next(stimulus for stimulus in trial.stimuli if stimulus.id != name)


def stimulus_of(trial: Item, name: str) -> Stimulus:
    """The stimulus with this id."""
    return next(stimulus for stimulus in trial.stimuli if stimulus.id == name)
