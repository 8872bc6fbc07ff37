"""The engine for more than one machine: the same items on actors of a Ray cluster. Needs the extra [cluster]."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from encodec_eval.run.local import ONE_THREAD, Died, Done, Event
from encodec_eval.run.worker import Item, Plan, Worker
from encodec_eval.types import EvalError


def import_ray() -> Any:
    """Ray, or an `EvalError` that says how to get it."""
    try:
        import ray
    except ImportError as error:
        raise EvalError("--engine ray needs ray: pip install 'encodec-tools[cluster]'") from error
    return ray


class RayPool:
    """Actors on a Ray cluster, one CPU each (and one GPU each for a plan on CUDA), that hold the plan's models.

    `address` is that of a running cluster; None starts one on this machine. Recordings and model files have to be
    under the same paths on every node. A dead actor is replaced, on whatever node there is room.
    """

    def __init__(self, plan: Plan, jobs: int | None, address: str | None, gpus: bool) -> None:
        self._ray = import_ray()
        self._plan = plan
        try:
            self._ray.init(
                address=address, num_cpus=None if address else jobs, include_dashboard=False, log_to_driver=False
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise EvalError(f"no Ray cluster at {address}: {str(error).splitlines()[0]}") from error
        resources = self._ray.cluster_resources()
        limit = int(resources.get("GPU" if gpus else "CPU", 0))
        if not limit:
            raise EvalError(f"the Ray cluster has no {'GPU' if gpus else 'CPU'}")
        self._jobs = min(jobs or limit, limit)
        options = {"num_cpus": 1, "num_gpus": int(gpus), "runtime_env": {"env_vars": ONE_THREAD}}
        self._actor = self._ray.remote(**options)(RayWorker)

    def run(self, queue: deque[Item]) -> Iterator[Event]:
        idle: list[Any] = [self._actor.remote(self._plan) for _ in range(min(self._jobs, len(queue)))]
        busy: dict[Any, _Task] = {}
        try:
            while queue or busy:
                while queue and idle:
                    actor, item = idle.pop(), queue.popleft()
                    stream = actor.run.options(num_returns="streaming").remote(item)
                    busy[stream] = _Task(actor, item)
                (stream,), _ = self._ray.wait(list(busy), num_returns=1)
                task = busy[stream]
                event = self._next(stream)
                if not isinstance(event, list):
                    del busy[stream]
                    idle.append(task.actor if isinstance(event, Done) else self._actor.remote(self._plan))
                yield task.item, event
        finally:
            self._ray.shutdown()

    def _next(self, stream: Any) -> list[Any] | Done | Died:
        """What a stream of scores brings next."""
        try:
            scores: list[Any] = self._ray.get(next(stream))
            return scores
        except StopIteration:
            return Done()
        except self._ray.exceptions.RayActorError:
            return Died("was killed on the cluster")


@dataclass(frozen=True)
class _Task:
    actor: Any
    item: Item


class RayWorker:
    """A `Worker` behind an actor's interface."""

    def __init__(self, plan: Plan) -> None:
        self._worker = Worker(plan)

    def run(self, item: Item) -> Iterator[list[Any]]:
        yield from self._worker.run(item)
