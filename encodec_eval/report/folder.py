"""Everything that a run's folder holds beside its scores: summaries, tables, report. Made from the files alone."""

import json
from pathlib import Path

from encodec_eval.files import write_atomically
from encodec_eval.report import literature, tables
from encodec_eval.report.html import Section, page
from encodec_eval.report.plots import write_plots
from encodec_eval.report.results import Results, bjontegaard, codebook_usage, differences, per_clip, summarize

FLOATS = "%.6g"


def title(results: Results) -> str:
    """The heading of a report; a partial run and one whose workers died say so in it."""
    partial = f" (partial: {results.missing} scores are missing)" if results.missing else ""
    if results.waiting:
        partial += f" ({results.waiting} of {len(results.scores)} scores wait: run the same command again)"
    return f"{results.set_name}: {len(results.clips)} clips, {results.clips.seconds.sum() / 60:.1f} minutes{partial}"


def write_report(results: Results, reference: str | None = None) -> str:
    """Write summary.csv, per_clip.csv, report.md, tables.tex, the figures and report.html into the run's folder.

    Returns the main table.
    """
    summary = summarize(results)
    main = tables.main_table(results, summary)
    sections: list[Section] = [("Results", main, _scores_note(results))]
    if reference:
        paired = differences(results, reference)
        paired.to_csv(results.folder / "differences.csv", index=False, float_format=FLOATS)
        note = f"{PAIRED_NOTE} {results.interval_note}"
        sections.append((f"Paired differences to {reference}", tables.difference_table(paired, results.measures), note))
    deltas = bjontegaard(results, "opus")
    if len(deltas):
        deltas.to_csv(results.folder / "bjontegaard.csv", index=False, float_format=FLOATS)
        note = f"{BD_NOTE} {results.interval_note}"
        sections.append(("Bjøntegaard deltas against Opus", tables.bjontegaard_table(deltas, results.measures), note))
    usage = codebook_usage(results)
    figures = write_plots(results, summary, usage)
    reasons = tables.reasons_table(results)
    if len(reasons):
        sections.append(("Scores without a value", reasons, "They are counted in no mean."))
    if len(results.skipped):
        sections.append(("Skipped files", results.skipped, "They are not part of the set. `--strict` refuses them."))
    sections.append(("Quoted objective figures", literature.objective_table(), QUOTED_NOTE))
    sections.append(("Quoted listening test", literature.mushra_table(), MUSHRA_NOTE))
    if len(usage):
        usage.to_csv(results.folder / "codebooks.csv", index=False, float_format=FLOATS)
        sections.append(("Codebook usage", tables.codebook_table(usage), USAGE_NOTE))
    summary.to_csv(results.folder / "summary.csv", index=False, float_format=FLOATS)
    per_clip(results).to_csv(results.folder / "per_clip.csv", index=False, float_format=FLOATS)
    write_atomically(results.folder / "report.md", _markdown(results, sections, figures))
    latex = [tables.latex(table, _caption(results, name, note), _label(name)) for name, table, note in sections]
    write_atomically(results.folder / "tables.tex", "% \\usepackage{booktabs}\n" + "\n".join(latex))
    html = page(title(results), results.config["note"], sections, figures, results.folder, _provenance(results))
    write_atomically(results.folder / "report.html", html)
    return tables.markdown(main)


PAIRED_NOTE = (
    "Mean of point minus reference, clip by clip, with its interval; p from the t of that interval, corrected after "
    "Holm over the points of each metric."
)
BD_NOTE = (
    "BD-rate: how much more payload rate the codec needs for equal quality (negative is better); BD-quality: how much "
    "its score differs at equal rate. `-`: the curves share no span of quality, or fall with the rate."
)
USAGE_NOTE = (
    "Over all frames of the clips that could be coded. Perplexity: how many entries, evenly used, would have the same "
    "entropy."
)
QUOTED_NOTE = "Published by others, on other recordings than these: for orientation, not for comparison digit by digit."
MUSHRA_NOTE = (
    "Quoted from arXiv 2210.13438: MUSHRA scores at 24 kHz mono, mean ± 95 % interval. Nothing here was measured by us."
)


def _scores_note(results: Results) -> str:
    return (
        f"Means over clips. {results.interval_note} `scored`: clips that have every audio metric, of all clips. "
        "`[n/N]` marks a mean over fewer than all."
    )


def _caption(results: Results, name: str, note: str) -> str:
    """What stands under a LaTeX table: its name, and what its intervals are if it has any."""
    intervals = f" {results.interval_note}" if results.interval_note in note else ""
    return f"{name}, {title(results)}.{intervals}".replace("%", r"\%")


def _label(name: str) -> str:
    return "tab:" + "".join(character if character.isalnum() else "-" for character in name.lower())


def _markdown(results: Results, sections: list[Section], figures: list[Path]) -> str:
    parts = [f"# {title(results)}\n"]
    if results.config["note"]:
        parts.append(f"{results.config['note']}.\n")
    for name, table, note in sections:
        parts.append(f"## {name}\n\n{note}\n\n{tables.markdown(table)}")
        if name == "Results":
            parts += [f"![{path.stem}]({path.stem}.png)\n" for path in figures]
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
