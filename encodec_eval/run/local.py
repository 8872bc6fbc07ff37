"""The engine for this machine: a process for each worker."""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

from codec import CheckpointError
from encodec_eval.run.accelerator import accelerated
from encodec_eval.run.engine import ONE_THREAD, Died, Done, Event
from encodec_eval.run.worker import Job, MachineError, Plan, Worker, explain

IDLE_EXIT_S = 5.0  # for what a worker has to clean up


class LocalEngine:
    """Worker processes of this machine, each with one thread. A dead one is replaced.

    Systems on an accelerator share one process more: see `accelerator`.
    """

    def __init__(self, plan: Plan, jobs: int) -> None:
        self._plan = plan
        self._jobs = jobs
        # A fork server has torch loaded but no threads yet, so that its forks are quick and safe.
        self._context = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
        if sys.platform != "win32":
            self._context.set_forkserver_preload(["encodec_eval.run.worker"])

    def run(self, queue: deque[Job]) -> Iterator[Event]:
        with accelerated(self._plan, self._context) as plan:
            yield from self._run(queue, plan)

    def _run(self, queue: deque[Job], plan: Plan) -> Iterator[Event]:
        slots = [_Slot(self._context, plan) for _ in range(min(self._jobs, len(queue)))]
        try:
            while queue or any(slot.job for slot in slots):
                for slot in slots:
                    if slot.job is None and queue:
                        slot.submit(queue.popleft())
                busy = {slot.connection: slot for slot in slots if slot.job}
                for connection in wait(list(busy)):
                    yield from busy[connection].receive()  # type: ignore[index]
        finally:
            for slot in slots:
                slot.stop()


class _Slot:
    """One worker process, started when it is needed, and the job it has."""

    def __init__(self, context: BaseContext, plan: Plan) -> None:
        self._context = context
        self._plan = plan
        self._process: BaseProcess | None = None
        self.job: Job | None = None

    def submit(self, job: Job) -> None:
        if self._process is None:
            self.connection, theirs = self._context.Pipe()
            self._process = self._context.Process(target=serve, args=(self._plan, theirs), daemon=True)  # type: ignore[attr-defined]
            with one_thread():
                self._process.start()
            theirs.close()
        self.job = job
        with contextlib.suppress(BrokenPipeError):  # a death shows as the end of the connection when it is read
            self.connection.send(job)

    def receive(self) -> Iterator[Event]:
        job, process = self.job, self._process
        assert job is not None
        assert process is not None
        try:
            message = self.connection.recv()
        except (EOFError, ConnectionResetError):
            process.join()
            message = Died(describe_exit(process.exitcode))
        if isinstance(message, Died):
            self.connection.close()
            process.join()
            self._process = None
        if isinstance(message, Died | Done):
            self.job = None
        yield job, message

    def stop(self) -> None:
        if self._process is not None:
            self.connection.close()
            if self.job is None:
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
    """The life of a worker process: jobs in, lists of scores and a `Done` for each out, until the pipe closes.

    It ends with a `Died` where its machine fails it: another process may have more luck.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    worker = Worker(plan)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            job = connection.recv()
            try:
                for scores in worker.run(job):
                    connection.send(scores)
            except MachineError as error:
                connection.send(Died(f"was failed by its machine ({explain(error)})"))
                return
            except CheckpointError as error:
                connection.send(Died(str(error), fatal=True))
                return
            connection.send(Done())


def describe_exit(code: int | None) -> str:
    """What the exit code of a process says."""
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"exited with {code}"
