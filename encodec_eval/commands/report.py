"""Write the tables and plots of a run again, from its scores, or print it in the columns of a published table."""

import argparse
from pathlib import Path

from codec.files import write_atomically
from encodec_eval.report import layouts, tables
from encodec_eval.report.folder import title, write_report
from encodec_eval.report.results import Results, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("--reference", metavar="POINT", help="also compare every point with this one, clip by clip")
    parser.add_argument("--curves", nargs="*", metavar="METRIC", help="draw curves of only these (default: of all)")
    parser.add_argument("--layout", choices=layouts.names(), help="print the run in the columns of a published table")
    parser.add_argument("--partial", action="store_true", help="accept an incomplete run; the title says that it is")


def main(arguments: argparse.Namespace) -> int:
    results = load(arguments.run, arguments.partial)
    if arguments.layout:
        print(write_layout(results, layouts.get(arguments.layout)))
        return 0
    table = write_report(results, arguments.reference, arguments.curves)
    print(f"{title(results)}\n\n{table}")
    return 0


def write_layout(results: Results, layout: layouts.Layout) -> str:
    """Write layout_NAME.md and layout_NAME.tex into the run's folder. Returns the Markdown."""
    table, notes = layouts.table(results, layout), layouts.notes(results, layout)
    text = f"# {title(results)}\n\n{tables.markdown(table)}\n" + "".join(f"- {note}\n" for note in notes)
    write_atomically(results.folder / f"layout_{layout.name}.md", text)
    latex = tables.latex(table, f"{title(results)}. {' '.join(notes)}", f"tab:{layout.name}")
    write_atomically(results.folder / f"layout_{layout.name}.tex", latex)
    return text
