"""The delay that was found and removed before scoring."""

from encodec_eval.types import Metric


def lag_ms(lag_s: float) -> float:
    """The lag in milliseconds, positive if the output comes late."""
    return 1000 * lag_s


METRICS = [
    Metric(
        name="lag_ms",
        title="lag",
        unit="ms",
        higher_is_better=None,
        range=(-50, 50),
        source="peak of the cross-correlation with the reference; removed before every metric on audio",
        function=lag_ms,
        kind="lag",
        purpose="how late the output comes",
    )
]
