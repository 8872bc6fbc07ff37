"""The speed command: same weights in every implementation, and a table that follows from the runs."""

import pandas as pd
import pytest
import torch

from encodec_eval.__main__ import main
from encodec_eval.commands import speed


@pytest.mark.parametrize("architecture", ["24khz", "48khz"])
def test_every_implementation_has_the_same_weights(architecture, tmp_path):
    pytest.importorskip("transformers")
    pytest.importorskip("encodec")
    config = speed.ARCHITECTURES[architecture]
    generator = torch.Generator().manual_seed(0)
    x = 0.1 * torch.randn(1, config.audio_channels, config.sampling_rate // 4, generator=generator)
    with torch.inference_mode():
        ours, transformers, facebook = speed.implementations(architecture, tmp_path)
        codes = ours.encode(x).audio_codes
        for other in (transformers.encode(x).audio_codes[0], facebook.encode(x)[0][0]):
            assert other.shape == codes[0].shape
            assert (other == codes[0]).float().mean() >= 0.995


def test_the_table_is_made_of_runs_in_turn():
    runs = pd.DataFrame(
        [
            {"case": "a", "threads": 1, "direction": "encode", "implementation": name, "run": run, "x_realtime": value}
            for run, pair in enumerate([(8.0, 4.0), (9.0, 3.0), (10.0, 2.0)], start=1)
            for name, value in zip(("this project", "transformers"), pair, strict=True)
        ]
    )
    ours, theirs = speed.summarise(runs).to_dict("records")
    assert (ours["x_realtime"], ours["low"], ours["high"], ours["runs"], ours["ratio"]) == (9.0, 8.0, 10.0, 3, 1.0)
    assert (theirs["x_realtime"], theirs["ratio"]) == (3.0, 3.0)


@pytest.mark.slow
def test_command_writes_table_runs_and_chart(tmp_path, capsys):
    assert main(["speed", "--cases", "hop24", "--budget", "0.1", "--out", str(tmp_path)]) == 0
    assert "stream, 24 frames" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"speed.csv", "speed.md", "speed.png"}
    assert (pd.read_csv(tmp_path / "speed.csv").x_realtime > 0).all()


def test_bad_numbers_are_refused(capsys):
    assert main(["speed", "--threads", "0"]) == 2
    assert "must be positive" in capsys.readouterr().err
