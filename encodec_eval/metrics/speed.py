"""How much faster than real time a system ran in this evaluation."""

from collections.abc import Callable

from encodec_eval.types import Metric, Output, UndefinedError


def x_realtime(stage: str) -> Callable[[Output, float], float]:
    """A function for seconds of audio by seconds of `stage` ("encode" or "decode")."""

    def ratio(output: Output, duration_s: float) -> float:
        seconds: float | None = getattr(output, f"{stage}_s")
        if seconds is None:
            raise UndefinedError(f"this system has no {stage} stage here")
        return duration_s / seconds

    return ratio


METRICS = [
    Metric(
        name=f"x_realtime_{stage}",
        title=f"{stage} x real time",
        unit="",
        higher_is_better=None,
        range=(0, float("inf")),
        source=f"seconds of audio / seconds of {stage}, wall clock, in a worker of this run; one thread on a CPU",
        function=x_realtime(stage),
        kind="output",
        purpose=f"how fast the codec {stage}s",
        digits=1,
    )
    for stage in ("encode", "decode")
]
