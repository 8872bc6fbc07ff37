"""Engines: items from a queue to workers, scores back. A worker that dies is an event, not an end."""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Protocol

from encodec_eval.run.worker import Item, Plan, Worker
from encodec_eval.types import Score

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
ONE_THREAD = dict.fromkeys(_THREADS, "1")
IDLE_EXIT_S = 5.0  # for what a worker has to clean up


@dataclass(frozen=True)
class Died:
    """The worker that had an item is gone."""

    reason: str


@dataclass(frozen=True)
class Done:
    """All scores of an item have been brought."""


Event = tuple[Item, list[Score] | Done | Died]


class Executor(Protocol):
    """Runs items. The caller may put more into the queue while it takes events."""

    def run(self, queue: deque[Item]) -> Iterator[Event]:
        """Events until the queue is empty and nothing is in flight."""


class LocalPool:
    """Worker processes of this machine, each with one thread. A dead one is replaced."""

    def __init__(self, plan: Plan, jobs: int) -> None:
        self._plan = plan
        self._jobs = jobs
        # A fork server has torch loaded but no threads yet, so that its forks are quick and safe.
        self._context = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
        if sys.platform != "win32":
            self._context.set_forkserver_preload(["encodec_eval.run.worker"])

    def run(self, queue: deque[Item]) -> Iterator[Event]:
        slots = [_Slot(self._context, self._plan) for _ in range(min(self._jobs, len(queue)))]
        try:
            while queue or any(slot.item for slot in slots):
                for slot in slots:
                    if slot.item is None and queue:
                        slot.submit(queue.popleft())
                busy = {slot.connection: slot for slot in slots if slot.item}
                for connection in wait(list(busy)):
                    yield from busy[connection].receive()  # type: ignore[index]
        finally:
            for slot in slots:
                slot.stop()


class _Slot:
    """One worker process, started when it is needed, and the item it has."""

    def __init__(self, context: BaseContext, plan: Plan) -> None:
        self._context = context
        self._plan = plan
        self._process: BaseProcess | None = None
        self.item: Item | None = None

    def submit(self, item: Item) -> None:
        if self._process is None:
            self.connection, theirs = self._context.Pipe()
            self._process = self._context.Process(target=serve, args=(self._plan, theirs), daemon=True)  # type: ignore[attr-defined]
            with one_thread():
                self._process.start()
            theirs.close()
        self.item = item
        with contextlib.suppress(BrokenPipeError):  # a death shows as the end of the connection when it is read
            self.connection.send(item)

    def receive(self) -> Iterator[Event]:
        item, process = self.item, self._process
        assert item is not None
        assert process is not None
        try:
            message = self.connection.recv()
        except (EOFError, ConnectionResetError):
            process.join()
            self.connection.close()
            self.item = self._process = None
            yield item, Died(describe_exit(process.exitcode))
            return
        if isinstance(message, Done):
            self.item = None
        yield item, message

    def stop(self) -> None:
        if self._process is not None:
            self.connection.close()
            if self.item is None:
                self._process.join(IDLE_EXIT_S)
            self._process.terminate()
            self._process.join()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Processes that are started in here use one thread, in numpy's sums too, whose last digits depend on it."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def serve(plan: Plan, connection: Connection) -> None:
    """The life of a worker process: items in, lists of scores and a `Done` for each out, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    worker = Worker(plan)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            item = connection.recv()
            for scores in worker.run(item):
                connection.send(scores)
            connection.send(Done())


def describe_exit(code: int | None) -> str:
    """What the exit code of a process says."""
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"exited with {code}"
