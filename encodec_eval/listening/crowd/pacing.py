"""Training and breaks of a test: what its settings leave to the method."""

from collections.abc import Sequence
from itertools import cycle

from encodec_eval.listening.crowd.settings import Settings
from encodec_eval.listening.methods import METHODS
from encodec_eval.listening.methods.base import is_control
from encodec_eval.mushra.manifest import Item, Manifest


def pacing(manifest: Manifest, settings: Settings) -> dict[str, object]:
    """What the page must know: `training`, the number of training trials, `training_trials`, for each form the ids of
    trials to draw them from in this order (empty: in the listener's), and `break_every`.

    Where a trial has one version (ACR, DCR, CCR), training goes through the conditions in turn, so that the range of
    quality is heard before the first grade, as ITU-T P.808's toolkit asks for.
    """
    method = METHODS[manifest.method]
    spread = method.most_training > 1
    items = {item.id: item for item in manifest.items}
    trials = [
        _through_conditions([items[name] for name in form], manifest) if spread else [] for form in manifest.forms
    ]
    most = min(method.most_training, *(len(each) for each in trials)) if spread else method.most_training
    given, every = settings["training"], settings["break_every"]
    return {
        "training": most if given is None else given,
        "training_trials": trials,
        "break_every": method.break_every if every is None else every,
    }


def _through_conditions(trials: Sequence[Item], manifest: Manifest) -> list[str]:
    """One trial for each condition of a form, of another recording each time while there are others."""
    clips = cycle(sorted({trial.clip for trial in trials}))
    chosen = []
    for condition in manifest.conditions:
        of_it = {trial.clip: trial.id for trial in trials if _judged(trial) == condition}
        if of_it:
            chosen.append(next(of_it[clip] for clip in clips if clip in of_it))
    return chosen


def _judged(trial: Item) -> str:
    """The condition that is judged in a trial with one version: the last; "" for gold questions and traps."""
    condition = trial.stimuli[-1].condition
    return "" if is_control(condition) else condition
