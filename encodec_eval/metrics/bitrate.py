"""The four bitrates of an output: what was asked for, and what its bytes say."""

from collections.abc import Callable

from encodec_eval.types import Metric, Output, UndefinedError


def nominal(output: Output, duration_s: float) -> float:
    """The rate the codec was asked for, in kbps."""
    if output.point.nominal_kbps is None:
        raise UndefinedError("no rate is asked of this system")
    return output.point.nominal_kbps


def measured(kind: str) -> Callable[[Output, float], float]:
    """A function for `8 * bytes / seconds` in kbps of the output's payload, file or entropy-coded file."""

    def kbps(output: Output, duration_s: float) -> float:
        size: float | None = getattr(output, f"{kind}_bytes")
        if size is None:
            raise UndefinedError(f"no {kind} bytes are known for this system")
        return 8 * size / duration_s / 1000

    return kbps


def _metric(name: str, title: str, purpose: str, source: str, function: Callable[[Output, float], float]) -> Metric:
    return Metric(
        name=f"bitrate_{name}",
        title=title,
        unit="kbps",
        higher_is_better=None,
        range=(0, float("inf")),
        source=source,
        function=function,
        kind="output",
        purpose=purpose,
    )


METRICS = [
    _metric("nominal", "nominal kbps", "what rate was asked for", "the rate asked for", nominal),
    _metric(
        "payload",
        "payload kbps",
        "what the coded signal takes",
        "8 x bytes of the coded signal without its container / seconds",
        measured("payload"),
    ),
    _metric("file", "file kbps", "what the file takes", "8 x bytes of the file / seconds", measured("file")),
    _metric(
        "entropy",
        "entropy-coded kbps",
        "what the file takes with entropy coding",
        "8 x bytes of the entropy-coded file / seconds",
        measured("entropy"),
    ),
]
