"""The scores of a run on disk: an append-only file of JSON lines that survives a kill at any moment."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from codec.files import write_atomically
from encodec_eval.files import safe_name
from encodec_eval.types import EvalError, Score

Key = tuple[str, str, str]  # clip, point, metric


SCORES, WAITING = "scores.jsonl", "waiting.jsonl"


class Journal:
    """`scores.jsonl` of a run, held by one process at a time. `overwrite` forgets what the folder holds of a run.

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
        self.scores: dict[Key, Score] = {key(score): score for score in read(self.path)}
        self.waiting: dict[Key, Score] = {}
        self._file = self.path.open("a", encoding="utf-8")

    def append(self, scores: Iterable[Score]) -> None:
        """Put scores on disk; on return they are safe."""
        new = [score for score in scores if key(score) not in self.scores]
        self._file.write("".join(line(score) for score in new))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.scores |= {key(score): score for score in new}

    def wait(self, scores: Iterable[Score]) -> None:
        """Note scores without a value that are for the next process to compute."""
        self.waiting |= {key(score): score for score in scores}

    def sort(self, keys: Iterable[Key]) -> None:
        """Put the finished file in the order of the run, whatever the order in which workers finished."""
        text = "".join(line(self.scores[each]) for each in keys if each in self.scores)
        write_atomically(self.path, text)

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
    return json.dumps(asdict(score), allow_nan=False) + "\n"


def read(path: Path) -> list[Score]:
    """The scores of a journal, `[]` if there is none."""
    if not path.exists():
        return []
    scores = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            scores.append(Score(**json.loads(text)))
        except (json.JSONDecodeError, TypeError) as error:
            raise EvalError(f"{path} line {number} is damaged: {error}") from error
    return scores


def drop_torn_line(path: Path) -> None:
    """Cut off a last line that a kill left without its end."""
    if path.exists():
        data = path.read_bytes()
        if not data.endswith(b"\n"):
            with path.open("r+b") as file:
                file.truncate(data.rfind(b"\n") + 1)


def codes_path(codes_dir: str, series: str, clip_id: str) -> Path:
    """Where a run keeps the codes of a clip."""
    return Path(codes_dir) / safe_name(series) / f"{safe_name(clip_id)}.npy"
