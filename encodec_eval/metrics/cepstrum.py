"""Mel cepstral distortion and log-spectral distance."""

import numpy as np
import scipy.fft

from encodec_eval.metrics.framing import (
    Floats,
    check,
    floored_levels_db,
    magnitudes,
    mel_filters,
    own_floored_levels_db,
    window_size,
)
from encodec_eval.types import Metric

BANDS, COEFFICIENTS = 80, 24
WINDOW_S, HOP_S = 0.032, 0.01
SILENT_DB = -40.0
FLOOR_DB = -80.0


def mel_cepstral_distortion(reference: Floats, estimate: Floats, sample_rate: int) -> float:
    """Mean in dB over frames of 10 / ln 10 * sqrt(2 * sum over d = 1 ... 24 of the squared differences of c_d).

    After Kubichek (IEEE PacRim 1993). The c_d are the cosine series of the log magnitudes of 80 mel bands, ln X_m = c_0
    + sum c_d cos(pi d (m + 1/2) / 80), so that a frame's distortion is the RMS difference in dB of the smoothed mel
    spectra without their level. Hann windows of 32 ms every 10 ms; the bands of each signal are
    floored 80 dB below its strongest. Frames of the reference that are 40 dB below its loudest are left out.
    Undefined for a silent reference and for less than one window.
    """
    size, hop = window_size(WINDOW_S, sample_rate), round(HOP_S * sample_rate)
    check(reference, estimate, size)
    bands = magnitudes(reference, estimate, size, hop).square() @ mel_filters(size // 2 + 1, sample_rate, BANDS)
    energy = bands[0].sum(dim=1)
    heard = (energy > energy.max() * 10 ** (SILENT_DB / 10)).numpy()
    level = own_floored_levels_db(bands, FLOOR_DB).numpy()[:, heard] * np.log(10) / 20  # ln of the magnitude
    cepstrum = scipy.fft.dct(level, type=2, axis=-1)[..., 1 : COEFFICIENTS + 1] / BANDS
    distance = np.sqrt(2 * ((cepstrum[0] - cepstrum[1]) ** 2).sum(axis=-1))
    return float(10 / np.log(10) * distance.mean())


def log_spectral_distance(reference: Floats, estimate: Floats, sample_rate: int) -> float:
    """Mean over frames of the RMS difference over frequency of the two power spectra, both in dB.

    After Gray and Markel (IEEE Trans. ASSP 24, 1976). Hann windows of 46 ms at a hop of a quarter; both are floored
    80 dB below the reference's strongest bin. Undefined for a silent reference and for less than one window.
    """
    size = window_size(0.0464, sample_rate)
    check(reference, estimate, size)
    level_db = floored_levels_db(magnitudes(reference, estimate, size, size // 4).square(), FLOOR_DB)
    return float((level_db[0] - level_db[1]).square().mean(dim=1).sqrt().mean())


METRICS = [
    Metric(
        name="mcd",
        title="Mel cepstral distortion",
        unit="dB",
        higher_is_better=False,
        range=(0, float("inf")),
        source="Kubichek, PacRim 1993, coefficients 1 to 24 of 80 mel bands at 16 kHz, no time warping; not comparable "
        "with cepstra of WORLD or SPTK; speech only",
        function=mel_cepstral_distortion,
        sample_rate=16000,
        purpose="how far the timbre of a voice is off, its level aside",
        groups=("speech",),
    ),
    Metric(
        name="lsd",
        title="Log-spectral distance",
        unit="dB",
        higher_is_better=False,
        range=(0, -FLOOR_DB),
        source="Gray and Markel, IEEE Trans. ASSP 24, 1976; 46 ms Hann windows, floor -80 dB",
        function=log_spectral_distance,
        channels="each",
        purpose="how far the spectrum is off, every frequency alike: it sees missing treble",
        groups=("speech", "music"),
    ),
]
