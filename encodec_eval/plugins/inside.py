"""What runs inside a host: the only functions that execute code of others."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from encodec_eval.plugins.host import PluginError
from encodec_eval.plugins.spec import Spec, code_sha256, load, make
from encodec_eval.types import Clip, EvalError, Metric, Output, Point

NUMBERS = ("payload_bytes", "file_bytes", "entropy_bytes", "encode_s", "decode_s")
METRIC_FIELDS = ("title", "unit", "source", "range", "sample_rate", "channels", "max_piece_s", "digits", "kind")


@cache
def system(spec: Spec, device: str) -> Any:
    """The system that a spec names, made once. A class that takes a `device` gets this one, or its spec's."""
    return make(load(spec.target)[0], spec, device=device)


def prepare(spec: Spec, device: str) -> None:
    """Make the system that a spec names, so that no call has to wait for it."""
    system(spec, device)


def describe_system(spec: Spec, device: str) -> dict[str, Any]:
    """What the run has to know of a system: its `points`, its `packages`, and the `record` of what decides its output.

    Raises `PluginError` where the class lacks what a system has.
    """
    made = system(spec, device)
    for name in ("points", "process"):
        if not hasattr(made, name):
            raise PluginError(f"{spec.target} has no {name}; a system has points and process")
    points = list(made.points)
    if not points or not all(isinstance(point, Point) and point.name for point in points):
        raise PluginError(f"the points of {spec.target} are {points!r}; expected a list of encodec_eval.types.Point")
    record = {"system": spec.shown, "options": dict(spec.options), **hashes(spec)}
    if hasattr(made, "describe"):
        record["describe"] = json.loads(json.dumps(made.describe()))
    packages = getattr(made, "packages", ())
    return {"points": points, "packages": tuple(map(str, packages)), "record": record}


def hashes(spec: Spec) -> dict[str, object]:
    """The hash of the code of a spec, and those of the files that its options name."""
    found: dict[str, object] = {"code_sha256": code_sha256(spec.target, load(spec.target)[1])}
    files = {name: path_sha256(Path(text)) for name, text in spec.options if Path(text).exists()}
    return found | ({"option_sha256": files} if files else {})


def path_sha256(path: Path) -> str:
    """Of a file's content, or of the names and contents of all files in a folder."""
    if path.is_file():
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()
    files = sorted(each for each in path.rglob("*") if each.is_file())
    lines = (f"{each.relative_to(path).as_posix()}\t{path_sha256(each)}\n" for each in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def process(
    spec: Spec, device: str, wav: Tensor, sample_rate: int, names: Sequence[str], clip: Clip | None
) -> list[Output]:
    """What a system makes of `wav [C, T]` at the points of those names, in their order, on the CPU."""
    made = system(spec, device)
    points = [next(point for point in made.points if point.name == name) for name in names]
    with torch.no_grad():
        return checked(made.process(wav, sample_rate, points, clip), points)


def checked(outputs: Any, points: Sequence[Point]) -> list[Output]:
    """The outputs, if they are one `Output` with audio for each of the points. Raises `PluginError` if not."""
    if not isinstance(outputs, list | tuple) or not all(isinstance(each, Output) for each in outputs):
        raise PluginError(f"process returned {type(outputs).__name__}, expected a list of encodec_eval.types.Output")
    given, wanted = [each.point.name for each in outputs], [point.name for point in points]
    if sorted(given) != sorted(wanted):
        raise PluginError(f"process returned the points {', '.join(given) or 'none'}; expected {', '.join(wanted)}")
    return [plain(next(each for each in outputs if each.point.name == name)) for name in wanted]


def plain(output: Output) -> Output:
    """The output as any process can load it: with tensors on the CPU and numbers of Python."""
    audio = output.audio
    if not isinstance(audio, Tensor) or not audio.is_floating_point():
        kind = f"{audio.dtype} tensor" if isinstance(audio, Tensor) else type(audio).__name__
        raise PluginError(f"the audio of {output.point.name} is a {kind}; expected a float tensor [C, T]")
    given = {name: getattr(output, name) for name in NUMBERS}
    numbers: dict[str, Any] = {name: None if value is None else float(value) for name, value in given.items()}
    return replace(
        output,
        audio=audio.detach().to("cpu", torch.float32).clone(),
        codes=None if output.codes is None else output.codes.detach().cpu().clone(),
        **numbers,
    )


@cache
def metric(spec: Spec) -> tuple[Metric, Callable[..., Any]]:
    """The metric that a spec names, made once, and the function that computes it.

    The target is an `encodec_eval.types.Metric`, or a class whose instances have the fields of one that differ from
    the defaults, at least `higher_is_better`, and are called as its function.
    """
    found, _ = load(spec.target)
    if isinstance(found, Metric):
        if spec.options:
            raise EvalError(f"{spec.target} is a Metric, which has no options")
        return found, found.function
    made = make(found, spec)
    if not callable(made) or not hasattr(made, "higher_is_better"):
        raise PluginError(f"{spec.target} is neither a Metric nor a class with higher_is_better and __call__")
    name = str(getattr(made, "name", spec.target.rpartition(":")[2].lower()))
    fields: dict[str, Any] = {"title": name, "unit": "", "source": spec.shown, "range": (-float("inf"), float("inf"))}
    fields |= {field: getattr(made, field) for field in METRIC_FIELDS if hasattr(made, field)}
    described = Metric(name=name, higher_is_better=made.higher_is_better, function=abs, **fields)
    return replace(described, packages=tuple(getattr(made, "packages", ()))), made


def describe_metric(spec: Spec) -> tuple[Metric, dict[str, object]]:
    """The metric that a spec names, without its function, and the record of what decides its scores."""
    return replace(metric(spec)[0], function=abs), {"metric": spec.shown, "options": dict(spec.options), **hashes(spec)}


def score(spec: Spec, *arguments: object) -> float:
    """The value of a metric. Raises `PluginError` where it returns no number."""
    value = metric(spec)[1](*arguments)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise PluginError(f"the metric returned {type(value).__name__}, expected a number") from None
