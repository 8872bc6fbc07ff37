"""One static page of all runs under a folder: a table to sort and filter, and the shared clips to hear.

The page needs no server: it opens from disk, and its folder as it is makes a static Space.
"""

import base64
import json
import logging
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from codec.files import write_atomically
from encodec_eval.player import script
from encodec_eval.report import tables
from encodec_eval.report.comparison import run_names
from encodec_eval.report.html import STYLE
from encodec_eval.report.results import Results, load, summarize
from encodec_eval.run.journal import SCORES
from encodec_eval.types import EvalError, Measure

logger = logging.getLogger(__name__)
FOLDER = Path(__file__).parent
SPACE = """---
title: Codec leaderboard
emoji: 🎧
colorFrom: indigo
colorTo: gray
sdk: static
pinned: false
---
"""
COLUMNS = {"bitrate_payload": "kbps", "x_realtime_encode": "encode ×RT", "x_realtime_decode": "decode ×RT"}


def write_leaderboard(folder: Path, out: Path) -> Path:
    """Write the page of every run under a folder to `out/index.html`, with `clips/` and a `README.md` for a Space.

    A run that is not complete is left out, and named on the page. Returns the path of the page.
    Raises `EvalError` if no run is complete.
    """
    runs, left_out = complete_runs(folder)
    if not runs:
        raise EvalError(f"{folder} holds no complete run" + (f"; the first: {left_out[0]}" if left_out else ""))
    names = dict(zip(map(id, runs), run_names(runs), strict=True))
    sets = set_names(runs)
    (out / "clips").mkdir(parents=True, exist_ok=True)
    for old in (out / "clips").glob("*.js"):
        old.unlink()
    listed: dict[str, list[dict[str, str]]] = {name: [] for name in sets.values()}
    for key, name in sets.items():
        same = [run for run in runs if set_key(run) == key]
        for clip, versions in shared_clips(same, names).items():
            file = f"clips/{sum(map(len, listed.values()))}.js"
            data = json.dumps([clip, versions]).replace("</", "<\\/")
            write_atomically(out / file, f"leaderboard.bring({json.dumps(file)}, {data});\n")
            listed[name].append({"clip": clip, "file": file})
    write_atomically(out / "README.md", SPACE)
    page = out / "index.html"
    write_atomically(page, html(runs, names, sets, listed, left_out))
    return page


def complete_runs(folder: Path) -> tuple[list[Results], list[str]]:
    """The complete runs under a folder, and why others are left out."""
    found, left_out = [], []
    for path in sorted(folder.rglob(SCORES)):
        try:
            run = load(path.parent)
            run.measures  # noqa: B018  # refuses metrics that it does not know
            found.append(run)
        except EvalError as error:
            left_out.append(str(error))
            logger.warning("left out: %s", error)
    return found, left_out


def set_key(run: Results) -> str:
    return str(run.config["settings"]["file_list_sha256"])


def set_names(runs: Sequence[Results]) -> dict[str, str]:
    """A name for each list of clips, by its hash: only rows of one list can be compared."""
    names: dict[str, str] = {}
    for run in runs:
        if set_key(run) not in names:
            name = f"{run.set_name}, {len(run.clips)} clips"
            names[set_key(run)] = name if name not in names.values() else f"{name} ({set_key(run)[:6]})"
    return names


def shared_clips(runs: Sequence[Results], names: dict[int, str]) -> dict[str, list[dict[str, str]]]:
    """Versions for the player of every shared clip of runs over one set: the reference, then every point."""
    clips: dict[str, list[dict[str, str]]] = {}
    for run in runs:
        listing = run.folder / "examples" / "shared.json"
        if not listing.is_file():
            continue
        series = dict(zip(run.points.name, run.points.series, strict=True))
        for clip, files in json.loads(listing.read_text(encoding="utf-8")).items():
            reference = {"label": "reference", "url": data_url(listing.parent / files["reference"])}
            versions = clips.setdefault(clip, [reference])
            for point, file in files["audio"].items():
                taken = {version["label"] for version in versions}
                label, group = point, series[point]
                if label in taken:
                    label, group = f"{names[id(run)]}: {point}", f"{names[id(run)]}: {series[point]}"
                short = point.removeprefix(series[point]).lstrip("@") or point
                url = data_url(listing.parent / file)
                versions.append({"label": label, "group": group, "short": short, "url": url})
    return clips


def data_url(path: Path) -> str:
    return "data:audio/flac;base64," + base64.b64encode(path.read_bytes()).decode()


