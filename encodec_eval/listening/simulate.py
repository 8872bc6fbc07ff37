"""Listeners that do not exist, with known true qualities: for testing an analysis, never for results."""

from collections.abc import Mapping

import numpy as np

from encodec_eval.listening.methods import METHODS
from encodec_eval.listening.methods.base import GOLD_BAD, TRAP
from encodec_eval.mushra.analysis.ratings import PLAYS, SIMULATED
from encodec_eval.mushra.analysis.simulate import default_truth, faults_of
from encodec_eval.mushra.manifest import REFERENCE, Item, Manifest, Stimulus

FAULTS = ("random", "constant", "hasty")  # any answer; always the same; any answer, after a second
ITEM_SD, LISTENER_SD = 3.0, 4.0


def simulate(
    manifest: Manifest,
    listeners: int,
    faulty: int = 0,
    seed: int = 0,
    noise: float = 8.0,
    truth: Mapping[str, float] | None = None,
) -> list[dict[str, object]]:
    """Result rows of `listeners` invented listeners, the last `faulty` of them unreliable in turn after `FAULTS`.

    A reliable one hears truth + item effect (sd 3) + own bias (sd 4) + noise (sd `noise`) on a scale to 100, and
    answers by the method. Forms are handed out in turn. Raises `EvalError` for impossible counts.
    """
    given = faults_of(listeners, faulty, FAULTS)
    truth = dict(truth or default_truth(manifest.conditions)) | {REFERENCE: 100.0, GOLD_BAD: 0.0}
    generator = np.random.default_rng(seed)
    clips = sorted({item.clip for item in manifest.items})
    effect = {(clip, name): generator.normal(0, ITEM_SD) for clip in clips for name in manifest.conditions}
    items = {item.id: item for item in manifest.items}
    rows: list[dict[str, object]] = []
    for number, fault in enumerate(given):
        bias = generator.normal(0, LISTENER_SD)
        for name in manifest.forms[number % len(manifest.forms)]:
            item = items[name]

            def quality(stimulus: Stimulus, item: Item = item, bias: float = bias) -> float:
                if stimulus.condition.startswith(TRAP):
                    return 25.0 * (int(stimulus.condition.removeprefix(TRAP)) - 1)
                if stimulus.condition == REFERENCE:
                    return 100.0 - abs(generator.normal(0, noise / 4))
                heard = effect.get((item.clip, stimulus.condition), 0.0) + bias + generator.normal(0, noise)
                return float(min(truth[stimulus.condition] + heard, 100.0))

            method = METHODS[manifest.method]
            answer = method.guess(item, generator) if fault else method.answer(item, quality, generator)
            if fault == "constant":
                answer = dict.fromkeys(answer, method.high)
            signals = len({each.id for each in (item.open_reference, *item.stimuli)})
            seconds = 1.0 if fault == "hasty" else generator.uniform(1.2, 3) * item.duration_s * signals
            plays = signals if fault else int(generator.integers(2, 5)) * signals
            rows += [
                {
                    "session_test_id": manifest.test_id,
                    "session_uuid": f"{SIMULATED}{number + 1:03d}" + (f"-{fault}" if fault else ""),
                    "trial_id": name,
                    "rating_stimulus": stimulus,
                    "rating_score": score,
                    "rating_time": round(1000 * seconds),
                    "rating_comment": "simulated",
                    PLAYS: plays,
                }
                for stimulus, score in answer.items()
            ]
    return rows
