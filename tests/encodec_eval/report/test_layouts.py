"""A run in the columns of published tables: ours by hand, theirs marked, and what is lacking with its command."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from encodec_eval.__main__ import main
from encodec_eval.report import layouts
from encodec_eval.report.results import load
from encodec_eval.run.journal import line
from encodec_eval.types import CLEAN_SPEECH, MUSIC, EvalError, Measure, Score

COMMAND = "python -m encodec_eval --set a b --metrics si_snr --limit 2 --out x --overwrite"
VALUES = {"si_snr": (2.0, 4.0, 9.0), "visqol_audio": (1.0, 2.0, 3.0), "bitrate_payload": (6.0, 6.0, 6.0)}


@pytest.fixture
def run(tmp_path) -> Path:
    """Two clips of speech and one of music, at one point."""
    clips = [("a", CLEAN_SPEECH), ("b", CLEAN_SPEECH), ("c", MUSIC)]
    kinds = {"bitrate_payload": "output"}
    config = {
        "settings": {"set": "x", "metrics": list(VALUES), "systems": []},
        "points": [{"name": "codec@6", "series": "codec", "nominal_kbps": 6.0}],
        "clips": [{"id": name, "speaker": None, "seconds": 1.0, "domain": domain} for name, domain in clips],
        "metrics": [
            asdict(
                Measure(name=name, title=name, unit="", higher_is_better=True, source="", kind=kinds.get(name, "pair"))
            )
            for name in VALUES
        ],
        "sessions": [{"command": COMMAND}],
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    scores = [Score(clip, "codec@6", name, VALUES[name][n]) for n, (clip, _) in enumerate(clips) for name in VALUES]
    (tmp_path / "scores.jsonl").write_text("".join(map(line, scores)))
    return tmp_path


def test_the_papers_layout_is_split_by_domain(run):
    table = layouts.table(load(run), layouts.get("encodec"))
    ours = table[table.measured == "here"].iloc[0]
    assert ours["codec"] == "codec@6"
    assert ours["kbps"] == "6.00"
    assert ours["SI-SNR dB ↑"] == "5.00"
    assert ours["SI-SNR dB ↑ clean speech"] == "3.00"
    assert ours["SI-SNR dB ↑ noisy speech"] == "-"
    assert ours["ViSQOL ↑ music"] == "3.00"
    paper = table[table.measured == "elsewhere"].set_index("codec")
    assert paper.loc["EnCodec, streamable", "SI-SNR dB ↑"] == "6.67"
    assert paper.loc["EnCodec, streamable", "ViSQOL ↑"] == "4.35"


@pytest.mark.parametrize("name", layouts.names())
def test_every_layout_has_a_source_for_its_rows_and_fits_its_columns(run, name):
    layout = layouts.get(name)
    assert layout.name == name
    assert layout.source
    assert layout.rows
    assert layout.rows_from
    assert layout.rows_set
    titles = {column.title for column in layout.columns}
    assert len(titles) == len(layout.columns)
    for row in layout.rows:
        assert row.values.keys() <= titles
        assert row.values
    table = layouts.table(load(run), layout)
    assert list(table.columns) == ["codec", "kbps", "measured", *(column.title for column in layout.columns)]
    text = " ".join(layouts.notes(load(run), layout))
    assert "which were not measured by us" in text
    assert layout.rows_set in text


def test_what_the_run_lacks_is_said_with_the_command_that_adds_it(run):
    (lacking,) = [note for note in layouts.notes(load(run), layouts.get("bigcodec")) if "lacks" in note]
    assert lacking == (
        "The run lacks wer, pesq_nb, pesq, stoi, speaker_similarity: `python -m encodec_eval --set a b --limit 2 "
        f"--metrics si_snr visqol_audio wer pesq_nb pesq stoi speaker_similarity --out {run}_more`."
    )
    notes = layouts.notes(load(run), layouts.get("encodec"))
    assert "The run has no clips of noisy speech: give such sets to `--set`." in notes


def test_the_command_prints_and_writes_markdown_and_latex(run, capsys):
    assert main(["report", str(run), "--layout", "dac"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"\| DAC 44.1 kHz +\| 8 +\| elsewhere", out)
    assert (run / "layout_dac.md").read_text() == out.removesuffix("\n")
    assert r"\begin{tabular}" in (run / "layout_dac.tex").read_text()
    with pytest.raises(EvalError, match="no layout 'none'; expected bigcodec, codec-superb, dac, encodec"):
        layouts.get("none")
