"""A codec of one's own: mu-law samples at 8 kHz, as in a telephone, with 8 or 4 bits each."""

import torch
import torchaudio.functional as F

from encodec_eval.types import Output, Point


class MuLaw:
    rate = 8000  # Hz

    def __init__(self, kbps: tuple[float, ...] = (32, 64)):
        self.points = [Point(f"mulaw@{each:g}", "mulaw", each) for each in sorted(kbps)]

    def process(self, wav, sample_rate, points, clip=None):
        """Code `wav [C, T]` at each of the points. `clip.id` and `clip.path` say which recording it is."""
        mono = F.resample(wav.mean(0, keepdim=True), sample_rate, self.rate).clamp(-1, 1)
        return [self.through(mono, point) for point in points]

    def through(self, mono, point):
        bits = round(point.nominal_kbps * 1000 / self.rate)
        mu = 2**bits - 1
        compressed = mono.sign() * torch.log1p(mu * mono.abs()) / torch.log1p(torch.tensor(float(mu)))
        codes = ((compressed + 1) / 2 * mu).round()
        expanded = codes / mu * 2 - 1
        audio = expanded.sign() * ((1 + mu) ** expanded.abs() - 1) / mu
        return Output(point, audio, self.rate, payload_bytes=codes.numel() * bits / 8)
