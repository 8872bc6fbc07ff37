"""A complete listening test of any method in one folder, from the stimuli of `encodec_eval.mushra`."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from encodec_eval.files import safe_name
from encodec_eval.listening import controls
from encodec_eval.listening.methods import METHODS
from encodec_eval.listening.methods.base import Method, Trial
from encodec_eval.mushra import stimuli
from encodec_eval.mushra.make import Design, check_any, fingerprint, settings
from encodec_eval.mushra.manifest import FILE_NAME, REFERENCE, Item, Manifest, Stimulus
from encodec_eval.mushra.page import write_page
from encodec_eval.types import EvalError

RECORDINGS, DURATION_S = 8, 10.0  # unless the design says otherwise
MOST_TRIALS = 400  # of one listener: hours of work


@dataclass(frozen=True)
class Choices:
    """What a method adds to a `Design`: `trials` of each condition in ABX; of each form, gold questions and traps; the
    number of items that a listener will hear the trials of, if not all."""

    trials: int = 16
    gold: int = 1
    traps: int = 1
    per_listener: int | None = None


def make_test(design: Design, name: str, choices: Choices, folder: Path) -> Manifest:
    """Render a whole test of the method `name` into `folder`; an item of its manifest is one trial.

    The `preset` of the design is MUSHRA's and not read; without `items` and `duration_s` there are `RECORDINGS` of
    `DURATION_S` seconds.

    Every trial has file names of its own, so that no name tells what is heard again in another. The manifest is written
    last. Raises `EvalError` for a design without a system, trials that nobody would sit through, a folder that holds a
    test already, or audio that cannot be used.
    """
    method = METHODS[name]
    items, duration_s = design.items or RECORDINGS, design.duration_s or DURATION_S
    points = [point.name for system in design.systems for point in system.points]
    check_any([REFERENCE, *points], items, duration_s, len(points))
    _check_choices(method, choices, points)
    if (folder / FILE_NAME).exists():
        raise EvalError(f"{folder} holds a test already; choose another folder")
    spans = stimuli.spans_by_domain(design.clip_set.clips, items, duration_s, design.seed)
    rendered = stimuli.render(spans, design.systems, (), design.seed, folder / "rendered")
    made = list(tqdm(rendered, total=len(spans), unit="item"))
    forms = _trials(made, method, design, choices, folder / "rendered")
    longest = round(max(map(len, forms)) * min(1.0, (choices.per_listener or items) / items))
    if longest > MOST_TRIALS and not design.force:
        raise EvalError(
            f"{longest} trials for one listener, more than {MOST_TRIALS}; expected more forms, fewer items or fewer "
            "systems, or --force"
        )
    named, of_forms = _named(forms, design.seed, folder)
    shutil.rmtree(folder / "rendered")
    manifest = Manifest(
        test_id=f"{safe_name(design.clip_set.name)}-{name}-{fingerprint(named)}",
        title=design.title or f"{method.title}, {design.clip_set.name}",
        preset=name,
        seed=design.seed,
        conditions=[REFERENCE, *points],
        items=named,
        forms=of_forms,
        settings=settings(design, duration_s)
        | {"trials": choices.trials, "gold": choices.gold, "traps": choices.traps},
        method=name,
    )
    write_page(manifest, folder)
    manifest.save(folder)
    return manifest


def _check_choices(method: Method, choices: Choices, points: Sequence[str]) -> None:
    if choices.trials < 1 or choices.gold < 0 or choices.traps < 0:
        raise EvalError(f"{choices}; expected 1 trial or more, and no negative number of gold questions or traps")
    if method.name == "ab" and len(points) < 2:
        raise EvalError(f"only {points[0]} is compared; expected two systems or more for a preference")


def _trials(items: Sequence[Item], method: Method, design: Design, choices: Choices, folder: Path) -> list[list[Trial]]:
    """The trials of each form, in an order that tells nothing."""
    generator = np.random.default_rng(design.seed)
    by_id = {item.id: item for item in items}
    forms = []
    for ids in stimuli.deal(items, design.forms):
        group = [by_id[name] for name in ids]
        trials = list(method.trials(group, choices.trials, generator))
        if method.known:
            for n in range(choices.gold):
                bad = controls.gold_stimulus(group[n % len(group)], folder, design.seed + n)
                trials += _with(group[n % len(group)], bad, method, generator)
        for n in range(choices.traps if method.traps else 0):
            answer = int(generator.integers(method.low, method.high))  # the best answer is no trap
            asking = controls.trap_stimulus(group[-1 - n % len(group)], folder, design.seed + n, answer)
            trials += _with(group[-1 - n % len(group)], asking, method, generator)
        forms.append([trials[n] for n in generator.permutation(len(trials))])
    return forms


def _with(item: Item, stimulus: Stimulus, method: Method, generator: np.random.Generator) -> list[Trial]:
    return list(method.trials([replace(item, stimuli=[stimulus])], 1, generator))


def _named(forms: Sequence[Sequence[Trial]], seed: int, folder: Path) -> tuple[list[Item], list[list[str]]]:
    """Trials as items of a manifest, and the ids of each form; every trial gets copies of its files under new names."""
    (folder / "stimuli").mkdir(parents=True, exist_ok=True)
    items: list[Item] = []
    of_forms = []
    for trials in forms:
        ids = []
        for trial in trials:
            name = f"trial{len(items) + 1:04d}"
            own = [_copy(each, f"{seed}|{name}|{n}", folder) for n, each in enumerate(trial.stimuli)]
            opened = _copy(trial.opened, f"{seed}|{name}|open", folder) if trial.opened else own[0]
            items.append(replace(trial.item, id=name, open_reference=opened, stimuli=own))
            ids.append(name)
        of_forms.append(ids)
    return items, of_forms


def _copy(stimulus: Stimulus, key: str, folder: Path) -> Stimulus:
    name = "s" + hashlib.sha256(f"{key}|{stimulus.sha256}".encode()).hexdigest()[:12]
    shutil.copyfile(folder / "rendered" / stimulus.file, folder / "stimuli" / f"{name}.wav")
    return replace(stimulus, id=name, file=f"{name}.wav")
