"""Clips to hear: those that every run over a set shares."""

import json

import numpy as np
import soundfile as sf

from encodec_eval.datasets import load_set
from encodec_eval.report import results
from encodec_eval.report.examples import render
from encodec_eval.run.runner import Run, execute
from encodec_eval.run.worker import Plan
from encodec_eval.systems import Lowpass
from tests.encodec_eval import fakes
from tests.encodec_eval.run.test_runner import one_process


def test_shared_clips_are_those_that_a_point_could_do(tmp_path):
    (tmp_path / "audio").mkdir()
    for n in range(4):
        sf.write(tmp_path / f"audio/{n}.wav", np.random.default_rng(n).normal(0, 0.1, 16000), 16000)
    sf.write(tmp_path / "audio/0.wav", np.full(16000, np.nan), 16000, subtype="FLOAT")  # cannot be read
    clips = load_set(str(tmp_path / "audio"))
    systems = (Lowpass((3500,)), fakes.Fake("raises", fakes.raises), fakes.Fake("noisy", fakes.noisy))
    run = Run(tmp_path / "run", clips, Plan(systems, ("si_snr", "lag_ms")), {}, [])
    execute(run, one_process)
    render(results.load(run.folder), clips.clips, systems)
    shared = json.loads((run.folder / "examples/shared.json").read_text())
    assert 2 <= len(shared) <= 3
    assert "0" not in shared
    for clip, files in shared.items():
        assert files == {
            "reference": f"reference/{clip}.flac",
            "audio": {"lowpass@3.5k": f"lowpass@3.5k/{clip}.flac", "noisy": f"noisy/{clip}.flac"},
        }
        assert all((run.folder / "examples" / file).is_file() for file in files["audio"].values())
