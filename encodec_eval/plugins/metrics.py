"""Metrics of others among ours."""

from collections.abc import Sequence

from encodec_eval.metrics import METRICS
from encodec_eval.plugins.outside import PluginMetric
from encodec_eval.plugins.spec import Spec, installed
from encodec_eval.types import EvalError, Metric

ENTRY_POINTS = "encodec_eval.metrics"


def register(metrics: Sequence[Metric]) -> None:
    """Make metrics known in this process by their names."""
    METRICS.update({metric.name: metric for metric in metrics})


def add(names: Sequence[str] | None, timeout_s: float) -> tuple[list[str] | None, tuple[PluginMetric, ...]]:
    """Register what of `--metrics` is an entry point or a target such as `file.py:Class?name=value`.

    Returns the names, with those of metrics in the place of targets, and the metrics.
    Raises `EvalError` for one that cannot be used, or has the name of another metric.
    """
    if names is None:
        return None, ()
    found: dict[str, PluginMetric] = {}
    plain = []
    for text in dict.fromkeys(names):
        spec = Spec.parse(text)
        spec = Spec(installed(ENTRY_POINTS).get(spec.target, spec.target), spec.options)
        if text in METRICS or not spec.is_plugin:
            plain.append(text)
            continue
        metric = PluginMetric.of(spec, timeout_s)
        if metric.name in found or not isinstance(METRICS.get(metric.name, metric), PluginMetric):
            raise EvalError(f"{spec.shown} is called {metric.name}, as another metric is: give it another name")
        found[metric.name] = metric
        plain.append(metric.name)
    register(tuple(found.values()))
    return plain, tuple(found.values())
