"""One unit of work: a clip through systems and metrics. What runs inside a worker, whatever engine owns it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import codec.audio
from encodec_eval.metrics import METRICS
from encodec_eval.run.pairing import Pair, measure
from encodec_eval.types import Clip, Metric, Output, Score, System, UndefinedError

Cell = tuple[str, str]  # names of a point and of a metric


@dataclass(frozen=True)
class Plan:
    """What every item of a run shares. `codes_dir` is where the codes of each clip are kept, if anywhere."""

    systems: tuple[System, ...]
    metrics: tuple[str, ...]
    codes_dir: str | None = None

    @property
    def cells(self) -> list[Cell]:
        return [(p.name, metric) for system in self.systems for p in system.points for metric in self.metrics]


@dataclass(frozen=True)
class Item:
    """A clip and the cells that are wanted of it. `deaths` of workers have befallen it."""

    clip: Clip
    cells: tuple[Cell, ...]
    deaths: int = 0


class Worker:
    """Does items, one at a time, on one thread."""

    def __init__(self, plan: Plan) -> None:
        torch.set_num_threads(1)
        self.plan = plan

    def run(self, item: Item) -> Iterator[list[Score]]:
        """The scores of an item, one list for each operating point. An error is a score without a value."""
        try:
            wav, sample_rate = codec.audio.load(item.clip.path, item.clip.start, item.clip.frames)
        except Exception as error:
            yield failures(item, item.cells, error)
            return
        for system in self.plan.systems:
            yield from self._run_system(system, item, wav, sample_rate)

    def _run_system(self, system: System, item: Item, wav: Tensor, sample_rate: int) -> Iterator[list[Score]]:
        wanted = {name for name, _ in item.cells}
        points = [point for point in system.points if point.name in wanted]
        if not points:
            return
        try:
            outputs = system.process(wav, sample_rate, points, item.clip)
            self._keep_codes(outputs, item.clip)
        except Exception as error:
            names = {point.name for point in points}
            yield failures(item, [cell for cell in item.cells if cell[0] in names], error)
            return
        for output in outputs:
            metrics = [METRICS[metric] for name, metric in item.cells if name == output.point.name]
            yield list(score(item.clip, wav, sample_rate, output, metrics))

    def _keep_codes(self, outputs: Sequence[Output], clip: Clip) -> None:
        """The codes at the highest rate, `[K, N * F]` int16: the lower rates are its first rows."""
        coded = [output for output in outputs if output.codes is not None]
        if self.plan.codes_dir is None or not coded:
            return
        codes = max((o.codes for o in coded if o.codes is not None), key=lambda each: each.shape[1])
        path = codes_path(self.plan.codes_dir, coded[0].point.series, clip.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, codes.transpose(0, 1).flatten(1).to(torch.int16).numpy())


def codes_path(codes_dir: str, series: str, clip_id: str) -> Path:
    """Where the codes of a clip lie."""
    return Path(codes_dir) / safe_name(series) / f"{safe_name(clip_id)}.npy"


def safe_name(name: str) -> str:
    """A name with everything but letters, digits and `._@+-` replaced, for use in paths."""
    return re.sub(r"[^\w.@+-]", "_", name)


def score(clip: Clip, wav: Tensor, sample_rate: int, output: Output, metrics: Sequence[Metric]) -> Iterator[Score]:
    """The scores of one output, in the order of `metrics`."""
    pair: Pair | Exception
    try:
        pair = Pair(wav, sample_rate, output.audio, output.sample_rate)
    except Exception as error:
        pair = error
    for metric in metrics:
        try:
            value, reason = evaluate(metric, output, clip.duration_s, pair), None
        except Exception as error:
            value, reason = None, explain(error)
        yield Score(clip.id, output.point.name, metric.name, value, reason)


def evaluate(metric: Metric, output: Output, duration_s: float, pair: Pair | Exception) -> float:
    """A metric's value. Raises what kept the pair from being made, if the metric needs it."""
    if metric.kind == "output":
        return metric.function(output, duration_s)
    if isinstance(pair, Exception):
        raise pair
    return metric.function(pair.lag_s) if metric.kind == "lag" else measure(metric, pair)


def failures(item: Item, cells: Iterable[Cell], error: Exception | str) -> list[Score]:
    """Scores without a value for the same reason."""
    return [Score(item.clip.id, point, metric, None, explain(error)) for point, metric in cells]


def explain(error: Exception | str) -> str:
    """A reason in one line; errors that are not about the data carry their type."""
    text = " ".join(str(error).split())
    return text if isinstance(error, str | UndefinedError) else f"{type(error).__name__}: {text}"
