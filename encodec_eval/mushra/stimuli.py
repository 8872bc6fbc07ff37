"""Clips and systems -> the signals of a listening test: cut after coding, aligned, one level, 48 kHz 16-bit WAV."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

import codec.audio
from encodec_eval.datasets import draw, middle
from encodec_eval.loudness import RATE, loudness
from encodec_eval.metrics import METRICS
from encodec_eval.mushra.levels import common_gain, edge_fades, wanted_gain
from encodec_eval.mushra.manifest import LOW_ANCHOR, MID_ANCHOR, REFERENCE, Item, Stimulus
from encodec_eval.run.pairing import find_lag
from encodec_eval.run.worker import score
from encodec_eval.systems import DecodedFolder, lowpass
from encodec_eval.types import Clip, EvalError, Output, Point, System

logger = logging.getLogger(__name__)

CONTEXT_S = 20.0
MAX_LAG_S = 0.05
CUTOFFS = {LOW_ANCHOR: 3500, MID_ANCHOR: 7000}
PREVIEW = ("pesq", "stoi", "si_snr")


@dataclass(frozen=True)
class Preset:
    """What a kind of test consists of; lengths in seconds."""

    anchors: tuple[str, ...]
    items: int
    duration_s: float


PRESETS = {"bs1534": Preset((LOW_ANCHOR, MID_ANCHOR), 8, 10.0), "paper": Preset((LOW_ANCHOR,), 50, 5.0)}


@dataclass(frozen=True)
class Span:
    """The part `[start, start + frames)` of a file, in samples of the file, that becomes an item."""

    clip: Clip
    start: int
    frames: int


def choose_spans(clips: Sequence[Clip], count: int, duration_s: float, seed: int) -> list[Span]:
    """`count` clips balanced by speaker, of each the middle `duration_s` seconds; the same for the same seed.

    Where too few clips are that long, the draw is from the longest ones, twice as many as needed, used whole.
    Raises `EvalError` if there are fewer clips than items.
    """
    if len(clips) < count:
        raise EvalError(f"the set has {len(clips)} clips, too few for {count} items")
    candidates = [clip for clip in clips if clip.duration_s >= duration_s]
    if len(candidates) < count:
        logger.warning("%d of %d clips last %g s; shorter ones are used whole", len(candidates), len(clips), duration_s)
        longest = {clip.id for clip in sorted(clips, key=lambda clip: -clip.duration_s)[: 2 * count]}
        candidates = [clip for clip in clips if clip.id in longest]
    cut = [(clip, middle(clip, duration_s)) for clip in draw(candidates, count, seed)]
    return [Span(clip, part.start, part.frames) for clip, part in cut]


def spans_by_domain(clips: Sequence[Clip], count: int, duration_s: float, seed: int) -> list[Span]:
    """`choose_spans` from each domain, as many from one as from another, the first ones getting what is left over."""
    domains = list(dict.fromkeys(clip.domain for clip in clips))
    if len(domains) > count:
        raise EvalError(f"{count} items for {len(domains)} domains ({', '.join(domains)}); expected one each or more")
    counts = [count // len(domains) + (n < count % len(domains)) for n in range(len(domains))]
    return [
        span
        for domain, share in zip(domains, counts, strict=True)
        for span in choose_spans([clip for clip in clips if clip.domain == domain], share, duration_s, seed)
    ]


@dataclass(frozen=True)
class Signal:
    """A condition of an item before levelling: `audio [C, T]` at 48 kHz, the delay in samples that was removed, and the
    measured rate of the coded stretch."""

    audio: Tensor
    lag: int = 0
    kbps: float | None = None


def render(
    spans: Sequence[Span], systems: Sequence[System], anchors: Sequence[str], seed: int, folder: Path
) -> Iterator[Item]:
    """Write the WAV files of every item into `folder` and yield its description, one item after the other.

    Raises `EvalError` where an item is too short or quiet to be levelled, or a system cannot code it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, span in enumerate(spans, start=1):
        name = f"item{number:02d}"
        signals = code_and_cut(span, systems, anchors)
        reference = signals[REFERENCE].audio
        gain_db, lowered_db = common_gain([signal.audio for signal in signals.values()], wanted_gain(reference))
        if lowered_db:
            logger.warning("%s: level lowered by %.1f dB, or a stimulus would clip", name, lowered_db)
        shape = 10 ** (gain_db / 20) * edge_fades(reference.shape[-1])
        clip = replace(span.clip, start=span.start, frames=span.frames)
        stimuli = []
        for condition, signal in signals.items():
            made = write_stimulus(folder, condition, signal, shape, f"{seed}|{name}|{condition}")
            stimuli.append(replace(made, scores=preview(clip, condition, reference, signal)))
        yield Item(
            id=name,
            clip=span.clip.id,
            speaker=span.clip.speaker,
            start_s=span.start / span.clip.sample_rate,
            duration_s=span.frames / span.clip.sample_rate,
            gain_db=gain_db,
            lowered_db=lowered_db,
            loudness_lufs=loudness(reference * shape),
            open_reference=write_stimulus(folder, REFERENCE, signals[REFERENCE], shape, f"{seed}|{name}|open"),
            stimuli=stimuli,
            domain=span.clip.domain,
        )


