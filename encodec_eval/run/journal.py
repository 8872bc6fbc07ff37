"""The scores of a run on disk: an append-only file of JSON lines that survives a kill at any moment."""

import json
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import orjson
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from codec.files import replacing, write_atomically
from encodec_eval.files import safe_name
from encodec_eval.run.index import Cell, Index
from encodec_eval.types import EvalError, Score

Key = tuple[str, str, str]  # clip, point, metric

SCORES, WAITING = "scores.jsonl", "waiting.jsonl"
BATCH_BYTES = 1 << 20  # read and parsed at once


class Journal:
    """`scores.jsonl` of a run, held by one process at a time. `overwrite` forgets what the folder holds of a run.

    It says which scores are there (`in`, `len`, `missing`), and does not keep them in memory.
    What could not be computed because machines failed is no result: it is put into `waiting.jsonl` when the journal is
    closed, for the report, and is still to do for the next process that opens the journal.

    Raises `EvalError` if another process holds it, or if a line other than a torn last one cannot be read.
    """

    def __init__(self, folder: Path, overwrite: bool = False) -> None:
        self.path = folder / SCORES
        self._waiting_path = folder / WAITING
        self._lock = FileLock(folder / ".lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise EvalError(f"another process is working in {folder}; wait for it or choose another --out") from error
        if overwrite:
            for path in (self.path, self._waiting_path, folder / "config.json"):
                path.unlink(missing_ok=True)
        drop_torn_line(self.path)
        self._index = Index()
        for lines, rows in batches(self.path):
            for text, (clip, point, metric, _, _) in zip(lines, rows, strict=True):
                self._index.add(clip, (point, metric), len(text))
        self.waiting: dict[Key, Score] = {}
        self._file = self.path.open("ab")

    def __contains__(self, wanted: Key) -> bool:
        clip, point, metric = wanted
        return self._index.has(clip, (point, metric))

    def __len__(self) -> int:
        return len(self._index.sizes)

    def missing(self, clip: str, cells: Sequence[Cell]) -> Sequence[Cell]:
        """Those of a clip's cells that are not on disk; `cells` itself if none is."""
        if clip not in self._index.finished:
            return cells
        return tuple(cell for cell in cells if not self._index.has(clip, cell))

    def append(self, scores: Iterable[Score]) -> None:
        """Put scores on disk; on return they are safe."""
        new = {key(score): line(score).encode() for score in scores if key(score) not in self}
        self._file.write(b"".join(new.values()))
        self._file.flush()
        os.fsync(self._file.fileno())
        for (clip, point, metric), text in new.items():
            self._index.add(clip, (point, metric), len(text))

    def wait(self, scores: Iterable[Score]) -> None:
        """Note scores without a value that are for the next process to compute."""
        self.waiting |= {key(score): score for score in scores}

    def sort(self, clips: Iterable[str], cells: Sequence[Cell]) -> None:
        """Put the finished file in the order of the run, whatever the order in which workers finished."""
        spans = self._index.spans(clips, cells)
        if len(spans) == 1 and spans[0] == (0, self.path.stat().st_size):
            return
        with replacing(self.path) as part, part.open("wb") as new, self.path.open("rb") as old:
            for start, end in spans:
                old.seek(start)
                for at in range(start, end, BATCH_BYTES):
                    new.write(old.read(min(BATCH_BYTES, end - at)))

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self.waiting:
            write_atomically(self._waiting_path, "".join(map(line, self.waiting.values())))
        else:
            self._waiting_path.unlink(missing_ok=True)
        self._lock.release()


def key(score: Score) -> Key:
    return score.clip, score.point, score.metric


def line(score: Score) -> str:
    return json.dumps(vars(score), allow_nan=False) + "\n"


def read(path: Path) -> list[Score]:
    """The scores of a journal, `[]` if there is none."""
    return [Score(*row) for _, rows in batches(path) for row in rows]


@dataclass(frozen=True)
class Columns:
    """The scores of a journal line by line, as numbers of what `clips`, `points`, `metrics` and `reasons` list.

    `value` is NaN where there is none; the number of a reason is -1 where there is none.
    """

    clips: list[str]
    points: list[str]
    metrics: list[str]
    reasons: list[str]
    clip: NDArray[np.int32]
    point: NDArray[np.int32]
    metric: NDArray[np.int32]
    reason: NDArray[np.int32]
    value: NDArray[np.float64]


def read_columns(path: Path) -> Columns:
    """The scores of a journal in 24 bytes a line, whatever the length of its names."""
    names: list[dict[str, int]] = [{}, {}, {}, {}]
    clips, points, metrics, reasons = names
    numbers = [array("i") for _ in names]
    values = array("d")
    clip, point, metric, reason = (each.append for each in numbers)
    for _, rows in batches(path):
        for of_clip, of_point, of_metric, value, why in rows:
            clip(clips.setdefault(of_clip, len(clips)))
            point(points.setdefault(of_point, len(points)))
            metric(metrics.setdefault(of_metric, len(metrics)))
            values.append(np.nan if value is None else value)
            reason(-1 if why is None else reasons.setdefault(why, len(reasons)))
    return Columns(
        clips=list(clips),
        points=list(points),
        metrics=list(metrics),
        reasons=list(reasons),
        clip=np.asarray(numbers[0]),
        point=np.asarray(numbers[1]),
        metric=np.asarray(numbers[2]),
        reason=np.asarray(numbers[3]),
        value=np.asarray(values),
    )


Row = tuple[str, str, str, float | None, str | None]
FIELDS = tuple(field.name for field in fields(Score))
_take: Callable[[dict[str, Any]], Row] = itemgetter(*FIELDS)


def batches(path: Path) -> Iterator[tuple[list[bytes], list[Row]]]:
    """Lines of a journal with the fields of their scores, many at a time; nothing if there is no file.

    Raises `EvalError` for a line that is no score.
    """
    if not path.exists():
        return
    number = 0
    with path.open("rb") as file:
        while lines := file.readlines(BATCH_BYTES):
            try:
                found = orjson.loads(b"[" + b",".join(lines) + b"]")
                rows = list(map(_take, found))
                plain = len(rows) == len(lines) and set(map(len, found)) == {len(FIELDS)}
            except (ValueError, TypeError, LookupError):
                plain = False
            if not plain:
                rows = [_take(vars(parse(text, path, number + n))) for n, text in enumerate(lines, start=1)]
            number += len(lines)
            yield lines, rows


def parse(text: bytes, path: Path, number: int) -> Score:
    """A line as a score. Raises `EvalError` with its number if it is none."""
    try:
        return Score(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise EvalError(f"{path} line {number} is damaged: {error}") from error


def drop_torn_line(path: Path) -> None:
    """Cut off a last line that a kill left without its end."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        end = size = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - BATCH_BYTES)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end < size:
            file.truncate(end)


def codes_path(codes_dir: str, series: str, clip_id: str) -> Path:
    """Where a run keeps the codes of a clip."""
    return Path(codes_dir) / safe_name(series) / f"{safe_name(clip_id)}.npy"
