"""Every method from recordings to a table of invented listeners, through the commands a user types."""

import pytest

from encodec_eval.__main__ import main
from encodec_eval.listening.methods import METHODS
from encodec_eval.mushra.manifest import load_manifest


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(name for name in METHODS if name != "mushra"))
def test_invented_listeners_are_ranked_as_their_truth(method, tmp_path, capsys):
    test, analysis = tmp_path / "test", tmp_path / "analysis"
    made = ["listening", "--method", method, "--set", "librispeech-mini", "--model", "encodec_24khz_tiny"]
    made += ["--systems", "encodec", "--bandwidths", "3", "12", "--items", "3", "--duration", "3", "--out", str(test)]
    assert main(made) == 0
    assert load_manifest(test).method == method
    assert main(["listening", "simulate", str(test), "--listeners", "12"]) == 0
    capsys.readouterr()
    analyze = ["listening", "analyze", str(test / "simulated.csv"), "--manifest", str(test), "--out", str(analysis)]
    assert main(analyze) == 0
    rows = [
        line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("| encodec_24khz_tiny@")
    ]
    if method == "ab":
        assert [cells[1].strip() for cells in rows] == ["encodec_24khz_tiny@12", "encodec_24khz_tiny@3"], "best first"
        return
    value = {cells[1].strip(): float(cells[4 if method == "abx" else 2]) for cells in rows}
    low, high = value["encodec_24khz_tiny@3"], value["encodec_24khz_tiny@12"]
    assert (
        low >= high if method == "abx" else low < high
    )  # in ABX a share of right answers: what is worse is heard more
