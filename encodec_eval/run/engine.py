"""What an engine is: jobs from a queue to workers, scores back. A worker that dies is an event, not an end."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from encodec_eval.run.worker import Job
from encodec_eval.types import Score

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
ONE_THREAD = dict.fromkeys(_THREADS, "1")  # in numpy's sums too, whose last digits depend on the number of threads


@dataclass(frozen=True)
class Died:
    """The worker that had a job is gone, or its machine failed it: the job is not done.

    `fatal` if no other worker would do better, as with a checkpoint that cannot be loaded.
    """

    reason: str
    fatal: bool = False


@dataclass(frozen=True)
class Done:
    """All scores of a job have been brought."""


Event = tuple[Job, list[Score] | Done | Died]


class Engine(Protocol):
    """Runs jobs. The caller may put more into the queue while it takes events."""

    def run(self, queue: deque[Job]) -> Iterator[Event]:
        """Events until the queue is empty and nothing is in flight. Raises `EvalError` where no more can be done."""
