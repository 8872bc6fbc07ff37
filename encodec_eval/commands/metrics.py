"""List the metrics: unit, direction, range, sample rate, source."""

import argparse

import pandas as pd

from encodec_eval.metrics import DEFAULT, METRICS
from encodec_eval.report.tables import markdown

DIRECTION = {True: "higher is better", False: "lower is better", None: ""}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command takes none."""


def main(arguments: argparse.Namespace) -> int:
    rows = [
        {
            "metric": name,
            "unit": metric.unit or "-",
            "direction": DIRECTION[metric.higher_is_better] or "-",
            "range": f"{metric.range[0]:g} to {metric.range[1]:g}",
            "rate": f"{metric.sample_rate} Hz" if metric.sample_rate else "the clip's",
            "channels": metric.channels if metric.kind == "pair" else "-",
            "when": "default" if name in DEFAULT else ("always" if metric.kind != "pair" else "on request"),
            "source": metric.source + (f"; needs the extra [{metric.extra}]" if metric.extra else ""),
        }
        for name, metric in METRICS.items()
    ]
    print(markdown(pd.DataFrame(rows)))
    return 0
