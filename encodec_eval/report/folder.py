"""Everything in a run's folder besides its scores: summaries, tables, report. Made from the files alone."""

import json
from collections.abc import Iterator, Sequence

import pandas as pd

from codec.files import write_atomically
from encodec_eval import stats
from encodec_eval.report import caveats, domains, line, literature, tables
from encodec_eval.report.clips import per_clip
from encodec_eval.report.codebooks import COUNTED, codebook_usage
from encodec_eval.report.html import Section, page
from encodec_eval.report.plots import write_codebooks, write_curves
from encodec_eval.report.results import Results, bjontegaard, differences, summarize
from encodec_eval.types import EvalError

FLOATS = "%.6g"


def title(results: Results) -> str:
    """The heading of a report; a partial run and one whose workers died say so in it."""
    partial = f" (partial: {results.missing} scores are missing)" if results.missing else ""
    if results.waiting:
        partial += f" ({results.waiting} of {len(results.scores)} scores wait: run the same command again)"
    return f"{results.set_name}: {len(results.clips)} clips, {results.clips.seconds.sum() / 60:.1f} minutes{partial}"


def check_curves(curves: Sequence[str] | None, metrics: Sequence[str]) -> None:
    """Raises `EvalError` if a metric is to be drawn that is not one of the run's `metrics`."""
    for name in curves or ():
        if name not in metrics:
            raise EvalError(f"no curves of {name!r}; expected of {', '.join(metrics)}")


def write_report(results: Results, reference: str | None = None, curves: Sequence[str] | None = None) -> str:
    """Write summary.csv, report.md, tables.tex, the figures, report.html and per_clip.csv into the run's folder.

    `curves` are the metrics whose curves are drawn, None for all. Returns the main table.
    """
    check_curves(curves, results.quality_metrics)
    folder, summary = results.folder, summarize(results)
    sections = make_sections(results, summary, reference, curves)
    summary.to_csv(folder / "summary.csv", index=False, float_format=FLOATS)
    write_atomically(folder / "report.md", _markdown(results, sections))
    write_atomically(folder / "tables.tex", "% \\usepackage{booktabs}\n" + "\n".join(latex_tables(results, sections)))
    html = page(title(results), notes(results), sections, folder, _provenance(results))
    write_atomically(folder / "report.html", html)
    per_clip(results).to_csv(folder / "per_clip.csv", index=False, float_format=FLOATS)
    return tables.markdown(sections[0].shown)


def make_sections(
    results: Results, summary: pd.DataFrame, reference: str | None, drawn: Sequence[str] | None = None
) -> list[Section]:
    """The parts of a report, the scores first. Writes the CSV file and the figures of each."""
    folder = results.folder
    impaired = line.sections(results, summary)
    curves = []
    if not impaired:  # every condition would be a codec of its own
        curves = write_curves(results, summary, metrics=drawn)
    main, footnotes = caveats.numbered(caveats.marked(tables.main_table(results, summary), results, summary))
    sections = [Section("Results", main, _scores_note(results), curves, footnotes=footnotes)]
    sections += impaired
    if len(results.domains) > 1:
        sections.append(domains.section(results, summary, FLOATS, drawn))
    reasons = tables.reasons_table(results)
    if len(reasons):
        note = "No mean includes them."
        if len(reasons) > tables.MOST_ROWS:
            note += f" The {tables.MOST_ROWS} most frequent of {len(reasons)} reasons; per_clip.csv has all."
            order = reasons.clips.astype(int).sort_values(ascending=False, kind="stable").index
            reasons = reasons.loc[order].head(tables.MOST_ROWS)
        sections.append(Section("Scores without a value", reasons, note, open=True))
    if reference:
        paired = differences(results, reference)
        paired.to_csv(folder / "differences.csv", index=False, float_format=FLOATS)
        sections.append(
            Section(
                f"Paired differences to {reference}",
                tables.difference_table(paired, results.measures),
                f"{PAIRED_NOTE} {results.interval_note}",
            )
        )
    deltas = bjontegaard(results, "opus")
    if len(deltas):
        deltas.to_csv(folder / "bjontegaard.csv", index=False, float_format=FLOATS)
        sections.append(
            Section(
                "Bjøntegaard deltas against Opus",
                tables.bjontegaard_table(deltas, results.measures),
                f"{BD_NOTE}{blocks_note(results)} {results.interval_note}",
            )
        )
    usage = codebook_usage(results)
    if len(usage):
        usage.to_csv(folder / COUNTED, index=False, float_format=FLOATS)
        figures = [write_codebooks(results, usage)]
        sections.append(Section("Codebook usage", tables.codebook_table(usage), USAGE_NOTE, figures))
    if len(results.skipped):
        note = "They are not part of the set. `--strict` refuses them."
        if len(results.skipped) > tables.MOST_ROWS:
            note += f" The first {tables.MOST_ROWS} of {len(results.skipped)}; config.json lists all."
        sections.append(Section("Skipped files", results.skipped.head(tables.MOST_ROWS), note, open=True))
    quoted = literature.objective_table()
    sections.append(Section("Quoted objective figures", quoted, QUOTED_NOTE, quoted=True))
    sections.append(Section("Quoted listening test", literature.mushra_table(), MUSHRA_NOTE, quoted=True))
    return sections


