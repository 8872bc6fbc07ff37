"""PLCMOS: what a network thinks that listeners would say of speech after packet losses, without a reference."""

import numpy as np
from numpy.typing import NDArray

from encodec_eval.types import Metric
from encodec_eval.weights import audible, onnx_session

RATE = 16000
WEIGHTS = "speechmos/plcmos_models/plcmos_v2.onnx"
RATERS, SIZE, HOP = 15, 512, 256


def score(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int) -> float:
    """MOS of `estimate [T]` at 16 kHz: the mean over 15 invented raters, who are the same in every call.

    The package draws its raters anew each time, so that its scores differ from call to call.
    """
    features = log_power(audible(estimate))[None, None].astype(np.float32)
    raters = np.random.RandomState(0).normal(size=(RATERS, 1, 64)).astype(np.float32)
    session = onnx_session(WEIGHTS)
    votes = [session.run(None, {"degraded_audio": features, "rater_embed": rater})[0].item() for rater in raters]
    return float(np.mean(votes))


def log_power(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the network hears: natural logarithm of power over 20, `[frames, 257]`, Hamming windows of 32 ms every 16.

    Bins without power are 120 dB below the weakest other one.
    """
    frames = int(np.ceil((len(signal) + SIZE - HOP) / HOP))
    padded = np.zeros((frames - 1) * HOP + SIZE)
    padded[SIZE - HOP : SIZE - HOP + len(signal)] = signal
    windows = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::HOP]
    power = np.abs(np.fft.rfft(windows * np.hamming(SIZE + 1)[:-1], axis=-1)) ** 2
    floor = np.log(power[power > 0].min()) - 12 * np.log(10)
    return np.where(power > 0, np.log(np.where(power > 0, power, 1)), floor) / 20


METRICS = [
    Metric(
        name="plcmos",
        title="PLCMOS v2",
        unit="MOS",
        higher_is_better=True,
        range=(1, 5),
        source="Diener et al., PLCMOS, Interspeech 2023 (arXiv 2305.15127), no reference, 15 fixed rater embeddings, "
        "through the weights of speechmos; speech only",
        function=score,
        sample_rate=RATE,
        packages=("speechmos", "onnxruntime"),
        extra="perceptual",
        weights=(WEIGHTS,),
        purpose="how good speech sounds after lost packets were concealed, predicted without its original",
        groups=("speech",),
    )
]
