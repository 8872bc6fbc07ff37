"""One unit of work: a clip through systems and metrics. What runs inside a worker, whatever engine owns it."""

import errno
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import codec.audio
from codec import CheckpointError
from codec.files import replacing
from encodec_eval.metrics import METRICS
from encodec_eval.plugins.metrics import register
from encodec_eval.plugins.outside import PluginMetric
from encodec_eval.run.journal import codes_path
from encodec_eval.run.pairing import Pair, measure
from encodec_eval.types import Clip, Metric, Output, Score, System, UndefinedError

Cell = tuple[str, str]  # names of a point and of a metric

_MACHINE_ERRNOS = {
    getattr(errno, name, None)
    for name in ("EDQUOT", "EIO", "EMFILE", "ENFILE", "ENOMEM", "ENOSPC", "EROFS", "ESHUTDOWN", "ESTALE", "ETIMEDOUT")
}
_MACHINE_TEXTS = ("can't allocate memory", "not enough memory", "CUDA error", "CUDA out of memory", "cuDNN error")


class MachineError(RuntimeError):
    """The machine failed, not the audio: out of memory, disk full, a lost accelerator. No result; worth another try."""


@dataclass(frozen=True)
class Plan:
    """What every job of a run shares. `codes_dir` is where the codes of each clip are kept, if anywhere; `plugins` are
    those of the metrics that every process has to be told of."""

    systems: tuple[System, ...]
    metrics: tuple[str, ...]
    codes_dir: str | None = None
    plugins: tuple[PluginMetric, ...] = ()

    @property
    def cells(self) -> list[Cell]:
        return [(p.name, metric) for system in self.systems for p in system.points for metric in self.metrics]


@dataclass(frozen=True)
class Job:
    """A clip and the cells that are wanted of it; `deaths` counts the workers that died on it."""

    clip: Clip
    cells: tuple[Cell, ...]
    deaths: int = 0


class Worker:
    """Does jobs, one at a time, on one thread."""

    def __init__(self, plan: Plan) -> None:
        torch.set_num_threads(1)
        torch.backends.cudnn.deterministic = True
        self.plan = plan
        register(plan.plugins)

    def run(self, job: Job) -> Iterator[list[Score]]:
        """The scores of a job, one list for each operating point. An error about the data is a score without a value.

        Raises `MachineError` where the machine failed, `codec.CheckpointError` where a model cannot be loaded.
        """
        try:
            wav, sample_rate = codec.audio.load(job.clip.path, job.clip.start, job.clip.frames)
            reference = load_reference(job.clip, wav, sample_rate)
        except Exception as error:
            if not Path(job.clip.path).is_file():
                raise MachineError(f"{job.clip.path} is no longer there") from error
            raise_of_machine(error)
            yield failures(job, job.cells, error)
            return
        for system in self.plan.systems:
            yield from self._run_system(system, job, wav, reference, sample_rate)

    def _run_system(
        self, system: System, job: Job, wav: Tensor, reference: Tensor, sample_rate: int
    ) -> Iterator[list[Score]]:
        """Whatever cells are wanted, the system does all its points: what it does together, such as a batch that it
        decodes, decides the last digits, and may not depend on what an interrupted run left."""
        names = {point.name for point in system.points}
        cells = [cell for cell in job.cells if cell[0] in names]
        if not cells:
            return
        try:
            outputs = system.process(wav, sample_rate, system.points, job.clip)
            self._keep_codes(outputs, job.clip)
        except CheckpointError:
            raise
        except Exception as error:
            raise_of_machine(error)
            yield failures(job, cells, error)
            return
        for output in outputs:
            metrics = [METRICS[metric] for name, metric in cells if name == output.point.name]
            if metrics:
                yield list(score(job.clip, reference, sample_rate, output, metrics))

    def _keep_codes(self, outputs: Sequence[Output], clip: Clip) -> None:
        """The codes at the highest rate, `[K, N * F]` int16: the lower rates are its first rows."""
        coded = [output for output in outputs if output.codes is not None]
        if self.plan.codes_dir is None or not coded:
            return
        codes = max((o.codes for o in coded if o.codes is not None), key=lambda each: each.shape[1])
        path = codes_path(self.plan.codes_dir, coded[0].point.series, clip.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part, part.open("wb") as file:
            np.save(file, codes.transpose(0, 1).flatten(1).to(torch.int16).numpy())


def load_reference(clip: Clip, wav: Tensor, sample_rate: int) -> Tensor:
    """What outputs are compared with: the clip's audio itself, or its reference of the same length and rate."""
    if clip.reference is None:
        return wav
    reference, rate = codec.audio.load(clip.reference)
    if reference.shape != wav.shape or rate != sample_rate:
        raise ValueError(f"the reference {clip.reference} is not as long as the clip, or of another rate")
    return reference


def score(clip: Clip, wav: Tensor, sample_rate: int, output: Output, metrics: Sequence[Metric]) -> Iterator[Score]:
    """The scores of one output, in the order of `metrics`. Raises `MachineError` where the machine failed."""
    pair: Pair | Exception
    try:
        pair = Pair(wav, sample_rate, output.audio, output.sample_rate)
    except Exception as error:
        raise_of_machine(error)
        pair = error
    for metric in metrics:
        try:
            value, reason = evaluate(told(metric, clip), output, clip.duration_s, pair), None
        except Exception as error:
            raise_of_machine(error)
            value, reason = None, explain(error)
        yield Score(clip.id, output.point.name, metric.name, value, reason)


def told(metric: Metric, clip: Clip) -> Metric:
    """The metric with the clip's transcript, if it needs that."""
    if not metric.transcript:
        return metric
    if clip.transcript is None:
        raise UndefinedError("no transcript of this clip is known")
    return replace(metric, function=partial(metric.function, transcript=clip.transcript))


def evaluate(metric: Metric, output: Output, duration_s: float, pair: Pair | Exception) -> float:
    """A metric's value. Raises what kept the pair from being made, if the metric needs it."""
    if metric.kind == "output":
        return metric.function(output, duration_s)
    if metric.kind == "codes":
        if output.codes is None:
            raise UndefinedError("this system has no codes")
        return metric.function(output.codes.transpose(0, 1).flatten(1).numpy())
    if isinstance(pair, Exception):
        raise pair
    return metric.function(pair.lag_s) if metric.kind == "lag" else measure(metric, pair)


def raise_of_machine(error: Exception) -> None:
    """Raise `MachineError` from an error that is not about the data."""
    lost = isinstance(error, MemoryError | TimeoutError | ConnectionError | torch.OutOfMemoryError)
    lost |= isinstance(error, OSError) and error.errno in _MACHINE_ERRNOS
    lost |= isinstance(error, RuntimeError) and any(text in str(error) for text in _MACHINE_TEXTS)
    if lost:
        raise MachineError(explain(error)) from error


def failures(job: Job, cells: Iterable[Cell], error: Exception | str) -> list[Score]:
    """Scores without a value for the same reason."""
    return [Score(job.clip.id, point, metric, None, explain(error)) for point, metric in cells]


def explain(error: Exception | str) -> str:
    """A reason in one line; errors that are not about the data carry their type."""
    text = " ".join(str(error).split())
    if isinstance(error, str | UndefinedError | MachineError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
