"""Speech in a room with noise, made from clean speech, the same for the same seed. Needs the extra [perceptual]."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from torch import Tensor

import codec.audio
from codec.files import replacing
from encodec_eval.types import NOISY_SPEECH, SPEECH, Clip, EvalError

BUNDLED_NOISE = Path(__file__).parent / "data" / "noise"
SNRS_DB = (5.0, 10.0, 15.0, 20.0)
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")
ROOM_M = ((3.0, 8.0), (3.0, 6.0), (2.4, 3.5))
RT60_S = (0.2, 0.5)
WALL_M = 0.5  # between a wall and what is in the room
PEAK = 0.99


@dataclass(frozen=True)
class Noise:
    """How clean speech is made noisy: the noise (a file, or a folder of files), the ratios of reverberant speech to
    noise that are drawn from, in dB of mean power over the clip, and the seed of every draw."""

    path: Path = BUNDLED_NOISE
    snrs_db: tuple[float, ...] = SNRS_DB
    seed: int = 0
    files: tuple[Path, ...] = field(init=False)

    def __post_init__(self) -> None:
        found = [self.path] if self.path.is_file() else sorted(self.path.rglob("*"))
        files = tuple(path for path in found if path.suffix.lower() in SUFFIXES)
        if not files:
            raise EvalError(f"{self.path} holds no noise; expected {', '.join(SUFFIXES)} files")
        if not self.snrs_db or not all(map(math.isfinite, self.snrs_db)):
            raise EvalError(f"the ratios of speech to noise are {self.snrs_db}; expected numbers in dB")
        object.__setattr__(self, "files", files)

    def describe(self) -> dict[str, object]:
        """Everything that decides what is heard, for the record of the run."""
        return {
            "noise": [path.name for path in self.files],
            "noise_sha256": [_digest(path) for path in self.files],
            "snrs_db": list(self.snrs_db),
            "seed": self.seed,
            "room_m": ROOM_M,
            "rt60_s": RT60_S,
            "pyroomacoustics": version("pyroomacoustics"),
        }


@lru_cache(maxsize=64)
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_noisy(clips: Sequence[Clip], noise: Noise, folder: Path, clean_reference: bool) -> list[Clip]:
    """The clips as noisy ones, whose files are written below `folder` unless they are there.

    With `clean_reference`, the clean clip is what outputs are compared with. Raises `EvalError` for clips that are not
    speech, or without pyroomacoustics.
    """
    other = sorted({clip.domain for clip in clips} - {*SPEECH, ""})
    if other:
        raise EvalError(f"only speech can be made noisy, not {', '.join(other)}")
    try:
        import pyroomacoustics  # noqa: F401 - said before the work begins
    except ImportError as error:
        raise EvalError("noisy speech needs pyroomacoustics: pip install 'encodec-tools[perceptual]'") from error
    return [_noisy_clip(clip, noise, folder, clean_reference) for clip in clips]


def _noisy_clip(clip: Clip, noise: Noise, folder: Path, clean_reference: bool) -> Clip:
    source = asdict(clip) | {"path": Path(clip.path).name, "file": _digest(Path(clip.path))}
    recipe = json.dumps([source, noise.describe()], sort_keys=True)
    path = folder / f"{hashlib.sha256(recipe.encode()).hexdigest()[:24]}.flac"
    clean = path.with_name(path.stem + "_clean.flac")
    if not (path.is_file() and clean.is_file()):
        folder.mkdir(parents=True, exist_ok=True)
        wav, _ = codec.audio.load(clip.path, clip.start, clip.frames)
        mixed = mix(wav, clip.sample_rate, noise, clip.id)
        gain = min(1.0, PEAK / float(mixed.abs().max()))  # the same for both, so that they compare
        for target, audio in ((clean, wav * gain), (path, mixed * gain)):
            _save(target, audio, clip.sample_rate)
    reference = str(clean) if clean_reference else None
    return replace(clip, path=str(path), start=0, domain=NOISY_SPEECH, reference=reference)


def _save(path: Path, wav: Tensor, sample_rate: int) -> None:
    with replacing(path) as part:
        named = part.with_suffix(".part.flac")
        codec.audio.save(named, wav, sample_rate)
        named.replace(part)


def mix(wav: Tensor, sample_rate: int, noise: Noise, key: str) -> Tensor:
    """`wav [C, T]` in a room with noise, in time with the clean one. `key` and the seed decide every draw."""
    digest = hashlib.sha256(f"{noise.seed}|{key}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    response = room_response(sample_rate, generator)
    heard = torch.from_numpy(
        fftconvolve(wav.double().numpy(), response[None], axes=-1)[:, : wav.shape[-1]].copy()
    )  # the same room for every channel
    added = noise_stretch(noise, sample_rate, wav.shape[-1], generator)
    snr_db = float(generator.choice(noise.snrs_db))
    power = heard.square().mean() / 10 ** (snr_db / 10)
    return (heard + added * (power / added.square().mean().clamp(min=1e-20)).sqrt()).float()


def room_response(sample_rate: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """From a mouth to a microphone in a drawn room `[T]`: begins with the direct sound, whose gain is 1."""
    import pyroomacoustics

    size = np.array([generator.uniform(*span) for span in ROOM_M])
    mouth, microphone = (generator.uniform(WALL_M, size - WALL_M) for _ in range(2))
    absorption, order = pyroomacoustics.inverse_sabine(generator.uniform(*RT60_S), size)
    material = pyroomacoustics.Material(absorption)
    room = pyroomacoustics.ShoeBox(size, fs=sample_rate, materials=material, max_order=order)
    room.add_source(mouth)
    room.add_microphone(microphone)
    room.compute_rir()
    response = np.asarray(room.rir[0][0], dtype=np.float64)
    distance_m = max(float(np.linalg.norm(mouth - microphone)), 0.1)
    direct = distance_m / pyroomacoustics.constants.get("c") * sample_rate
    half = pyroomacoustics.constants.get("frac_delay_length") // 2  # it delays everything by that
    return np.asarray(response[round(direct) + half :] * 4 * np.pi * distance_m)


def noise_stretch(noise: Noise, sample_rate: int, length: int, generator: np.random.Generator) -> Tensor:
    """`length` samples of one of the noise files, in mono, from a drawn place on, and again from its beginning."""
    path = noise.files[int(generator.integers(len(noise.files)))]
    wav = _load_noise(path, sample_rate)
    start = int(generator.integers(len(wav)))
    return wav[(start + torch.arange(length)) % len(wav)]


@lru_cache(maxsize=16)
def _load_noise(path: Path, sample_rate: int) -> Tensor:
    wav, rate = codec.audio.load(path)
    if wav.abs().max() < 1e-5:
        raise EvalError(f"the noise {path} is silent")
    return codec.audio.resample(wav.mean(0, keepdim=True), rate, sample_rate)[0].double()
