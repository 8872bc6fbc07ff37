"""Is the report of the main command there and complete? Usage: check_report.py FOLDER"""

import sys
from pathlib import Path

import pandas as pd

folder = Path(sys.argv[1])
summary = pd.read_csv(folder / "summary.csv")
report = (folder / "report.md").read_text()
audio = summary[summary.metric.isin(["pesq", "stoi", "si_snr"])]
assert audio.point.nunique() == 5, f"5 bandwidths wanted, found {sorted(audio.point.unique())}"
assert len(audio) == 15, f"3 metrics of 5 bandwidths wanted, found {len(audio)}"
assert (audio.n_total >= 30).all(), f"a set of at least 30 clips wanted, found {audio.n_total.min()}"
assert (audio.n_scored == audio.n_total).all(), f"scores are missing:\n{audio[audio.n_scored < audio.n_total]}"
assert audio["mean"].notna().all(), "a mean is missing"
assert all(point in report for point in audio.point.unique()), "report.md lacks a point"
print(f"{folder}: {len(audio)} means, each of {audio.n_total.max()} clips")
