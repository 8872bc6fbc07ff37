"""Systems and metrics of others as the run sees them: small, picklable, with their code in a host."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from torch import Tensor

from encodec_eval.plugins import inside
from encodec_eval.plugins.host import Host, PluginError, host_of
from encodec_eval.plugins.spec import Spec
from encodec_eval.types import Clip, EvalError, Metric, Output, Point, UndefinedError

LOAD_S = 120.0  # at least: what a host may take to import the code and make the object
TIMEOUT_S = 600.0


@dataclass(frozen=True)
class PluginSystem:
    """A system of others. `title` stands in the names of its points for their series."""

    spec: Spec
    device: str
    timeout_s: float
    own_points: tuple[Point, ...]
    packages: tuple[str, ...]
    record: str
    title: str = ""

    @classmethod
    def of(cls, spec: Spec, device: str, timeout_s: float) -> "PluginSystem":
        """Of the class that a spec names. Its option `title` is ours. Raises `EvalError` if it is not a system."""
        titles = [value for name, value in spec.options if name == "title"]
        spec = spec.without("title").resolved
        found = _ask(spec, inside.describe_system, spec, device, timeout_s=timeout_s)
        record = json.dumps(found["record"] | {"device": device, "timeout_s": timeout_s})
        return cls(spec, device, timeout_s, tuple(found["points"]), found["packages"], record, "".join(titles[-1:]))

    @cached_property
    def points(self) -> Sequence[Point]:
        if not self.title:
            return self.own_points
        return [
            replace(point, name=self.title + point.name.removeprefix(point.series), series=self.title)
            for point in self.own_points
        ]

    def describe(self) -> dict[str, object]:
        return dict(json.loads(self.record))

    def process(self, wav: Tensor, sample_rate: int, points: Sequence[Point], clip: Clip | None = None) -> list[Output]:
        """As `System`. Raises `PluginError` with the reason where the code of others failed."""
        own = {point.name: own.name for point, own in zip(self.points, self.own_points, strict=True)}
        names = [own[point.name] for point in points]
        host = host_of(self.spec)
        host.call(inside.prepare, self.spec, self.device, timeout_s=max(LOAD_S, self.timeout_s))
        outputs = host.call(
            inside.process, self.spec, self.device, wav, sample_rate, names, clip, timeout_s=self.timeout_s
        )
        return [replace(output, point=point) for output, point in zip(outputs, points, strict=True)]


@dataclass(frozen=True)
class PluginFunction:
    """The function of a metric of others."""

    spec: Spec
    timeout_s: float

    def __call__(self, *arguments: object) -> float:
        value = float(host_of(self.spec).call(inside.score, self.spec, *arguments, timeout_s=self.timeout_s))
        if value - value != 0:
            raise UndefinedError(f"the metric gave {value}")
        return value


@dataclass(frozen=True, kw_only=True)
class PluginMetric(Metric):
    """A metric of others and the record of what decides its scores."""

    record: str

    @classmethod
    def of(cls, spec: Spec, timeout_s: float) -> "PluginMetric":
        """Of the object that a spec names. Raises `EvalError` if it is not a metric."""
        spec = spec.resolved
        found, record = _ask(spec, inside.describe_metric, spec, timeout_s=timeout_s)
        fields = vars(found) | {"function": PluginFunction(spec, timeout_s)}
        return cls(**fields, record=json.dumps(record | {"timeout_s": timeout_s}))


def _ask(spec: Spec, function: Any, *arguments: object, timeout_s: float) -> Any:
    """What a function says of a spec, from a host of its own, so that a run's own process never runs code of others."""
    host = Host()
    try:
        return host.call(function, *arguments, timeout_s=max(LOAD_S, timeout_s))
    except PluginError as error:
        raise EvalError(f"{spec.target} cannot be used: {str(error).removeprefix('EvalError: ')}") from error
    finally:
        host.close()
