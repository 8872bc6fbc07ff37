"""Codecs on an accelerator: one process holds them and codes for all workers, which compute the metrics meanwhile."""

import contextlib
import multiprocessing
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from multiprocessing.context import BaseContext
from multiprocessing.managers import BaseManager
from typing import Any

import torch
from torch import Tensor

from encodec_eval.plugins.host import die_with_parent
from encodec_eval.run.worker import Plan
from encodec_eval.types import Clip, Output, Point, System


class Coder:
    """What the process offers: one system at a time codes one clip, at all its points together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def process(
        self, system: System, wav: Tensor, sample_rate: int, points: Sequence[Point], clip: Clip | None
    ) -> list[Output]:
        with self._lock:
            return system.process(wav, sample_rate, points, clip)


_CODER = Coder()


def _coder() -> Coder:
    return _CODER


class Server(BaseManager):
    """The process, as the standard library serves objects."""


Server.register("coder", callable=_coder, exposed=("process",))


@dataclass(frozen=True)
class Shared:
    """A system whose work is done by the process at `address`."""

    system: System
    address: Any
    authkey: bytes

    @property
    def packages(self) -> tuple[str, ...]:
        return self.system.packages

    @property
    def points(self) -> Sequence[Point]:
        return self.system.points

    def describe(self) -> dict[str, object]:
        return self.system.describe()

    def process(self, wav: Tensor, sample_rate: int, points: Sequence[Point], clip: Clip | None = None) -> list[Output]:
        """As `System`. Raises `ConnectionError` where the process is gone: a failure of the machine."""
        try:
            outputs: list[Output] = _connect(self.address, self.authkey).process(
                self.system, wav, sample_rate, points, clip
            )
            return outputs
        except EOFError as error:
            raise ConnectionError(f"the process on {device_of(self.system)} is gone") from error


@lru_cache(maxsize=1)
def _connect(address: Any, authkey: bytes) -> Any:
    """The coder of a server, connected once in this process."""
    multiprocessing.current_process().authkey = authkey
    server = Server(address, authkey)
    server.connect()
    return server.coder()  # type: ignore[attr-defined]


def device_of(system: System) -> str:
    return str(getattr(system, "device", "cpu"))


@contextlib.contextmanager
def accelerated(plan: Plan, context: BaseContext) -> Iterator[Plan]:
    """The plan for workers: what is not for a CPU is done by one process, which lives as long as this block."""
    if all(device_of(system).startswith("cpu") for system in plan.systems):
        yield plan
        return
    server = Server(ctx=context)
    server.start(_set_up)
    try:
        authkey = bytes(multiprocessing.current_process().authkey)
        systems = tuple(
            system if device_of(system).startswith("cpu") else Shared(system, server.address, authkey)
            for system in plan.systems
        )
        yield replace(plan, systems=systems)
    finally:
        server.shutdown()


def _set_up() -> None:
    die_with_parent()
    torch.set_num_threads(1)
    torch.backends.cudnn.deterministic = True
