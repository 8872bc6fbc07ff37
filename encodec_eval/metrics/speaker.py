"""Whether output and reference sound like the same person."""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from encodec_eval.mel import mel_power
from encodec_eval.types import Metric, UndefinedError
from encodec_eval.weights import find, remember

RATE = 16000
WEIGHTS = "resemblyzer/pretrained.pt"
FRAMES, BANDS, HIDDEN, LAYERS = 160, 40, 256, 3  # a window is 1.6 s
STEP = 77  # frames from one window to the next: 1.3 windows a second
COVERAGE = 0.75  # of the last window, or it is left out
LEVEL = 10 ** (-30 / 20)


class Encoder(nn.Module):
    """The GE2E speaker encoder of Resemblyzer (Wan et al., ICASSP 2018), which its own package cannot load without a
    voice activity detector. Mel power `[B, 160, 40]` to unit vectors `[B, 256]`."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(BANDS, HIDDEN, LAYERS, batch_first=True)
        self.linear = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, mel: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(mel)
        return nn.functional.normalize(torch.relu(self.linear(hidden[-1])))


@lru_cache(maxsize=1)
def _encoder() -> Encoder:
    state = torch.load(find(WEIGHTS), map_location="cpu", weights_only=True)["model_state"]
    encoder = Encoder()
    encoder.load_state_dict({name: value for name, value in state.items() if not name.startswith("similarity")})
    return encoder.eval()


@remember()
def embedding(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """The voice in `signal [T]` at 16 kHz as a unit vector `[256]`: the mean over windows of 1.6 s.

    Quiet audio is raised to -30 dB of full scale first. Pauses are not cut out.
    """
    level = float(np.sqrt(np.mean(signal**2)))
    if level < 1e-5:
        raise UndefinedError("silence has no speaker")
    signal = signal * max(1.0, LEVEL / level)
    hop = RATE // 100
    count = max(1, int(np.ceil((len(signal) + 1) / hop)) - FRAMES + STEP + 1)
    starts = list(range(0, count, STEP))
    if len(starts) > 1 and len(signal) - starts[-1] * hop < COVERAGE * FRAMES * hop:
        starts.pop()
    padded = np.pad(signal, (0, max(0, (starts[-1] + FRAMES) * hop - len(signal))))
    mel = mel_power(padded, RATE, RATE // 40, hop, BANDS)
    windows = torch.from_numpy(np.stack([mel[start : start + FRAMES] for start in starts])).float()
    with torch.inference_mode():
        mean = _encoder()(windows).double().mean(0).numpy()
    return np.asarray(mean / np.linalg.norm(mean))


def score(reference: NDArray[np.float64], estimate: NDArray[np.float64], sample_rate: int) -> float:
    """Cosine of the two voices, 0 to 1."""
    return float(embedding(reference) @ embedding(estimate))


METRICS = [
    Metric(
        name="speaker_similarity",
        title="speaker similarity",
        unit="",
        higher_is_better=True,
        range=(0, 1),
        source="cosine of the voice embeddings (Wan et al., GE2E, ICASSP 2018) of reference and output by the encoder "
        "of Resemblyzer, pauses not cut out; speech only",
        function=score,
        sample_rate=RATE,
        digits=3,
        packages=("Resemblyzer",),
        extra="perceptual",
        weights=(WEIGHTS,),
        purpose="whether the voice is still that of the speaker",
        groups=("speech",),
    )
]
