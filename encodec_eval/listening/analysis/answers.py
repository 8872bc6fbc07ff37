"""CSV files of a listening test -> one row a judgement."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from encodec_eval.listening.methods import METHODS
from encodec_eval.mushra.analysis.ratings import read_rows, without_twins
from encodec_eval.mushra.manifest import Manifest
from encodec_eval.types import EvalError

COLUMNS = ["listener", "trial", "item", "condition", "against", "score"]
COLUMNS += ["answer", "time_s", "plays", "signals", "audio_s"]


def read_answers(paths: Sequence[Path], manifest: Manifest) -> pd.DataFrame:
    """One row a judgement, with `COLUMNS`, sorted.

    `item` is the recording, `score` what the method's `judge` says, in its unit; `answer` what the listener chose;
    `time_s` the time on the trial, `plays` how often its `signals` were started, `audio_s` the length of all of them.
    Raises `EvalError` for what no page of this test writes, or two different answers to one trial.
    """
    method = METHODS[manifest.method]
    trials = {item.id: item for item in manifest.items}
    rows = without_twins(read_rows(paths, method.low, method.high))
    judged = []
    for (listener, name), group in rows.groupby(["listener", "item"], sort=True):
        trial = trials.get(str(name))
        scores = {str(key): round(score) for key, score in zip(group["condition"], group["score"], strict=True)}
        try:
            if trial is None:
                raise ValueError("wrong item")
            method.check(trial, scores)
        except ValueError as error:
            tests = ", ".join(sorted(set(group["test"])))
            raise EvalError(
                f"listener {listener}, trial {name}: {error}; expected answers to test {manifest.test_id}, these "
                f"are to {tests}"
            ) from error
        heard = len({stimulus.id for stimulus in (trial.open_reference, *trial.stimuli)})
        spent = [float(group["time_s"].iloc[0]), float(group["plays"].iloc[0]), heard, heard * trial.duration_s]
        for each in method.judge(trial, {key: float(score) for key, score in scores.items()}):
            answer = float(group["score"].iloc[0])
            judged.append([listener, name, trial.clip, each.condition, each.against, each.score, answer, *spent])
    return pd.DataFrame(judged, columns=COLUMNS)
