"""Answers of a listening test -> `report.md`, figures (PNG, PDF) and tables (CSV, LaTeX) in a folder."""

from pathlib import Path

import pandas as pd

from encodec_eval.listening.analysis import figures, screening
from encodec_eval.listening.analysis.tables import SUMMARY, Section, sections
from encodec_eval.listening.methods import METHODS
from encodec_eval.mushra.analysis.figures import save_figure
from encodec_eval.mushra.analysis.ratings import SIMULATED
from encodec_eval.mushra.manifest import Manifest
from encodec_eval.report.tables import latex, markdown
from encodec_eval.types import EvalError

INVENTED = "**INVENTED listeners: a program made these answers, nobody heard this. They say nothing about any codec.**"
LATEX = (SUMMARY, "pairs", "exclusions")


def write_report(answers: pd.DataFrame, manifest: Manifest, folder: Path) -> pd.DataFrame:
    """Screen, analyse and write. Returns the main table. Raises `EvalError` if fewer than two listeners are left."""
    method = METHODS[manifest.method]
    excluded = screening.exclusions(answers, manifest, method)
    kept = screening.controls_out(answers[~answers["listener"].isin(excluded["listener"])])
    left, heard = kept["listener"].nunique(), answers["listener"].nunique()
    if left < 2:
        raise EvalError(f"{left} of {heard} listeners are left after screening; expected at least 2")
    invented = bool(answers["listener"].str.startswith(SIMULATED).any())
    found = [*sections(kept, method), _exclusions(excluded), _pace(screening.hasty(answers))]
    title = manifest.title + (" (INVENTED listeners)" if invented else "")
    who = "INVENTED listeners, nobody heard this" if invented else "listeners"
    note = f"{left} {who}; {kept['item'].nunique()} items; {heard - left} of {heard} listeners left out"
    folder.mkdir(parents=True, exist_ok=True)
    for each in found:
        if not each.lacking:
            each.table.to_csv(folder / f"{each.name}.csv", index=False, float_format="%.6g")
        if each.name in LATEX and len(each.text):
            label = f"tab:{method.name}-{each.name}"
            (folder / f"{each.name}.tex").write_text(latex(each.text, f"{title}: {each.title}; {note}", label), "utf-8")
    drawn = _draw(kept, manifest, found, title, note, folder)
    parts = [f"# {title}", f"{note}. {method.standard}.", INVENTED if invented else ""]
    for each in found:
        parts += [f"## {each.title}", *(f"![{each.title}]({name})" for name in drawn.get(each.name, []))]
        parts += [each.lacking or (markdown(each.text).strip() if len(each.text) else "None."), each.note]
    (folder / "report.md").write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    return found[0].table


def _draw(
    kept: pd.DataFrame, manifest: Manifest, found: list[Section], title: str, note: str, folder: Path
) -> dict[str, list[str]]:
    """Write the figures, each as PNG and PDF. Returns the PNG files by the section that they belong to."""
    method = METHODS[manifest.method]
    main = figures.method_figure(method, kept, found[0].table, title, note)
    drawn = {SUMMARY: main} if main else {}
    for path in (folder / f"{SUMMARY}.png", folder / f"{SUMMARY}.pdf"):
        path.unlink(missing_ok=True)  # of an analysis before
    if method.name == "ab":
        pairs = next(each.table for each in found if each.name == "pairs")
        drawn["pairs"] = figures.preference_figure(pairs, f"{title}: pairs", note)
    for name, figure in drawn.items():
        save_figure(figure, folder / f"{name}.png", folder / f"{name}.pdf")
    return {name: [f"{name}.png"] for name in drawn}


def _exclusions(excluded: pd.DataFrame) -> Section:
    note = "A row for each rule that a listener broke; the answers of all of these listeners are left out."
    text = excluded.assign(listener=[f"`{name}`" for name in excluded["listener"]])
    return Section("exclusions", "Listeners left out", note if len(text) else "", excluded, text)


def _pace(table: pd.DataFrame) -> Section:
    note = (
        f"Flagged but kept: listeners who answered more than {screening.HASTY_TRIALS:.0%} of the trials in less than "
        f"{screening.HASTY_SHARE:.0%} of the time that it takes to hear each signal once, or without starting every "
        f"signal, or in less than {screening.WHOLE_SHARE:.0%} of that time without starting any twice."
    )
    text = table.assign(
        listener=[f"`{name}`" for name in table["listener"]],
        median_s=table["median_s"].map("{:.1f}".format),
        plays=table["plays"].map("{:.1f}".format),
        plays_a_signal=table["plays_a_signal"].map("{:.1f}".format),
        hasty_trials=table["hasty_trials"].map("{:.0%}".format),
        flagged=["yes" if each else "" for each in table["flagged"]],
    )
    names = {"median_s": "median s a trial", "plays": "plays a trial", "plays_a_signal": "plays a signal"}
    names["hasty_trials"] = "hasty trials"
    return Section("time_and_plays", "Time and plays", note, table, text.rename(columns=names))