def code_and_cut(span: Span, systems: Sequence[System], anchors: Sequence[str]) -> dict[str, Signal]:
    """Every condition of an item, the reference first: coded with up to 20 s around it, aligned, then cut.

    All have as many channels as the system with the fewest.
    """
    clip = span.clip
    file_frames = codec.audio.info(clip.path).frames
    context = round(CONTEXT_S * clip.sample_rate)
    first, end = max(span.start - context, 0), min(span.start + span.frames + context, file_frames)
    wav, _ = codec.audio.load(clip.path, first, end - first)
    outputs = [
        (output, clip.start if isinstance(system, DecodedFolder) else first)
        for system in systems
        for output in system.process(wav, clip.sample_rate, system.points, clip)
    ]
    channels = min([wav.shape[0], *(output.audio.shape[0] for output, _ in outputs)])
    reference = codec.audio.resample(codec.audio.to_channels(wav, channels), clip.sample_rate, RATE)
    begin, length = (round(n * RATE / clip.sample_rate) for n in (span.start - first, span.frames))
    signals = {REFERENCE: Signal(reference[:, begin : begin + length])}
    for anchor in anchors:
        signals[anchor] = Signal(lowpass(reference, RATE, CUTOFFS[anchor])[:, begin : begin + length])
    for output, heard_from in outputs:
        audio = codec.audio.resample(codec.audio.to_channels(output.audio, channels), output.sample_rate, RATE)
        audio = shifted(audio, round((first - heard_from) * RATE / clip.sample_rate), reference.shape[-1])
        lag = find_lag(reference.mean(0), audio.mean(0), round(MAX_LAG_S * RATE))
        seconds = clip.duration_s if heard_from != first else wav.shape[-1] / clip.sample_rate
        cut = shifted(audio, begin + lag, length)
        signals[output.point.name] = Signal(cut, lag, kbps(output, seconds))
    return signals


def shifted(wav: Tensor, start: int, length: int) -> Tensor:
    """`wav [C, T]` from sample `start` on, which may be negative, as `length` samples; zero where it has none."""
    out = wav.new_zeros(wav.shape[0], length)
    low, high = max(start, 0), min(start + length, wav.shape[-1])
    if high > low:
        out[:, low - start : high - start] = wav[:, low:high]
    return out


def kbps(output: Output, seconds: float) -> float | None:
    """Measured rate of the coded signal, of its file if only that is known, else what the system says."""
    size = output.payload_bytes if output.payload_bytes is not None else output.file_bytes
    return output.point.nominal_kbps if size is None else 8 * size / seconds / 1000


def write_stimulus(folder: Path, condition: str, signal: Signal, shape: Tensor, key: str) -> Stimulus:
    """Write a WAV file under a name that tells nothing: a hash of `key` and of the samples."""
    temporary = folder / "unnamed.wav"
    codec.audio.save(temporary, signal.audio * shape, RATE)
    digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
    name = "s" + hashlib.sha256(f"{key}|{digest}".encode()).hexdigest()[:12]
    temporary.replace(folder / f"{name}.wav")
    return Stimulus(name, condition, f"{name}.wav", digest, signal.kbps, signal.lag)


def preview(clip: Clip, condition: str, reference: Tensor, signal: Signal) -> dict[str, float | str]:
    """Objective scores of a stimulus against its reference; where there is none, the reason."""
    output = Output(Point(condition, condition), signal.audio, RATE)
    scores = score(clip, reference, RATE, output, [METRICS[name] for name in PREVIEW])
    return {each.metric: each.value if each.value is not None else str(each.reason) for each in scores}


def deal(items: Sequence[Item], forms: int) -> list[list[str]]:
    """The item ids of each form: every item in one form, sizes differing by at most one, speakers spread."""
    if not 1 <= forms <= len(items):
        raise EvalError(f"{len(items)} items cannot be dealt to {forms} forms; expected 1 to {len(items)}")
    ordered = sorted(items, key=lambda item: (item.speaker or "", item.id))
    return [sorted(item.id for item in ordered[form::forms]) for form in range(forms)]
