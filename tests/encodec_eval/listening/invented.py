"""Tests of every method without audio, and invented answers to them."""

from dataclasses import replace

import numpy as np

from encodec_eval.listening.analysis.answers import read_answers
from encodec_eval.listening.methods import METHODS
from encodec_eval.listening.methods.base import GOLD_BAD, TRAP
from encodec_eval.listening.simulate import simulate
from encodec_eval.mushra.analysis.ratings import CSV_COLUMNS, PLAYS, write_csv
from encodec_eval.mushra.manifest import REFERENCE, Item, Manifest, Stimulus

SYSTEMS = ("codec@3", "codec@6", "codec@12")


def manifest_of(name, items=4, trials=12, systems=SYSTEMS):
    """What `make_test` would write for a method, but for the audio."""
    method, generator = METHODS[name], np.random.default_rng(0)
    drawn = []
    for n in range(items):
        heard = [Stimulus("", condition, "", "") for condition in (REFERENCE, *systems)]
        item = Item(f"clip{n}", f"clip{n}", None, 0.0, 5.0, 0.0, 0.0, -23.0, heard[0], heard)
        drawn += method.trials([item], -(-trials // items), generator)
        if n == 0 and method.known:
            gold = replace(item, stimuli=[Stimulus("", GOLD_BAD, "", "")])
            drawn += method.trials([gold], 1, generator)
        if n == 0 and method.traps:
            drawn += method.trials([replace(item, stimuli=[Stimulus("", f"{TRAP}3", "", "")])], 1, generator)
    named = []
    for n, trial in enumerate(drawn, start=1):
        own = [replace(each, id=f"s{n:06x}{k:06x}") for k, each in enumerate(trial.stimuli)]
        opened = replace(trial.opened, id=f"s{n:06x}ffffff") if trial.opened else own[0]
        named.append(replace(trial.item, id=f"trial{n:04d}", open_reference=opened, stimuli=own))
    ids = [item.id for item in named]
    return Manifest(f"fake-{name}", method.title, name, 0, [REFERENCE, *systems], named, [ids], {}, name)


def answers_of(manifest, folder, listeners=12, **options):
    """Answers of invented listeners, as the analysis reads them."""
    path = folder / "simulated.csv"
    write_csv(path, simulate(manifest, listeners, **options), [*CSV_COLUMNS, PLAYS])
    return read_answers([path], manifest)
