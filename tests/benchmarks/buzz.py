"""Lines of the frame rate in what models make: `python -m tests.benchmarks.buzz MODEL... [--bandwidths 1.5 6 24]`.

How far the spectrum at multiples of the frame rate stands above what is around it, in dB, by band: the mean over the
multiples of the highest of three bins (4.4 Hz) over the median of 101, in Welch's spectrum of five bundled recordings
in a row. Speech has none; the first row is that of the recordings.
"""

import numpy as np
import scipy.ndimage
import scipy.signal
import torch
from numpy.typing import NDArray

import codec
from tests.benchmarks.coded import coded, options, recordings

BANDS = ((300, 2000), (2000, 4000), (4000, 6000), (6000, 11000))
WINDOW, AROUND = 16384, 101


def lines_db(signal: NDArray[np.float32], rate: int, spacing_hz: float) -> list[float]:
    """By band, how far the multiples of a frequency stand out of a signal `[T]`."""
    hz, power = scipy.signal.welch(signal, rate, nperseg=WINDOW)
    level = 10 * np.log10(power + 1e-14)
    above = level - scipy.signal.medfilt(level, AROUND)
    highest = scipy.ndimage.maximum_filter1d(above, 3)
    multiples = np.arange(spacing_hz, rate / 2, spacing_hz)
    found = highest[np.abs(hz[:, None] - multiples).argmin(axis=0)]
    return [float(found[(multiples >= low) & (multiples < high)].mean()) for low, high in BANDS]


def main() -> None:
    given = options(__doc__)
    print("kbps", *(f"{low}-{high} Hz" for low, high in BANDS), sep="\t")
    for name in given.models:
        model = codec.load_model(name)
        rate = model.config.sampling_rate
        clips = recordings(rate)
        versions = {"original": clips}
        for bandwidth in given.bandwidths:
            versions[f"{bandwidth:g}"] = [coded(model, wav, bandwidth) for wav in clips]
        for label, audio in versions.items():
            found = lines_db(torch.cat(audio, dim=-1)[0].numpy(), rate, rate / model.config.hop_length)
            print(label, *(f"{each:.1f}" for each in found), sep="\t")


if __name__ == "__main__":
    main()
