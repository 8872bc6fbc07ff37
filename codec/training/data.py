"""Training audio: random crops of a folder's files, resampled, levelled and mixed, a function of seed and step."""

import logging
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from codec import audio
from codec.errors import AudioError

logger = logging.getLogger(__name__)

EXTENSIONS = (".wav", ".flac", ".ogg", ".opus", ".mp3")
_ATTEMPTS = 100


@dataclass(frozen=True)
class Augmentation:
    """How crops become training items.

    gain_db: range of the random gain of each crop. mix_probability: of adding a second crop, `mix_db` relative to the
    first. silence_rms: crops quieter than this (before the gain) are drawn again. loud_probability: of a level of
    `loud_dbfs` (RMS) in place of a gain; what then exceeds full scale is clipped, as in overdriven recordings.
    speeds: one is drawn for each crop, which is played that much faster and higher, as by a speaker of another size.
    """

    gain_db: tuple[float, float] = (-10.0, 6.0)
    mix_probability: float = 0.1
    mix_db: tuple[float, float] = (-15.0, 5.0)
    silence_rms: float = 0.003
    loud_probability: float = 0.0
    loud_dbfs: tuple[float, float] = (-14.0, -3.0)
    speeds: tuple[float, ...] = (1.0,)


class Crops(Dataset[Tensor]):
    """Item i is the batch `[B, C, T]` of step i of one process: a function of the seed, the rank and i alone.

    Full scale is at 1; with `normalize`, the root mean square of each item's mono mix is 1 instead.

    A file is drawn in proportion to its length, so every second of audio is equally likely. Long files may hold many
    recordings: only the crop is read.

    Raises `AudioError` for a folder without audio long enough for a crop.
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        sample_rate: int,
        channels: int,
        samples: int,
        batch: int,
        augmentation: Augmentation,
        seed: int = 0,
        rank: int = 0,
        normalize: bool = False,
    ) -> None:
        self.sample_rate, self.channels, self.samples, self.batch = sample_rate, channels, samples, batch
        self.augmentation = augmentation
        self.seed, self.rank, self.normalize = seed, rank, normalize
        self.files: list[tuple[Path, audio.AudioInfo]] = []
        for path in sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in EXTENSIONS):
            info = audio.info(path)
            if info.channels <= 2 and info.frames >= self._wanted(round(info.sample_rate * max(augmentation.speeds))):
                self.files.append((path, info))
            else:
                logger.warning("%s is left out: %d channels, %.2f s", path, info.channels, info.duration_s)
        if not self.files:
            raise AudioError(f"{folder} has no audio ({', '.join(EXTENSIONS)}) of at least {samples / sample_rate} s")
        durations = np.array([info.duration_s for _, info in self.files])
        self.hours = float(durations.sum()) / 3600
        self.shares = durations / durations.sum()

    def __getitem__(self, step: int) -> Tensor:
        rng = np.random.default_rng((self.seed, self.rank, step))
        return torch.stack([self._item(rng) for _ in range(self.batch)])

    def _item(self, rng: np.random.Generator) -> Tensor:
        item = self._crop(rng) * _gain(rng, self.augmentation.gain_db)
        if rng.random() < self.augmentation.mix_probability:
            other = self._crop(rng)
            level = float(item.pow(2).mean().sqrt() / other.pow(2).mean().sqrt())
            item = item + other * level * _gain(rng, self.augmentation.mix_db)
        if self.augmentation.loud_probability and rng.random() < self.augmentation.loud_probability:
            level = _gain(rng, self.augmentation.loud_dbfs)
            item = (item * level / item.pow(2).mean().sqrt()).clamp(-1, 1)
        if self.normalize:  # as the model does with every segment
            return item / (item.mean(dim=0).pow(2).mean().sqrt() + 1e-8)
        return item / max(1.0, float(item.abs().max()))

    def _crop(self, rng: np.random.Generator) -> Tensor:
        for _ in range(_ATTEMPTS):
            path, info = self.files[rng.choice(len(self.files), p=self.shares)]
            rate = round(info.sample_rate * rng.choice(self.augmentation.speeds))
            wanted = self._wanted(rate)
            wav, _ = audio.load(path, int(rng.integers(info.frames - wanted + 1)), wanted)
            wav = audio.to_channels(audio.resample(wav, rate, self.sample_rate), self.channels)[:, : self.samples]
            if float(wav.pow(2).mean().sqrt()) > self.augmentation.silence_rms:
                return wav
        raise AudioError(f"{_ATTEMPTS} crops in a row were silent (RMS below {self.augmentation.silence_rms})")

    def _wanted(self, rate: int) -> int:
        """Samples to read of a file, at its own rate, for one crop."""
        return -(-self.samples * rate // self.sample_rate)


def _gain(rng: np.random.Generator, range_db: tuple[float, float]) -> float:
    return float(10 ** (rng.uniform(*range_db) / 20))
