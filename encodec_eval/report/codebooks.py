"""How a run's codecs use their codebooks, from the codes that its folder keeps."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from codec.usage import perplexity
from encodec_eval.files import safe_name
from encodec_eval.report.results import Results
from encodec_eval.run.journal import codes_path

COUNTED = "codebooks.csv"


def codebook_usage(results: Results) -> pd.DataFrame:
    """How the entries of each codebook are used: `series codebook entropy_bits perplexity used frames clips`.

    Over the clips that have codes; `clips` says how many of all. Empty if the run has no codes. A folder that came
    without its codes, as from a repository, gives what was counted when it had them.
    """
    counted_before = results.folder / COUNTED
    if not (results.folder / "codes").is_dir() and counted_before.is_file():
        before = pd.read_csv(counted_before)
        return before[before.series.isin(results.points.series)]  # not those of a run that this one replaced
    rows: list[dict[str, object]] = []
    for series in dict.fromkeys(results.points.series):
        if not (results.folder / "codes" / safe_name(series)).is_dir():
            continue
        paths = [codes_path(str(results.folder / "codes"), series, clip) for clip in results.clips.id]
        counted, clips = count_codes(path for path in paths if path.exists())
        for k, counts in enumerate(counted):
            entropy, effective = perplexity(counts)
            used = int((counts > 0).sum())
            rows.append(
                {
                    "series": series,
                    "codebook": k + 1,
                    "entropy_bits": entropy,
                    "perplexity": effective,
                    "used": used,
                    "frames": int(counts.sum()),
                    "clips": f"{clips}/{len(paths)}",
                }
            )
    return pd.DataFrame(rows)


def count_codes(paths: Iterable[Path]) -> tuple[list[NDArray[np.int64]], int]:
    """How often each entry of each codebook is used in files of codes `[K, F]`, read one by one; and how many files."""
    counts: list[NDArray[np.int64]] = []
    files = 0
    for path in paths:
        files += 1
        for k, entries in enumerate(np.load(path)):
            found = np.bincount(entries)
            if k == len(counts):
                counts.append(np.zeros(0, dtype=np.int64))
            if len(found) > len(counts[k]):
                counts[k] = np.pad(counts[k], (0, len(found) - len(counts[k])))
            counts[k][: len(found)] += found
    return counts, files