def blocks_note(results: Results) -> str:
    """What stands in for single speakers in the intervals of Bjontegaard deltas, where there are very many."""
    if len(results.grouping.sizes) <= stats.MOST_BLOCKS:
        return ""
    return f" Their intervals leave out {stats.MOST_BLOCKS} blocks of speakers, one after the other."


def latex_tables(results: Results, sections: list[Section]) -> Iterator[str]:
    """The tables for a paper. Quoted ones are captioned by their source, not with this run's set."""
    main, *others = sections
    ours = f", {title(results)}."

    def intervals(note: str) -> str:
        return f" {results.interval_note}" if results.interval_note in note else ""

    quality = tables.quality_table(main.table)
    caption = f"Quality{ours}{intervals(main.note)} {main.footnotes}".rstrip()
    yield tables.latex(quality, caption, "tab:results")
    yield tables.latex(tables.cost_table(main.table), f"Rates and speed{ours}", "tab:cost")
    for section in others:
        caption = f"{section.name}. {section.note}" if section.quoted else section.name + ours + intervals(section.note)
        caption = f"{caption} {section.footnotes}".rstrip()
        yield tables.latex(section.table, caption, _label(section.name))


def notes(results: Results) -> list[str]:
    """What stood in for the set or the model that was asked for."""
    return [note for note in [results.config["note"], *results.config.get("substitutions", [])] if note]


PAIRED_NOTE = (
    "Mean over clips of point minus reference, with its interval; p from the t statistic of that interval, corrected "
    "after Holm over the points of each metric."
)
BD_NOTE = (
    "BD-rate: how much more payload rate the codec needs for equal quality (negative is better); BD-quality: how much "
    "its score differs at equal rate. `-`: the curves do not overlap in quality, or one falls as the rate rises."
)
USAGE_NOTE = (
    "Over all frames of the clips that could be coded. Perplexity: the number of equally used entries that would have "
    "the same entropy."
)
QUOTED_NOTE = "Published by others, on other recordings: for orientation, not for comparison digit by digit."
MUSHRA_NOTE = (
    "Quoted from arXiv 2210.13438: MUSHRA scores at 24 kHz mono, mean ± 95 % interval. Nothing here was measured by us."
)


def _scores_note(results: Results) -> str:
    return (
        f"Means over clips{tables.pooled_note(results)}. {results.interval_note} `scored`: how many of the clips have "
        "every audio metric. `[n/N]`: a mean over n of N clips."
    )


def _label(name: str) -> str:
    return "tab:" + "".join(character if character.isalnum() else "-" for character in name.lower())


def _markdown(results: Results, sections: list[Section]) -> str:
    parts = [f"# {title(results)}\n", *(f"{note}.\n" for note in notes(results))]
    for section in sections:
        parts.append(f"## {section.name}\n\n{section.told}\n\n{tables.markdown(section.shown)}")
        parts += [f"![{path.stem}]({path.stem}.png)\n" for path in section.figures]
    parts.append(_provenance(results))
    return "\n".join(parts)


def _provenance(results: Results) -> str:
    settings, sessions = results.config["settings"], results.config["sessions"]
    lines = ["## Provenance\n"]
    for session in sessions:
        machine = session["machine"]
        lines.append(
            f"- `{session['command']}`, started {session['started']}, {session.get('wall_s', 'unfinished')} s, commit "
            f"`{session['commit']}`, Python {session['python']}, {machine['processor']} ({machine['cores']} cores, "
            f"{machine['memory_gib']} GiB), {machine['accelerator'] or 'no accelerator'}, {machine['system']}"
        )
    for system in settings["systems"]:
        lines.append(f"- system: {json.dumps(system)}")
    lines.append(f"- file list sha256: `{settings['file_list_sha256']}`")
    if results.config["licence"]:
        lines.append(f"- licence of the recordings: {results.config['licence']}")
    lines.append("- " + ", ".join(f"{name} {number}" for name, number in settings["versions"].items()))
    return "\n".join(lines) + "\n"
