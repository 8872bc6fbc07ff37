"""Listeners that do not exist, with known true scores: for testing the analysis, never for results."""

from collections.abc import Mapping, Sequence

import numpy as np

from encodec_eval.mushra.analysis.ratings import SIMULATED
from encodec_eval.mushra.manifest import LOW_ANCHOR, MID_ANCHOR, REFERENCE, Manifest
from encodec_eval.types import EvalError

FAULTS = ("random", "deaf", "generous")  # any score; finds no reference; everything is excellent


def default_truth(conditions: Sequence[str]) -> dict[str, float]:
    """Reference 100, anchors 20 and 45, and the systems, in the manifest's order, evenly from 35 to 85."""
    fixed = {REFERENCE: 100.0, LOW_ANCHOR: 20.0, MID_ANCHOR: 45.0}
    systems = [name for name in conditions if name not in fixed]
    return {name: fixed[name] for name in conditions if name in fixed} | dict(
        zip(systems, np.linspace(35, 85, len(systems)).tolist(), strict=True)
    )


def faults_of(listeners: int, faulty: int, faults: Sequence[str]) -> list[str]:
    """The fault of each listener, "" for reliable ones: the last `faulty` have `faults` in turn."""
    if listeners < 1 or not 0 <= faulty <= listeners:
        raise EvalError(
            f"{listeners} listeners with {faulty} faulty ones given; expected 1 or more, of whom 0 to all are faulty"
        )
    reliable = listeners - faulty
    return [""] * reliable + [faults[number % len(faults)] for number in range(faulty)]


def simulate(
    manifest: Manifest,
    listeners: int,
    faulty: int = 0,
    seed: int = 0,
    noise: float = 8.0,
    truth: Mapping[str, float] | None = None,
) -> list[dict[str, object]]:
    """Result rows of `listeners` invented listeners, the last `faulty` of them unreliable in turn after `FAULTS`.

    A reliable one scores truth + item effect (sd 3) + own bias (sd 4) + noise (sd `noise`), the reference within a few
    points of 100. Forms are handed out in turn. Raises `EvalError` for impossible counts.
    """
    given = faults_of(listeners, faulty, FAULTS)
    truth = dict(truth or default_truth(manifest.conditions))
    generator = np.random.default_rng(seed)
    effect = {(item.id, name): generator.normal(0, 3) for item in manifest.items for name in manifest.conditions}
    items = {item.id: item for item in manifest.items}
    rows: list[dict[str, object]] = []
    for number, fault in enumerate(given):
        bias = generator.normal(0, 4)
        for item_id in manifest.forms[number % len(manifest.forms)]:
            for stimulus in items[item_id].stimuli:
                expected = truth[stimulus.condition] + effect[item_id, stimulus.condition] + bias
                score = _score(stimulus.condition, expected, fault, noise, generator)
                rows.append(
                    {
                        "session_test_id": manifest.test_id,
                        "session_uuid": f"{SIMULATED}{number + 1:03d}" + (f"-{fault}" if fault else ""),
                        "trial_id": item_id,
                        "rating_stimulus": stimulus.id,
                        "rating_score": round(min(max(score, 0), 100)),
                        "rating_time": round(generator.uniform(20000, 90000)),
                        "rating_comment": "simulated",
                    }
                )
    return rows


def _score(condition: str, expected: float, fault: str, noise: float, generator: np.random.Generator) -> float:
    if fault == "random":
        return generator.uniform(0, 100)
    if fault == "generous":
        return generator.uniform(91, 100)
    if condition == REFERENCE:
        return generator.uniform(55, 95) if fault == "deaf" else 100 - abs(generator.normal(0, 2))
    return expected + generator.normal(0, noise)
