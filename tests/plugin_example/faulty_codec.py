"""`MuLaw` as it comes from a workshop: what it does wrong depends on the clip."""

import os
import signal
import sys
from dataclasses import replace

import torch
from my_codec import MuLaw

from encodec_eval.types import Output, Point


class Faulty(MuLaw):
    def __init__(self, kbps: tuple[float, ...] = (64,), crash: str = "crash", hang: str = "hang", gain: float = 1):
        super().__init__(kbps)
        self.crash, self.hang, self.gain = crash, hang, gain

    def process(self, wav, sample_rate, points, clip=None):
        name = clip.id if clip else ""
        if name == self.crash:
            os.kill(os.getpid(), signal.SIGSEGV)
        while name == self.hang:
            pass
        if name == "raise":
            raise RuntimeError("this codec is\nbroken")
        if name == "exit":
            sys.exit(3)
        if name == "memory":
            raise MemoryError
        print("what a codec prints is no answer")
        outputs = super().process(wav, sample_rate, points, clip)
        return [replace(output, **self.changed(name, output)) for output in outputs][: name != "lazy"]

    def changed(self, name: str, output: Output) -> dict[str, object]:
        audio = output.audio * self.gain
        return {
            "nan": {"audio": audio * torch.nan},
            "rate": {"audio": audio, "sample_rate": 2 * self.rate},
            "no rate": {"audio": audio, "sample_rate": 0},
            "shape": {"audio": audio[0]},
            "numpy": {"audio": audio.numpy()},
            "point": {"audio": audio, "point": Point("other", "other")},
            "size": {"audio": audio, "payload_bytes": "many"},
        }.get(name, {"audio": audio})


class Vague(MuLaw):
    def describe(self) -> dict[str, object]:
        return {"state": object()}
