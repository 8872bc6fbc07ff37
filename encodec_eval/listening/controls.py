"""Questions with a known answer, for screening a crowd after ITU-T P.808: a gold question and traps."""

import math
from pathlib import Path

import torch
from torch import Tensor

import codec.audio
from encodec_eval.listening.methods.base import GOLD_BAD, TRAP
from encodec_eval.loudness import RATE
from encodec_eval.mushra.levels import PEAK, edge_fades
from encodec_eval.mushra.manifest import Item, Stimulus
from encodec_eval.mushra.stimuli import Signal, write_stimulus

BAD_Q_DB = 0.0  # noise as strong as the speech that it follows
LEAST_START_S = 0.1  # of speech before the beeps; less of it would only click
BEEP_S, BEEP_HZ, BEEP_LEVEL = 0.2, 1000.0, 0.1


def bad(reference: Tensor, seed: int) -> Tensor:
    """`reference [C, T]` with noise that follows its level, after ITU-T P.810 (MNRU): y = x (1 + 10^(-Q/20) n)."""
    noise = torch.randn(reference.shape, generator=torch.Generator().manual_seed(seed))
    noisy = reference * (1 + 10 ** (-BAD_Q_DB / 20) * noise)
    return noisy * min(1.0, PEAK / float(noisy.abs().max()))


def trap(reference: Tensor, answer: int) -> Tensor:
    """The beginning of `reference [C, T]`, then as many beeps as the answer that is asked for, and silence up to T.

    P.808 (6.3.8 of its edition of 2018) asks by a voice that says which answer to give; beeps need no language. As its
    toolkit advises, the length is that of a recording, or the player would tell, or cut beeps off; only where the beeps
    alone are longer, theirs.
    """
    beep = BEEP_LEVEL * torch.sin(2 * math.pi * BEEP_HZ * torch.arange(round(BEEP_S * RATE)) / RATE)
    beep = beep * edge_fades(len(beep))
    pause = torch.zeros(len(beep))
    beeps = torch.cat([pause, pause, *[beep, pause] * answer])
    channels, length = reference.shape
    room = min(length // 2, length - len(beeps))
    start = reference[:, : room if room > LEAST_START_S * RATE else 0]
    start = start * edge_fades(start.shape[-1]) if start.shape[-1] else start
    rest = torch.zeros(channels, max(length - start.shape[-1] - len(beeps), 0))
    return torch.cat([start, beeps.expand(channels, -1), rest], dim=-1)


def gold_stimulus(item: Item, folder: Path, seed: int) -> Stimulus:
    """A version of the item that nobody takes for a good one, written into `folder` with the others."""
    wav, _ = codec.audio.load(folder / item.open_reference.file)
    return _written(bad(wav, seed), GOLD_BAD, item, folder, seed)


def trap_stimulus(item: Item, folder: Path, seed: int, answer: int) -> Stimulus:
    """A version of the item that asks for an answer, written into `folder` with the others."""
    wav, _ = codec.audio.load(folder / item.open_reference.file)
    return _written(trap(wav, answer), f"{TRAP}{answer}", item, folder, seed)


def _written(wav: Tensor, condition: str, item: Item, folder: Path, seed: int) -> Stimulus:
    unity = torch.ones(wav.shape[-1])
    return write_stimulus(folder, condition, Signal(wav), unity, f"{seed}|{item.id}|{condition}")
