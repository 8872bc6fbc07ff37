"""The journal: what it holds, order, damage, and what a kill leaves. Millions of lines: `tests.benchmarks.scale`."""

import random

import numpy as np
import pytest

from encodec_eval.run import journal as journal_file
from encodec_eval.run.journal import Journal, drop_torn_line, key, line, read, read_columns
from encodec_eval.types import EvalError, Score

CLIPS = ["a/1", 'quoted "b"', "gr\u00fcn \u2028 \\", "d", "e"]
CELLS = [(f"codec@{kbps}", metric) for kbps in (3, 6) for metric in ("pesq", "stoi", "lag_ms")]


@pytest.fixture
def scores() -> list[Score]:
    """Every score of a run, in its order; some without a value."""
    cells = [(clip, *cell) for clip in CLIPS for cell in CELLS]
    return [Score(*each, None, f"why {n}") if n % 5 == 0 else Score(*each, n / 7) for n, each in enumerate(cells)]


def written(path, scores) -> str:
    path.write_text("".join(map(line, scores)))
    return path.read_text()


@pytest.mark.parametrize("batch", [1, 100, 1 << 20])
@pytest.mark.parametrize("seed", range(4))
def test_any_order_becomes_that_of_the_run_to_the_byte(tmp_path, scores, seed, batch, monkeypatch):
    monkeypatch.setattr(journal_file, "BATCH_BYTES", batch)
    generator = random.Random(seed)
    shuffled = generator.sample(scores, len(scores))
    first = generator.randrange(len(scores))
    foreign = [Score("no clip", *CELLS[0], 1.0), Score(CLIPS[0], "no point", "stoi", 1.0)]
    written(tmp_path / "scores.jsonl", shuffled[:first] + foreign)
    with Journal(tmp_path) as journal:
        assert len(journal) == first + 2
        assert all((key(score) in journal) == (score in shuffled[:first]) for score in scores)
        assert ("no clip", *CELLS[1]) not in journal
        left = {clip: journal.missing(clip, CELLS) for clip in CLIPS}
        assert {(clip, *cell) for clip in CLIPS for cell in left[clip]} == {key(each) for each in shuffled[first:]}
        journal.append(shuffled[first:])
        journal.append(shuffled)  # nothing is written twice
        journal.sort(CLIPS, CELLS)
    assert read(tmp_path / "scores.jsonl") == scores
    before = (tmp_path / "scores.jsonl").stat()
    with Journal(tmp_path) as journal:
        assert not any(journal.missing(clip, CELLS) for clip in CLIPS)
        journal.sort(CLIPS, CELLS)
    assert (tmp_path / "scores.jsonl").stat().st_ino == before.st_ino, "a file in order was written again"


def test_a_journal_without_scores_sorts_to_nothing(tmp_path):
    with Journal(tmp_path) as journal:
        assert len(journal) == 0
        journal.sort(CLIPS, CELLS)
    assert read(tmp_path / "scores.jsonl") == []
    assert read(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("batch", [1, 50, 1 << 20])
def test_a_torn_line_is_cut_off_wherever_it_is_torn(tmp_path, scores, batch, monkeypatch):
    monkeypatch.setattr(journal_file, "BATCH_BYTES", batch)
    path = tmp_path / "scores.jsonl"
    text = written(path, scores[:3]).encode()
    for end in range(len(text) + 1):
        path.write_bytes(text[:end])
        drop_torn_line(path)
        assert path.read_bytes() == text[: text[:end].rfind(b"\n") + 1]


@pytest.mark.parametrize(
    "damage",
    [
        *("", "{", "[1]", "3", '{"clip": "a"}'),
        '{"clip": "a", "point": "b", "metric": "c", "value": 1, "reason": null, "more": 3}',
        '{"clip": "a", "point": "b", "metric": "c", "valu": 1, "reason": null}',
    ],
)
@pytest.mark.parametrize("reader", [read, read_columns, lambda path: Journal(path.parent)])
def test_a_damaged_line_is_named(tmp_path, scores, damage, reader):
    path = tmp_path / "scores.jsonl"
    path.write_text("".join(map(line, scores[:4])) + damage + "\n" + line(scores[4]))
    with pytest.raises(EvalError, match="line 5 is damaged"):
        reader(path)


def test_two_scores_on_a_line_are_damage(tmp_path, scores):
    path = tmp_path / "scores.jsonl"
    path.write_text(line(scores[0]).rstrip() + ", " + line(scores[1]) + line(scores[2]))
    with pytest.raises(EvalError, match="line 1 is damaged"):
        read(path)


def test_columns_are_the_scores(tmp_path, scores):
    path = tmp_path / "scores.jsonl"
    written(path, scores)
    columns = read_columns(path)
    found = [
        Score(
            columns.clips[columns.clip[n]],
            columns.points[columns.point[n]],
            columns.metrics[columns.metric[n]],
            None if np.isnan(columns.value[n]) else float(columns.value[n]),
            None if columns.reason[n] < 0 else columns.reasons[columns.reason[n]],
        )
        for n in range(len(columns.value))
    ]
    assert found == scores
