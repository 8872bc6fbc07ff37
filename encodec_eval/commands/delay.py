"""Measure the algorithmic delay of systems with clicks: how far each looks ahead, and how late its output comes."""

import argparse
from pathlib import Path

from codec.files import write_atomically
from encodec_eval import systems
from encodec_eval.channels import delay
from encodec_eval.report import line, tables


def add_arguments(parser: argparse.ArgumentParser) -> None:
    systems.add_options(parser)
    parser.add_argument("--out", type=Path, default=Path("results/delay"), help="folder (default: %(default)s)")


def main(arguments: argparse.Namespace) -> int:
    built = systems.build(arguments, [])
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / delay.FILE).unlink(missing_ok=True)
    delay.write(arguments.out, built)
    table = tables.markdown(line.delay_table(arguments.out / delay.FILE))
    write_atomically(arguments.out / "delay.md", f"# Algorithmic delay\n\n{line.DELAY_NOTE}\n\n{table}")
    print(table)
    return 0
