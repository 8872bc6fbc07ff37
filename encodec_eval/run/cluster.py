"""The engine for more than one machine: the same jobs on actors of a Ray cluster. Needs the extra [cluster]."""

import contextlib
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from codec import CheckpointError
from encodec_eval.run.engine import ONE_THREAD, Died, Done, Event
from encodec_eval.run.worker import Job, Plan, Worker, explain
from encodec_eval.types import EvalError

CHECK_S = 5.0  # between two looks at the cluster while nothing comes
CONNECT_S = 5.0
SHUTDOWN_S = 20.0
FAILED_STARTS = 20  # one after the other


def import_ray() -> Any:
    """Ray, or an `EvalError` that says how to get it."""
    try:
        import ray
    except ImportError as error:
        raise EvalError("--engine ray needs ray: pip install 'encodec-tools[cluster]'") from error
    return ray


class RayEngine:
    """Actors on a Ray cluster, one CPU each (and one GPU each for a plan on CUDA), that hold the plan's models.

    `address` is that of a running cluster; None starts one on this machine. Recordings and model files have to be
    under the same paths on every node. A dead actor is replaced, on whatever node there is room, as soon as there is.
    """

    def __init__(self, plan: Plan, jobs: int | None, address: str | None, gpus: bool) -> None:
        self._ray = import_ray()
        self._plan = plan
        terminate = signal.getsignal(signal.SIGTERM)
        try:
            self._ray.init(
                address=address, num_cpus=None if address else jobs, include_dashboard=False, log_to_driver=False
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise EvalError(f"no Ray cluster at {address}: {str(error).splitlines()[0]}") from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, terminate)  # Ray puts its own in the place of the command's
        self._doors = self._find_doors()
        resources = self._ray.cluster_resources()
        limit = int(resources.get("GPU" if gpus else "CPU", 0))
        if not limit:
            raise EvalError(f"the Ray cluster has no {'GPU' if gpus else 'CPU'}")
        self._jobs = min(jobs or limit, limit)
        options = {"num_cpus": 1, "num_gpus": int(gpus), "runtime_env": {"env_vars": ONE_THREAD}}
        self._actor = self._ray.remote(**options)(RayWorker)
        self._failed_starts = 0

    def run(self, queue: deque[Job]) -> Iterator[Event]:
        """As `Engine`. Raises `EvalError` when the cluster is lost."""
        idle: list[Any] = []
        busy: dict[Any, _Task] = {}
        starting = dict(self._start() for _ in range(min(self._jobs, len(queue))))
        try:
            while queue or busy:
                while queue and idle:
                    actor, job = idle.pop(), queue.popleft()
                    stream = actor.run.options(num_returns="streaming").remote(job)
                    busy[stream] = _Task(actor, job)
                ready, _ = self._ray.wait([*busy, *starting], num_returns=1, timeout=CHECK_S)
                if not ready:
                    self._check()
                    continue
                (stream,) = ready
                if (
                    stream in starting
                ):  # a job for an actor that finds no room would wait for as long as the others live
                    idle += self._settle(stream, starting)
                    continue
                task = busy[stream]
                event = self._next(stream)
                if isinstance(event, Died):
                    self._check()
                if not isinstance(event, list):
                    del busy[stream]
                    if isinstance(event, Done):
                        idle.append(task.actor)
                    else:
                        starting |= [self._start()]
                yield task.job, event
        finally:
            self._shut_down()

    def _start(self) -> tuple[Any, Any]:
        """A new actor behind the promise that it is there."""
        actor = self._actor.remote(self._plan)
        return actor.ready.remote(), actor

    def _settle(self, promise: Any, starting: dict[Any, Any]) -> list[Any]:
        """The actor that has started; one that died with its node is started anew."""
        actor = starting.pop(promise)
        try:
            self._ray.get(promise)
        except self._ray.exceptions.RayError as error:
            self._check()
            self._failed_starts += 1
            if self._failed_starts >= FAILED_STARTS:
                raise EvalError(f"no worker starts on the Ray cluster: {str(error).splitlines()[0]}") from error
            time.sleep(1)  # until the cluster knows that a node is gone
            starting |= [self._start()]
            return []
        self._failed_starts = 0
        return [actor]

    def _next(self, stream: Any) -> list[Any] | Done | Died:
        """What a stream of scores brings next."""
        try:
            scores: list[Any] = self._ray.get(next(stream))
            return scores
        except StopIteration:
            return Done()
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, CheckpointError):
                return Died(str(error.cause), fatal=True)
            return Died(f"was failed by its machine ({explain(error.cause)})")
        except self._ray.exceptions.RayError:
            return Died("was killed on the cluster")

    def _find_doors(self) -> dict[str, tuple[str, int]]:
        """Addresses that answer as long as this process has a cluster: its own node's, and the head's."""
        context = self._ray.get_runtime_context()
        (node,) = (each for each in self._ray.nodes() if each["NodeID"] == context.get_node_id())
        host, _, port = context.gcs_address.rpartition(":")
        return {
            "this machine's node": (node["NodeManagerAddress"], int(node["NodeManagerPort"])),
            "the head node": (host.strip("[]"), int(port)),
        }

    def _check(self) -> None:
        """Raise `EvalError` if the cluster is gone. Ray itself would wait for it, or end this process."""
        for name, address in self._doors.items():
            try:
                socket.create_connection(address, CONNECT_S).close()
            except OSError as error:
                raise EvalError(
                    f"the Ray cluster is lost: {name} does not answer at {address[0]}:{address[1]} ({error}); every "
                    "finished score is on disk, and the same command resumes from there"
                ) from error

    def _shut_down(self) -> None:
        """Leave the cluster, but do not wait long for one that is lost."""

        def leave() -> None:
            with contextlib.suppress(Exception):
                self._ray.shutdown()

        thread = threading.Thread(target=leave, daemon=True)
        thread.start()
        thread.join(SHUTDOWN_S)


@dataclass(frozen=True)
class _Task:
    actor: Any
    job: Job


class RayWorker:
    """A `Worker` behind an actor's interface."""

    def __init__(self, plan: Plan) -> None:
        self._worker = Worker(plan)

    def ready(self) -> None:
        """Returns once the actor has a place."""

    def run(self, job: Job) -> Iterator[list[Any]]:
        yield from self._worker.run(job)
