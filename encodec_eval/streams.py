"""Sets that come as a stream, datasets of the Hugging Face hub and WebDataset tar files: kept on disk clip by clip."""

import glob
import json
import logging
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from codec.files import write_atomically
from encodec_eval.files import safe_name
from encodec_eval.types import EvalError

logger = logging.getLogger(__name__)

SPEAKERS = ("speaker_id", "speaker", "client_id", "speaker_name")  # names of a column or field
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif")


@dataclass(frozen=True)
class Row:
    """An audio file of a cache, called `id` in its set."""

    id: str
    file: str
    speaker: str | None


class Cache:
    """A folder with the audio of a stream's first rows, and `index.jsonl`, which lists them in their order.

    A row that was cut off by a kill is fetched again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._index, self._end = folder / "index.jsonl", folder / "complete"
        text = self._index.read_text(encoding="utf-8") if self._index.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            write_atomically(self._index, whole)
        self.rows = [Row(**json.loads(line)) for line in whole.splitlines()]

    @property
    def complete(self) -> bool:
        """Whether the stream has no more rows than these."""
        return self._end.exists()

    def add(self, name: str, data: bytes, speaker: object) -> None:
        """Keep the audio of the next row, under the name that it has in the stream."""
        path = Path(name)
        stem = path.with_suffix("").as_posix().lstrip("/") if name else ""
        identifier = f"{len(self.rows):06}{f'_{stem}' if stem else ''}"
        file = safe_name(identifier)[:150] + path.suffix.lower()
        write_atomically(self.folder / file, data)
        row = Row(identifier, file, None if speaker is None else str(speaker))
        with self._index.open("a", encoding="utf-8") as index:
            index.write(json.dumps(asdict(row)) + "\n")
        self.rows.append(row)

    def finish(self) -> None:
        self._end.touch()


def hub_rows(spec: str, root: Path, download: bool, at_most: int | None) -> tuple[Path, list[Row]]:
    """The first rows of a split with audio, `NAME:SPLIT` or `NAME:CONFIG:SPLIT`, and the folder that they are kept in.

    `at_most` None is all of them. What is kept already is not fetched again, and needs no network.
    Raises `EvalError` if the split cannot be read, has no audio, or is not kept and `download` is not set.
    """
    name, config, split = hub_parts(spec)
    cache = Cache(root / "hf" / safe_name(name) / safe_name(f"{config or 'default'}-{split}"))
    enough = cache.complete or (at_most is not None and len(cache.rows) >= at_most)
    if not enough and not download:
        raise EvalError(f"hf:{spec} is not under {root}: {len(cache.rows)} clips are there and downloads are off")
    if not enough:
        try:
            fill(cache, hub_stream(name, config, split, len(cache.rows)), at_most)
        except (OSError, ValueError, RuntimeError) as error:
            if isinstance(error, EvalError):
                raise
            raise EvalError(f"hf:{spec} cannot be read: {str(error).splitlines()[0]}") from error
    return cache.folder, cache.rows[:at_most]


def hub_parts(spec: str) -> tuple[str, str | None, str]:
    """Name, configuration and split. Raises `EvalError` where one is missing."""
    parts = spec.rsplit(":", 2)
    if not all(parts) or len(parts) < 2:
        raise EvalError(f"a dataset of the hub is hf:NAME:SPLIT or hf:NAME:CONFIG:SPLIT, not hf:{spec}")
    return (parts[0], None, parts[1]) if len(parts) == 2 else (parts[0], parts[1], parts[2])


def fill(cache: Cache, stream: Iterable[tuple[str, bytes, object]], at_most: int | None) -> None:
    """Bring rows of a stream that begins behind those of the cache, until there are enough or the stream ends."""
    for each in stream:
        if at_most is not None and len(cache.rows) >= at_most:
            return
        cache.add(*each)
    cache.finish()


def hub_stream(name: str, config: str | None, split: str, start: int) -> Iterator[tuple[str, bytes, object]]:
    """Name, bytes and speaker of the rows of a dataset from row `start`, as it is stored: nothing is decoded."""
    try:
        import datasets
    except ImportError as error:
        raise EvalError("hf: sets need datasets: pip install 'encodec-tools[datasets]'") from error
    rows = datasets.load_dataset(name, config, split=split, streaming=True)
    features = rows.features or rows._resolve_features().features
    columns = [column for column, feature in features.items() if isinstance(feature, datasets.Audio)]
    if not columns:
        raise EvalError(f"{name} has no column of audio, only {', '.join(features)}")
    audio, speaker = columns[0], next((column for column in SPEAKERS if column in features), None)
    rows = rows.cast_column(audio, datasets.Audio(decode=False))
    for row in rows.skip(start) if start else rows:
        held: dict[str, Any] = row[audio]
        path = held.get("path") or ""
        data = held.get("bytes") or Path(path).read_bytes()
        yield Path(path).name, data, row[speaker] if speaker else None


def is_tar(spec: str) -> bool:
    """Whether a set is named by tar files: a path, a pattern such as `x-*.tar`, or a range such as `x-{00..12}.tar`."""
    return spec.endswith(".tar")


def tar_paths(spec: str) -> list[Path]:
    """The files that such a name stands for. Raises `EvalError` if there is none, or one of a range is not there."""
    match = RANGE.search(spec)
    if match:
        first, last = match.groups()
        names = [
            f"{spec[: match.start()]}{n:0{len(first)}}{spec[match.end() :]}" for n in range(int(first), int(last) + 1)
        ]
        missing = [name for name in names if not Path(name).is_file()]
        if missing:
            raise EvalError(f"there is no file {missing[0]}, which {spec} names")
        return [Path(name) for name in names]
    paths = [Path(spec)] if Path(spec).is_file() else [Path(name) for name in sorted(glob.glob(spec))]
    if not paths:
        raise EvalError(f"there is no file {spec}")
    return paths


def tar_rows(spec: str, root: Path) -> tuple[Path, list[Row]]:
    """The clips of WebDataset tar files and the folder that they are unpacked into, by path, size and time of the tars.

    Members of one sample lie side by side and share their name up to the first dot of its last part. A `.json` member
    may name the speaker. Raises `EvalError` for a file that is no tar, or if there is no audio.
    """
    paths = tar_paths(spec)
    states = "".join(f"{p.resolve()}\t{p.stat().st_size}\t{p.stat().st_mtime_ns}\n" for p in paths)
    cache = Cache(root / "tar" / f"{safe_name(paths[0].stem)}-{sha256(states.encode()).hexdigest()[:12]}")
    if not cache.complete:
        stream = (sample for path in paths for sample in tar_stream(path))
        for _ in zip(cache.rows, stream, strict=False):  # what a kill has left
            pass
        fill(cache, stream, None)
    if not cache.rows:
        raise EvalError(f"{spec} holds no audio; expected {', '.join(SUFFIXES)} members")
    return cache.folder, cache.rows


def tar_stream(path: Path) -> Iterator[tuple[str, bytes, object]]:
    """Name, bytes and speaker of the samples with audio in one tar file, in its order."""
    try:
        with tarfile.open(path, "r:*") as tar:
            sample: dict[str, bytes] = {}
            key = ""
            for member in tar:
                folder, _, name = member.name.rpartition("/")
                stem, _, suffix = name.partition(".")
                member_key = f"{folder}/{stem}".lstrip("/")
                if member_key != key:
                    yield from tar_sample(key, sample)
                    key, sample = member_key, {}
                file = tar.extractfile(member) if member.isfile() else None
                if file is not None and f".{suffix.lower()}" in (*SUFFIXES, ".json"):
                    sample[f".{suffix.lower()}"] = file.read()
            yield from tar_sample(key, sample)
    except tarfile.TarError as error:
        raise EvalError(f"{path} cannot be read: {error}") from error


def tar_sample(key: str, sample: dict[str, bytes]) -> Iterator[tuple[str, bytes, object]]:
    suffix = next((suffix for suffix in SUFFIXES if suffix in sample), None)
    if suffix is None:
        return
    try:
        fields = json.loads(sample.get(".json", b"{}"))
    except ValueError:
        fields = {}
    speaker = next((fields[name] for name in SPEAKERS if name in fields), None) if isinstance(fields, dict) else None
    yield key + suffix, sample[suffix], speaker
