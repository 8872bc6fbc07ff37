"""List the metrics: what each is for, range and direction, the group that has it, source, and what it needs."""

import argparse
import math

import pandas as pd

from encodec_eval.metrics import ALWAYS, DEFAULT, METRICS, unavailable
from encodec_eval.report.tables import markdown
from encodec_eval.types import Metric

DIRECTION = {True: "higher is better", False: "lower is better", None: "neither is better"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command takes none."""


def main(arguments: argparse.Namespace) -> int:
    rows = [
        {
            "metric": name,
            "what it tells": metric.purpose or metric.title,
            "range": span(metric),
            "direction": DIRECTION[metric.higher_is_better],
            "computed": when(metric),
            "audio": audio(metric),
            "source": metric.source,
            "needs": needs(metric),
        }
        for name, metric in METRICS.items()
    ]
    print(markdown(pd.DataFrame(rows)))
    print("`--metrics` takes names and the groups speech, music and all; a group leaves out what is not installed.")
    return 0


def span(metric: Metric) -> str:
    """The range in words, with its unit."""
    low, high = metric.range
    if math.isinf(low):
        words = "any number" if math.isinf(high) else f"up to {high:g}"
    else:
        words = f"{low:g} and more" if math.isinf(high) else f"{low:g} to {high:g}"
    return f"{words} {metric.unit}".strip()


def when(metric: Metric) -> str:
    """What has the metric computed."""
    if metric.on_request:
        return "with --through"
    if metric.name in ALWAYS:
        return "always"
    groups = ", ".join([*metric.groups, "all"])
    return f"by default; {groups}" if metric.name in DEFAULT else groups


def audio(metric: Metric) -> str:
    """What a metric on audio is given."""
    if metric.kind not in ("pair", "weight"):
        return "-"
    rate = f"{metric.sample_rate} Hz" if metric.sample_rate else "the clip's rate"
    return f"{rate}, {'mono' if metric.channels == 'mono' else 'each channel'}"


def needs(metric: Metric) -> str:
    """The extra or package that brings what a plain installation lacks, and whether it is here."""
    if not metric.extra and not unavailable(metric):
        return "-"
    wanted = f"extra [{metric.extra}]" if metric.extra else ", ".join(metric.packages)
    return f"{wanted}, {'not installed' if unavailable(metric) else 'installed'}"
