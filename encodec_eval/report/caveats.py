"""Where a metric is used outside what it was made for: marks in a table, and footnotes that say why and cite it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd

from encodec_eval.report.results import Results
from encodec_eval.report.tables import MARKS, heading, readable
from encodec_eval.types import GENERAL, MUSIC, NOISY_SPEECH

CLASSICAL = ("opus", "mp3", "lowpass", "identity", "folder")  # what `System.describe` calls them
VISQOL_KBPS = 24.0


@dataclass(frozen=True)
class Use:
    """A cell of a table: a metric of one operating point, on clips of these domains. `kbps` is the payload rate."""

    metric: str
    domains: tuple[str, ...]
    kbps: float | None
    neural: bool
    speech_only: bool


@dataclass(frozen=True)
class Caveat:
    """A use to be warned of, and why."""

    applies: Callable[[Use], bool]
    text: str


NO_REFERENCE = ("dnsmos", "plcmos", "distillmos")
CAVEATS = (
    Caveat(
        lambda use: use.speech_only and bool({MUSIC, GENERAL} & {*use.domains}),
        "a measure made for speech, on clips that are not speech (see the source of each measure: "
        "`python -m encodec_eval metrics`)",
    ),
    Caveat(
        lambda use: use.metric == "visqol_audio" and use.kbps is not None and use.kbps < VISQOL_KBPS,
        "ViSQOL's audio mode was trained on rates down to 24 kbps and may behave poorly below (FAQ of "
        "github.com/google/visqol)",
    ),
    Caveat(
        lambda use: use.metric.startswith("visqol") and NOISY_SPEECH in use.domains,
        "ViSQOL expects a clean reference (guidelines of github.com/google/visqol)",
    ),
    Caveat(
        lambda use: use.metric.startswith("pesq") and use.neural,
        "PESQ is older than neural codecs and does not judge them adequately (Valin and Skoglund, LPCNet, arXiv "
        "1810.11846)",
    ),
    Caveat(
        lambda use: use.metric.startswith(NO_REFERENCE) and NOISY_SPEECH in use.domains,
        "without a reference, the noise and the room of the recording count against the output: compare with "
        "`identity` (made for noise suppressors: Reddy et al., arXiv 2110.01763)",
    ),
)


def uses(results: Results, summary: pd.DataFrame) -> Iterator[tuple[str, Use]]:
    """Every point and metric of a run as a use."""
    means = summary.pivot(index="point", columns="metric", values="mean")
    domains = tuple(results.domains)
    classical = classical_series(results)
    for point, series in zip(results.points.name, results.points.series, strict=True):
        payload = means.loc[point].get("bitrate_payload")
        kbps = None if payload is None or pd.isna(payload) else float(payload)
        for metric in results.quality_metrics:
            speech_only = "speech only" in results.measures[metric].source
            yield point, Use(metric, domains, kbps, series not in classical, speech_only)


def classical_series(results: Results) -> set[str]:
    """The series of a run that no network made, or of which nothing is known."""
    systems = results.config["settings"]["systems"]
    return {str(each.get("name", each["system"])).split("@")[0] for each in systems if each["system"] in CLASSICAL}


def marked(table: pd.DataFrame, results: Results, summary: pd.DataFrame) -> pd.DataFrame:
    """A main table with the mark of each caveat, its place in `CAVEATS`, behind the cells that it applies to."""
    table = table.set_index("point")
    for point, use in uses(results, summary):
        column = heading(results.measures[use.metric])
        marks = "".join(MARKS[n] for n, caveat in enumerate(CAVEATS) if caveat.applies(use))
        if marks and column in table:
            marked_rows = (table.index == point) & (table[column] != "-")
            table[column] = table[column].where(~marked_rows, table[column].astype(str) + marks)
    return table.reset_index()


def numbered(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """A table that `marked` made, its marks numbered as a reader comes to them, and what they mean in one paragraph,
    empty if it has none."""
    names = ["point", "domain", "metric"]
    cells = table.drop(columns=names, errors="ignore")
    read = readable(table).drop(columns=names, errors="ignore")
    met = dict.fromkeys(mark for mark in "".join(map(str, read.to_numpy().flat)) if mark in MARKS)
    new = dict(zip(met, MARKS, strict=False))

    def renumber(cell: object) -> str:
        def of(found: re.Match[str]) -> str:
            return "".join(sorted((new[mark] for mark in found[0]), key=MARKS.index))

        return re.sub(f"[{MARKS}]+", of, str(cell))

    text = " ".join(f"{number} {CAVEATS[MARKS.index(mark)].text}." for mark, number in new.items())
    return table.assign(**{str(name): cells[name].map(renumber) for name in cells}), text
