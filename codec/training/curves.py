"""Training curves: rows of numbers by name in a CSV file, and their picture."""

import csv
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from codec.files import replacing


def append(path: Path, row: Mapping[str, float]) -> None:
    """Add a row; new names become columns. Rows of steps that a resumed run takes again are replaced."""
    rows: list[Mapping[str, float | str]] = []
    if path.is_file():
        with path.open(newline="") as file:
            rows = [old for old in csv.DictReader(file) if float(old["step"]) < row["step"]]
    rows.append(row)
    with replacing(path) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for each in rows for name in each)))
        writer.writeheader()
        writer.writerows(rows)


def plot(path: Path) -> Path:
    """Draw every column of a curves file over the steps: a PNG beside it, and return its path."""
    table = pd.read_csv(path).set_index("step")
    names = [name for name in table if name not in ("hours", "audio_seconds")]
    figure = Figure(figsize=(9, 2.2 * len(names)), layout="constrained")
    for axes, name in zip(figure.subplots(len(names), squeeze=False)[:, 0], names, strict=True):
        column = table[name].dropna()
        axes.plot(column.index.to_numpy(), column.to_numpy(), marker=".")
        axes.set(xlabel="step", ylabel=name)
        axes.grid(alpha=0.3)
    figure.savefig(path.with_suffix(".png"), dpi=100)
    return path.with_suffix(".png")
