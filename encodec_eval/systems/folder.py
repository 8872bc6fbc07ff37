"""Audio that another codec decoded elsewhere."""

import argparse
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from torch import Tensor

import codec.audio
from encodec_eval.datasets import AUDIO_SUFFIXES
from encodec_eval.types import Clip, EvalError, Output, Point


@dataclass(frozen=True)
class DecodedFolder:
    """Audio decoded elsewhere, matched to clips by id, or by file name without its ending where that is unique.

    `name` may end in `@` and what tells points of one series apart. The size comes from `compressed`, a folder of
    coded files matched in the same way, or from `kbps`, or is unknown.
    """

    kind: ClassVar[str] = ""
    packages: ClassVar[tuple[str, ...]] = ()
    name: str
    folder: str
    kbps: float | None = None
    compressed: str | None = None

    def __post_init__(self) -> None:
        for folder in filter(None, (self.folder, self.compressed)):
            if not Path(folder).is_dir():
                raise EvalError(f"{folder} of system {self.name} is not a folder")

    @staticmethod
    def add_options(parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("--system", action="append", default=[], metavar="NAME=FOLDER", help="audio that was decoded elsewhere")
        add("--bitrate", action="append", default=[], metavar="NAME=KBPS", help="bitrate of that audio, if known")
        add(
            "--compressed",
            action="append",
            default=[],
            metavar="NAME=FOLDER",
            help="its coded files, to measure the bitrate",
        )

    @classmethod
    def build(cls, name: str, options: argparse.Namespace, clips: Sequence[Clip]) -> "list[DecodedFolder]":
        rates = {name: positive(kbps, "--bitrate") for name, kbps in pairs(options.bitrate, "--bitrate").items()}
        coded = pairs(options.compressed, "--compressed")
        folders = pairs(options.system, "--system").items()
        found = [cls(name, folder, rates.pop(name, None), coded.pop(name, None)) for name, folder in folders]
        if rates or coded:
            raise EvalError(f"--bitrate or --compressed for {', '.join([*rates, *coded])}, which no --system names")
        return found

    @property
    def points(self) -> Sequence[Point]:
        return [Point(self.name, self.name.split("@")[0], self.kbps)]

    def describe(self) -> dict[str, object]:
        return {
            "system": "folder",
            "name": self.name,
            "folder": self.folder,
            "files_sha256": content_sha256(self.folder),
            "kbps": self.kbps,
            "compressed": self.compressed,
            "compressed_sha256": content_sha256(self.compressed) if self.compressed else None,
        }

    def process(self, wav: Tensor, sample_rate: int, points: Sequence[Point], clip: Clip | None = None) -> list[Output]:
        if clip is None:
            raise EvalError("decoded files are found by their clip; no clip was given")
        audio, rate = codec.audio.load(find(self.folder, clip, AUDIO_SUFFIXES))
        size = find(self.compressed, clip).stat().st_size if self.compressed else None
        return [Output(point, audio, rate, file_bytes=size) for point in points]


def pairs(values: list[str], option: str) -> dict[str, str]:
    """`NAME=VALUE` arguments as a dictionary."""
    for value in values:
        if not all(value.partition("=")):
            raise EvalError(f"{option} takes NAME=VALUE, not {value!r}")
    return {name: text for name, _, text in (value.partition("=") for value in values)}


def positive(text: str, option: str) -> float:
    """A number above zero."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise EvalError(f"{option} takes kbps above 0, not {text!r}")
    return value


def find(folder: str, clip: Clip, suffixes: Sequence[str] | None = None) -> Path:
    """The one file of the folder that belongs to the clip. Raises `EvalError` for none or several."""
    found = stems(folder).get(Path(clip.id).name, [])
    found = [path for path in found if suffixes is None or path.suffix.lower() in suffixes]
    exact = [path for path in found if path.relative_to(folder).with_suffix("").as_posix() == clip.id]
    if len(exact or found) != 1:
        raise EvalError(f"{folder} has {len(found)} files for clip {clip.id}; expected one")
    return (exact or found)[0]


@lru_cache(maxsize=16)
def content_sha256(folder: str) -> str:
    """Of the names and contents of all files under a folder: audio that was decoded anew is another system."""
    digest = hashlib.sha256()
    for path in sorted(path for paths in stems(folder).values() for path in paths):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}\t{content}\n".encode())
    return digest.hexdigest()


@lru_cache(maxsize=16)
def stems(folder: str) -> dict[str, list[Path]]:
    """The files under a folder by their name without ending."""
    files: dict[str, list[Path]] = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            files.setdefault(path.stem, []).append(path)
    return files


SYSTEMS = [DecodedFolder]
