"""How much quieter models make speech: `python -m tests.benchmarks.level MODEL... [--bandwidths 1.5 6 24]`.

Power of the output over that of the input in dB, means over five bundled recordings, one of each speaker: with the
input at several levels (RMS, clipped at full scale), then by band of the recordings as they are. Last, the RMS of what
silence becomes, in dB of full scale.
"""

import numpy as np
import scipy.signal
import torch
from numpy.typing import NDArray
from torch import Tensor

import codec
from tests.benchmarks.coded import coded, options, recordings

LEVELS_DBFS = (-40, -20, -10, -3)
BANDS = ((0, 500), (500, 1000), (1000, 2000), (2000, 4000), (4000, 8000))


def decibels(power: Tensor) -> float:
    return 10 * np.log10(float(power) + 1e-20)


def by_band(model: codec.EncodecModel, clips: list[Tensor], bandwidth: float) -> NDArray[np.float64]:
    """The change of each band in dB, the mean over clips `[1, T]`."""
    rate = model.config.sampling_rate
    rows = []
    for wav in clips:
        both = torch.cat([wav, coded(model, wav, bandwidth)]).numpy()
        hz, power = scipy.signal.welch(both, rate, nperseg=1024)
        before, after = np.stack([power[:, (hz >= low) & (hz < high)].sum(axis=1) for low, high in BANDS], axis=1)
        rows.append(10 * np.log10(after / before))
    return np.mean(rows, axis=0)


def main() -> None:
    given = options(__doc__)
    for name in given.models:
        model = codec.load_model(name)
        rate = model.config.sampling_rate
        clips = recordings(rate)
        print(name, *(f"{kbps:g} kbps" for kbps in given.bandwidths), sep="\t")
        for level in LEVELS_DBFS:
            inputs = [(wav * 10 ** (level / 20) / wav.pow(2).mean().sqrt()).clamp(-1, 1) for wav in clips]
            changes = [
                np.mean([decibels(coded(model, wav, kbps).pow(2).mean() / wav.pow(2).mean()) for wav in inputs])
                for kbps in given.bandwidths
            ]
            print(f"{level} dBFS", *(f"{change:.1f}" for change in changes), sep="\t")
        kept = [by_band(model, clips, kbps) for kbps in given.bandwidths]
        for (low, high), changes in zip(BANDS, np.transpose(kept), strict=True):
            print(f"{low}-{high} Hz", *(f"{change:.1f}" for change in changes), sep="\t")
        silence = [coded(model, torch.zeros(1, rate), kbps).pow(2).mean() for kbps in given.bandwidths]
        print("silence", *(f"{decibels(power):.0f}" for power in silence), sep="\t")


if __name__ == "__main__":
    main()
