"""One clip through every rate of a model, for a listener: audio files, measured numbers, files to download."""

import io
import logging
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

import codec
from codec.ecdc import open_file, read_header
from encodec_eval.demo.helpers import HelperDiedError, Helpers, entropy_coded, measure, without_codes
from encodec_eval.files import safe_name
from encodec_eval.systems import Encodec, Opus
from encodec_eval.systems.encodec import load_encodec, load_language_model
from encodec_eval.types import Clip, EvalError, Output, Point, Score

logger = logging.getLogger(__name__)

HELPERS = Helpers()

QUALITY = ("si_snr", "stoi", "pesq")
SPEED = ("x_realtime_encode", "x_realtime_decode")
FORMATS = "WAV, FLAC, OGG, Opus, MP3 or AIFF"
NO_CHECKSUM = (
    "This file cannot be checked: its format (.ecdc version 0) has no checksum. Damage would be heard, not reported; "
    "files made with the language model (version 1) have one."
)


@dataclass
class Version:
    """The clip as a codec gives it back at one rate. Sizes in bytes, None where it does not apply.

    `samples` are those of a channel, `codes` and `scales` those of `Output`.
    `coded` is the codec's own file, `entropy_coded` the smaller one that a language model makes of it.
    """

    point: Point
    wav: Path
    duration_s: float
    payload_bytes: float | None
    pcm_bytes: int
    samples: int = 0
    codes: Tensor | None = None
    scales: Sequence[float] | None = None
    coded: Path | None = None
    entropy_coded: Path | None = None
    scores: dict[str, Score] = field(default_factory=dict)

    @property
    def files(self) -> list[Path]:
        """What there is to download; the entropy-coded file, which has a checksum, before the plain one."""
        return [path for path in (self.wav, self.entropy_coded, self.coded) if path is not None]

    def to_entropy_code(self, model: str) -> tuple[Tensor, Sequence[float] | None, int, str]:
        """The arguments of `entropy_coded` for this version."""
        assert self.codes is not None
        return self.codes.clone(), self.scales, self.samples, model  # the storage of a view would go along

    @property
    def payload_kbps(self) -> float | None:
        """Measured rate of the coded signal, without a container."""
        return self._kbps(self.payload_bytes)

    @property
    def file_kbps(self) -> float | None:
        """Measured rate of the file."""
        return self._kbps(self.coded.stat().st_size if self.coded else None)

    @property
    def entropy_kbps(self) -> float | None:
        """Measured rate of the entropy-coded file."""
        return self._kbps(self.entropy_coded.stat().st_size if self.entropy_coded else None)

    @property
    def pcm_ratio(self) -> float | None:
        """How many times smaller the coded signal is than 16-bit PCM of the same rate and channels."""
        return self.payload_bytes and self.pcm_bytes / self.payload_bytes

    def value(self, metric: str) -> float | None:
        """A score, None if it was not computed (yet) or has no value."""
        return self.scores[metric].value if metric in self.scores else None

    def _kbps(self, size: float | None) -> float | None:
        return size and 8 * size / self.duration_s / 1000


@dataclass
class Session:
    """What one listener has made of one clip. Its files lie in `folder`; nothing is shared between sessions.

    `name` is the clip's, which the files carry; `doing` says what is being worked on. Once `finished`, it does not
    change any more.
    """

    folder: Path
    model: str
    name: str = "clip"
    versions: list[Version] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    doing: str = ""
    finished: bool = False

    @property
    def stem(self) -> str:
        """The clip's name as it begins the names of files: no ending, nothing but letters, digits and `._@+-`."""
        return safe_name(Path(self.name).stem).strip("._")[:60] or "clip"

    @property
    def original(self) -> Path:
        return self.folder / f"{self.stem}_original.wav"

    def add(self, output: Output, duration_s: float) -> None:
        """Write a version's audio and its coded file."""
        point = output.point
        name = safe_name(f"{self.stem}_{Path(point.series).name}_{point.nominal_kbps or 0:g}kbps")
        wav = self.folder / f"{name}.wav"
        codec.audio.save(wav, output.audio, output.sample_rate)
        version = Version(output.point, wav, duration_s, output.payload_bytes, 2 * output.audio.numel())
        version.samples, version.codes, version.scales = output.audio.shape[-1], output.codes, output.scales
        if output.coded is not None:
            version.coded = self.folder / (name + output.suffix)
            version.coded.write_bytes(output.coded)
        self.versions.append(version)

    def add_entropy_coded(self, version: Version, data: bytes) -> None:
        """Write a version's file once more, entropy-coded."""
        assert version.coded is not None
        version.entropy_coded = version.coded.with_suffix(".lm.ecdc")
        version.entropy_coded.write_bytes(data)

    def take(self, version: Version, call: Future[Any], clip: str, metrics: Sequence[str]) -> None:
        """Add what a helper was asked for of a version: its scores or its entropy-coded file."""
        try:
            result = call.result()
        except HelperDiedError as error:
            if not version.scores:
                version.scores = {name: Score(clip, version.point.name, name, None, str(error)) for name in metrics}
            return
        if isinstance(result, bytes):
            self.add_entropy_coded(version, result)
        else:
            version.scores = {score.metric: score for score in result}

    def rows(self) -> list[dict[str, object]]:
        """The numbers of every version, None where there is none."""
        return [
            {
                "version": version.point.name,
                "nominal_kbps": version.point.nominal_kbps,
                "payload_kbps": version.payload_kbps,
                "file_kbps": version.file_kbps,
                "entropy_kbps": version.entropy_kbps,
                "pcm_ratio": version.pcm_ratio,
                **{metric: version.value(metric) for metric in (*QUALITY, *SPEED)},
            }
            for version in self.versions
        ]

    def archive(self) -> Path:
        """A ZIP of the original where there is one, every version and the numbers."""
        numbers = self.folder / "numbers.csv"
        pd.DataFrame(self.rows()).to_csv(numbers, index=False)
        path = self.folder / f"{self.stem}_versions.zip"
        with zipfile.ZipFile(path, "w") as archive:
            original = [self.original] if self.original.exists() else []
            for file in (*original, numbers, *chain.from_iterable(version.files for version in self.versions)):
                archive.write(file, file.name)
        return path


