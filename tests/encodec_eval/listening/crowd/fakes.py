"""A small test for the server's tests: noise, two items or more, no codec."""

import numpy as np
import soundfile as sf

from encodec_eval.datasets import ClipSet, folder_clips
from encodec_eval.listening.crowd.make import add_crowd
from encodec_eval.listening.crowd.settings import checked
from encodec_eval.mushra.make import Design, make_test
from encodec_eval.systems import Mp3


def noises(source, items=3, seconds=1.0):
    """A folder of so many noises that swell, each with a course of its own."""
    source.mkdir()
    generator = np.random.default_rng(0)
    for n in range(items):
        swell = np.interp(
            np.arange(round(24000 * seconds)), np.linspace(0, 24000 * seconds, 12), generator.uniform(0.1, 1, 12)
        )
        sf.write(source / f"clip{n}.wav", 0.3 * swell * generator.uniform(-1, 1, len(swell)), 24000)
    return source


def made_test(folder, settings, items=3, seconds=1.0, **forms):
    """A test of `items` noises in `folder / "test"`, with settings of a crowd."""
    source = noises(folder / "set", items, seconds)
    design = Design(ClipSet("noise", folder_clips(source)), [Mp3((32,))], items=items, duration_s=seconds)
    make_test(design, folder / "test")
    return add_crowd(folder / "test", checked(settings, "crowd.json"), **forms), folder / "test"


def answer_to(manifest, item, score=50):
    """A whole answer to one trial, as a page posts it."""
    stimuli = next(each for each in manifest.items if each.id == item).stimuli
    scores = {stimulus.id: score for stimulus in stimuli}
    return {"item": item, "scores": scores, "ms": 1500, "plays": {stimulus.id: 2 for stimulus in stimuli}}
