"""List the sets: size, rate, licence, and whether they are here."""

import argparse
from pathlib import Path

import pandas as pd

from encodec_eval.corpora import CORPORA
from encodec_eval.datasets import BUNDLED_SETS, bundled_set, default_data_root
from encodec_eval.report.tables import markdown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-root", type=Path, help="where corpora lie, or are downloaded to")


def main(arguments: argparse.Namespace) -> int:
    root = arguments.data_root or default_data_root()
    rows = []
    for name, corpus in CORPORA.items():
        here = [subset or "yes" for subset in corpus.subsets if corpus.present(root, subset)]
        rows.append(
            {
                "set": name,
                "what": corpus.title,
                "domain": corpus.domain_of(corpus.subsets[0]),
                "hours": corpus.hours,
                "rate": corpus.rate,
                "subsets": ", ".join(corpus.subsets) or "-",
                "licence": corpus.licence,
                "here": ", ".join(here) or "no",
            }
        )
    for name, (licence, _) in BUNDLED_SETS.items():
        clips = bundled_set(name).clips
        rates = sorted({f"{clip.sample_rate / 1000:g}" for clip in clips})
        row = {"set": name, "what": f"bundled, {len(clips)} clips", "rate": f"{', '.join(rates)} kHz", "subsets": "-"}
        row["domain"] = ", ".join(dict.fromkeys(clip.domain for clip in clips))
        hours = f"{sum(clip.duration_s for clip in clips) / 3600:.2f}"
        rows.append(row | {"hours": hours, "licence": licence, "here": "yes"})
    print(f"data root: {root}\n\n{markdown(pd.DataFrame(rows))}")
    print("Also: a folder of audio files, one audio file, a CSV manifest with the columns path, start, duration")
    print("(seconds), speaker and domain, WebDataset files (x.tar, 'x-*.tar', 'x-{00..12}.tar'), and hf:NAME:SPLIT or")
    print("hf:NAME:CONFIG:SPLIT for a dataset of the Hugging Face hub (with the extra [datasets]).")
    print("NAME+noisy makes a set of speech noisy and reverberant.")
    return 0