def html(
    runs: Sequence[Results], names: dict[int, str], sets: dict[str, str], clips: dict[str, Any], left_out: Sequence[str]
) -> str:
    """The whole page."""
    measures = {name: run.measures[name] for run in runs for name in run.quality_metrics}
    options = "".join(f"<option>{escape(name)}</option>" for name in sets.values())
    skipped = "".join(f"<li>{escape(reason)}</li>" for reason in left_out)
    rows = "\n".join(row for run in runs for row in run_rows(run, names[id(run)], sets[set_key(run)], measures))
    style = STYLE + (FOLDER / "leaderboard.css").read_text(encoding="utf-8")
    code = (FOLDER / "leaderboard.js").read_text(encoding="utf-8")
    data = json.dumps(clips).replace("</", "<\\/")
    left = f"<details><summary>Left out</summary><ul>{skipped}</ul></details>" if skipped else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Codec leaderboard</title><style>{style}</style></head>
<body><main><h1>Codec leaderboard</h1>
<form class="filters" onsubmit="return false">
<label>Set <select id="set">{options}</select></label>
<label>System <input id="system" type="search" placeholder="part of its name"></label>
<label>At most <input id="rate" type="number" min="0" step="any"> kbps</label>
<span id="count" role="status"></span></form>
<div class="scroll" tabindex="0" role="region" aria-label="Results"><table>
<thead>{header(measures)}</thead><tbody>
{rows}
</tbody></table></div>
<p>Means over clips; a cell's tooltip has its 95 % interval over speakers, <code>[n/N]</code> marks a mean over fewer
than all clips. Scores of different sets cannot be compared. A click on a heading sorts.</p>
<section id="listen"><h2>Listen</h2><label>Clip <select id="clip"></select></label>
<sync-player></sync-player></section>
{left}</main>
<script>{script()}</script>
<script>const clips = {data};
{code}</script></body></html>
"""


def header(measures: dict[str, Measure]) -> str:
    """The headings, each a button that sorts; `data-first` is the order of the first click."""
    cells = [heading("system", "", "ascending"), heading("run", "", "ascending")]
    cells.append(heading(COLUMNS["bitrate_payload"], "number", "ascending"))
    for measure in measures.values():
        first = "ascending" if measure.higher_is_better is False else "descending"
        cells.append(heading(tables.heading(measure), "number", first))
    cells += [heading(COLUMNS[name], "number", "descending") for name in list(COLUMNS)[1:]]
    cells.append('<th class="number">scored</th>')
    return f"<tr>{''.join(cells)}</tr>"


def heading(text: str, kind: str, first: str) -> str:
    return f'<th class="{kind}" data-first="{first}"><button type="button">{escape(text)}</button></th>'


def run_rows(run: Results, name: str, set_name: str, measures: dict[str, Measure]) -> Iterable[str]:
    """A table row for each operating point of a run; every cell carries the value that it is sorted by."""
    summary = summarize(run).set_index(["point", "metric"])
    session = run.config["sessions"][-1]
    made = escape(f"{session['command']}, {session['started']}, commit {session['commit']}")
    for point in run.points.name:

        def cell(metric: str, digits: int, point: str = point) -> str:
            if (point, metric) not in summary.index:
                return '<td class="number" data-value="">-</td>'
            found = summary.loc[(point, metric)]
            if not np.isfinite(found["mean"]):
                text = f"- [0/{found.n_total}]" if metric in measures else "-"
                return f'<td class="number" data-value="">{text}</td>'
            text = tables.number(found["mean"], digits)
            text += f" [{found.n_scored}/{found.n_total}]" if found.n_scored < found.n_total else ""
            tip = tables.interval(found["mean"], found.ci95_low, found.ci95_high, digits)
            return f'<td class="number" data-value="{found["mean"]:.6g}" title="{escape(tip)}">{escape(text)}</td>'

        cells = [
            f'<td>{escape(point)}</td><td class="run" title="{made}">{escape(name)}</td>',
            cell("bitrate_payload", 2),
        ]
        cells += [cell(metric, measure.digits) for metric, measure in measures.items()]
        cells += [cell(metric, 1) for metric in list(COLUMNS)[1:]]
        scored = min((int(summary.loc[(point, metric)].n_scored) for metric in run.quality_metrics), default=0)
        cells.append(f'<td class="number">{scored}/{len(run.clips)}</td>')
        yield f'<tr data-set="{escape(set_name)}">{"".join(cells)}</tr>'