def load_clip(path: Path, max_s: float) -> tuple[Tensor, int]:
    """A clip `[C, T]` and its rate. Its header is judged before a sample is read.

    Raises `AudioError` for what is not audio, `EvalError` for more than two channels or more than `max_s` seconds.
    """
    if not path.is_file():
        raise EvalError(f"{path} is not a file")
    try:
        header = codec.audio.info(path, at_most_s=max_s)
    except codec.AudioError as error:
        raise EvalError(f"{path.name} is not an audio file that can be read: expected {FORMATS}") from error
    if header.channels not in (1, 2):
        raise EvalError(f"{path.name} has {header.channels} channels: expected 1 or 2")
    if not codec.audio.MIN_RATE <= header.sample_rate <= codec.audio.MAX_RATE:
        raise EvalError(
            f"{path.name} has a sample rate of {header.sample_rate} Hz: "
            f"expected {codec.audio.MIN_RATE} to {codec.audio.MAX_RATE} Hz"
        )
    if header.duration_s > max_s:
        raise EvalError(f"{path.name} is {header.duration_s:.1f} s long: expected at most {max_s:g} s")
    return codec.audio.load(path)


def code_clip(
    session: Session,
    audio: Tensor,
    sample_rate: int,
    system: Encodec,
    opus_kbps: Sequence[float] = (),
    helpers: Helpers = HELPERS,
) -> Iterator[None]:
    """Fill a session with `audio [C, T]`; yields when there is more: the original, each version, then, as the helpers
    have them, each one's scores and, where the model has a language model, entropy-coded file, and the end."""
    codec.audio.save(session.original, audio, sample_rate)
    clip = Clip("clip", str(session.original), sample_rate, audio.shape[0], audio.shape[-1])
    opus = Opus(tuple(opus_kbps))
    each = (opus.process(audio, sample_rate, [point])[0] for point in opus.points)
    points = [*system.points, *opus.points]
    session.doing = "Encoding"
    yield
    outputs = []
    for output in chain(system.outputs(audio, sample_rate, system.points), each):
        session.add(output, clip.duration_s)
        outputs.append(without_codes(output))
        session.doing = f"Decoding: {len(outputs)} of {len(points)}"
        yield
    metrics = [*QUALITY, *SPEED]
    calls: dict[Future[Any], Version] = {}
    coded = [version for version in session.versions if version.codes is not None] if _has_lm(system.model) else []
    # The longest call first, so that it does not run alone at the end.
    for version in coded[-1:]:
        calls[helpers.submit(entropy_coded, *version.to_entropy_code(system.model))] = version
    for version, output in zip(session.versions, outputs, strict=True):
        calls[helpers.submit(measure, clip, audio, sample_rate, output, metrics)] = version
    for version in coded[-2::-1]:
        calls[helpers.submit(entropy_coded, *version.to_entropy_code(system.model))] = version
    try:
        for done, call in enumerate(as_completed(calls), 1):
            session.take(calls[call], call, clip.id, metrics)
            session.doing = f"Measuring and entropy coding: {done} of {len(calls)}"
            yield
    finally:
        for call in calls:
            call.cancel()
    session.finished = True
    yield


def _has_lm(model: str) -> bool:
    try:
        load_language_model(model)
    except codec.CheckpointError as error:
        logger.info("no entropy coding: %s", error)
        return False
    return True


def open_ecdc(session: Session, data: bytes, max_s: float, models: Mapping[str, str]) -> None:
    """Fill a session with what an `.ecdc` file holds, decoded by that one of `models` (name: what to load) it names.

    Its header is judged before a model is loaded or anything decoded.
    Raises `EcdcError` for a damaged file, `EvalError` for another model or more than `max_s` seconds.
    """
    if not data.startswith(b"ECDC"):
        raise EvalError(f"{session.name} is not an .ecdc file")
    known = {Path(name).name: name for name in models}
    wanted = read_header(io.BytesIO(data)).model
    if wanted not in known:
        raise EvalError(f"the file needs model {wanted!r}: expected {', '.join(known)}")
    name = known[wanted]
    header, model, blocks = open_file(io.BytesIO(data), load_encodec(models[name], "cpu"))
    duration_s = header.audio_length / model.config.sampling_rate
    if not 0 < duration_s <= max_s:
        raise EvalError(f"the file holds {duration_s:.1f} s: expected more than 0 and at most {max_s:g} s")
    audio = torch.cat(list(blocks), dim=-1)
    kbps = header.codebooks * model.config.codebook_nbits * model.config.frame_rate / 1000
    output = Output(
        Point(f"{name}@{kbps:g}", name, kbps), audio, model.config.sampling_rate, coded=data, suffix=".ecdc"
    )
    session.model = name
    session.add(output, duration_s)
    if header.version == 0:
        session.remarks.append(NO_CHECKSUM)
    session.finished = True
