"""Processes that measure and entropy-code beside the one that serves the page.

PESQ keeps Python's lock while it computes and can end its process (see `metrics/pesq.py`); here it stops nobody else.
A helper is `python -m encodec_eval.demo.helpers`: it reads pickled calls from its input and writes pickled answers to
its output until that closes, so that it ends with the app, however that ends. (`multiprocessing` would import `app.py`
once more in each.)
"""

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import IO, Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from codec.ecdc import compress_codes
from encodec_eval.metrics import METRICS
from encodec_eval.run.worker import score
from encodec_eval.systems.encodec import load_encodec, load_language_model
from encodec_eval.types import Clip, Output, Score

P = ParamSpec("P")
T = TypeVar("T")
HELPERS = 2


class HelperDiedError(RuntimeError):
    """The process that had a call is gone."""


class Helpers:
    """Runs calls in processes, as many at once as there are; they start with the first call, or by `warm_up`."""

    def __init__(self, count: int = HELPERS) -> None:
        self._threads = ThreadPoolExecutor(count, "helper")
        self._own = threading.local()
        self._count = count

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """The future result of a function of a module; `HelperDiedError` if its process ends."""
        return self._threads.submit(self._call, function, args, kwargs)

    def warm_up(self) -> None:
        """Start all processes, without waiting for them."""
        together = threading.Barrier(self._count)
        for _ in range(self._count):
            self._threads.submit(self._start, together)

    def _start(self, together: threading.Barrier) -> None:
        together.wait(10)  # one process in each thread
        self._process()

    def _process(self) -> "subprocess.Popen[bytes]":
        process: subprocess.Popen[bytes] | None = getattr(self._own, "process", None)
        if process is None or process.poll() is not None:
            command = [sys.executable, "-m", __spec__.name if __spec__ else __name__]
            # A session of its own: Ctrl-C in the app's terminal is for the app, and its end is theirs.
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
            self._own.process = process
        return process

    def _call(self, function: Callable[..., T], args: Any, kwargs: Any) -> T:
        process = self._process()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pickle.dump((function, args, kwargs), process.stdin)
            process.stdin.flush()
            result, error = pickle.load(process.stdout)
        except (OSError, EOFError) as gone:
            process.kill()
            raise HelperDiedError(f"the process that worked on it ended with status {process.wait()}") from gone
        if error is not None:
            raise error
        return result


def measure(clip: Clip, audio: Tensor, sample_rate: int, output: Output, metrics: list[str]) -> list[Score]:
    """The scores of what a system made of `audio [C, T]`."""
    return list(score(clip, audio, sample_rate, output, [METRICS[name] for name in metrics]))


def entropy_coded(codes: Tensor, scales: Sequence[float] | None, samples: int, model: str) -> bytes:
    """The `.ecdc` file of an output's codes and scales, entropy-coded with its model's language model."""
    return compress_codes(load_encodec(model, "cpu"), codes, scales, samples, load_language_model(model))


def without_codes(output: Output) -> Output:
    """What metrics need of an output, to send it to another process."""
    return replace(output, codes=None, coded=None)


def serve(calls: IO[bytes], answers: IO[bytes]) -> None:
    """Answer calls until there are no more."""
    torch.set_num_threads(1)
    while True:
        try:
            function, args, kwargs = pickle.load(calls)
        except EOFError:
            return
        try:
            answer: tuple[Any, Exception | None] = function(*args, **kwargs), None
        except Exception as error:
            answer = None, error
        try:
            pickle.dump(answer, answers)
            answers.flush()
        except BrokenPipeError:  # the app ended while this worked
            os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())  # for what is flushed at the end
            return


if __name__ == "__main__":
    pipe = sys.stdout.buffer
    sys.stdout = sys.stderr  # what a library prints must not get between the answers
    serve(sys.stdin.buffer, pipe)
