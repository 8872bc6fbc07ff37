"""DNSMOS: what networks think that listeners would say of speech with noise in it, without a reference."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from encodec_eval.mel import mel_power
from encodec_eval.types import Metric
from encodec_eval.weights import audible, onnx_session, remember

RATE = 16000
WINDOW = 144160  # 9.01 s, which the networks take
P835, P808 = "speechmos/dnsmos_models/sig_bak_ovr.onnx", "speechmos/dnsmos_models/model_v8.onnx"
# From the networks' outputs to MOS: the polynomials of the package, highest power first.
CALIBRATION = {
    "sig": (-0.08397278, 1.22083953, 0.0052439),
    "bak": (-0.13166888, 1.60915514, -0.39604546),
    "ovrl": (-0.06766283, 1.11546468, 0.04602535),
}


@remember()
def scores(estimate: NDArray[np.float64]) -> dict[str, float]:
    """SIG, BAK, OVRL and P.808 MOS of `estimate [T]` at 16 kHz: means over windows of 9.01 s, one a second.

    Shorter audio is repeated until it fills a window. As the package speechmos does, but without librosa, whose first
    call compiles for minutes.
    """
    signal = audible(estimate)
    while len(signal) < WINDOW:
        signal = np.append(signal, signal)
    count = int(np.floor(len(signal) / RATE) - WINDOW / RATE) + 1
    windows = [signal[n * RATE : n * RATE + WINDOW] for n in range(count)]
    each = [_window(window) for window in windows if len(window) == WINDOW]
    return {name: float(np.mean([one[name] for one in each])) for name in each[0]}


def _window(signal: NDArray[np.float64]) -> dict[str, float]:
    raw = onnx_session(P835).run(None, {"input_1": signal[None].astype(np.float32)})[0][0]
    found = {name: float(np.polyval(CALIBRATION[name], value)) for name, value in zip(CALIBRATION, raw, strict=True)}
    mel = log_mel(signal[:-160])[None].astype(np.float32)
    return found | {"p808": float(onnx_session(P808).run(None, {"input_1": mel})[0][0, 0])}


def log_mel(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the P.808 network hears: 120 bands in dB below the strongest, at most 80, `(dB + 40) / 40`."""
    power = mel_power(signal, RATE, 321, 160, 120)
    level_db = 10 * np.log10(np.maximum(power, 1e-10)) - 10 * np.log10(max(float(power.max()), 1e-10))
    return (np.maximum(level_db, level_db.max() - 80) + 40) / 40


def score(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int, name: str) -> float:
    """One of the four scores of the estimate. The reference is not heard."""
    return scores(estimate)[name]


def _metric(name: str, title: str, what: str, weights: str) -> Metric:
    return Metric(
        name=f"dnsmos_{name}",
        title=title,
        unit="MOS",
        higher_is_better=True,
        range=(1, 5),
        source=f"{what}, no reference, through the weights of speechmos; speech only",
        function=partial(score, name=name),
        sample_rate=RATE,
        packages=("speechmos", "onnxruntime"),
        extra="perceptual",
        weights=(weights,),
        purpose="how good speech sounds, or how clean it is of noise, predicted without its original",
        groups=("speech",),
    )


_P835 = "Reddy et al., DNSMOS P.835, ICASSP 2022 (arXiv 2110.01763)"
METRICS = [
    _metric("ovrl", "DNSMOS OVRL", f"{_P835}, overall", P835),
    _metric("sig", "DNSMOS SIG", f"{_P835}, speech", P835),
    _metric("bak", "DNSMOS BAK", f"{_P835}, background", P835),
    _metric("p808", "DNSMOS P.808", "Reddy et al., DNSMOS, ICASSP 2021 (arXiv 2010.15258)", P808),
]
