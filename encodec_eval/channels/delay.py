"""Algorithmic delay, measured: for how long after a sample went in its output may still have to wait.

A system only shows what it makes of a whole clip, so its look-ahead is read off a click: an output sample that changes
with a click after it has waited for that click. Clicks at many places, then closer and closer to the end of the frame
where the output reaches back furthest, give the longest look-ahead. How late the output lies in its file is read off a
click train. The delay is the sum; what a line adds (whole packets, a playout buffer, waiting for a copy) is not in it.
"""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from codec import CodecError
from codec.files import replacing
from encodec_eval.run.pairing import find_lag
from encodec_eval.types import EvalError, Point, System

FILE = "delay.csv"
CHANGED = 1e-6  # of full scale: the same clip is coded to the same samples
PLACES = 12
SPAN_S = 1.1  # of the places of clicks: more than the longest frame, the 48 kHz model's segment of 1 s
BEFORE_S, AFTER_S = 1.2, 0.4
CLICK = 0.9
MAX_LAG_S = 0.1


@dataclass(frozen=True)
class Delay:
    """In milliseconds; None and the reason where it could not be measured."""

    point: str
    look_ahead_ms: float | None
    lag_ms: float | None
    delay_ms: float | None
    reason: str = ""


def write(folder: Path, systems: Sequence[System]) -> None:
    """Measure every system at its first point, and write `delay.csv`; one that is there is left as it is."""
    if (folder / FILE).exists():
        return
    rows = [measured(system, system.points[0]) for system in systems]
    with replacing(folder / FILE) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in dict.fromkeys(rows))


def measured(system: System, point: Point) -> Delay:
    """The delay of a system at one point, or why it has none."""
    try:
        return measure(system, point)
    except (CodecError, EvalError) as error:
        return Delay(point.name, None, None, None, str(error))


def measure(system: System, point: Point) -> Delay:
    """The delay of a system at one point. Raises what its `process` raises."""
    background = noise(48000, BEFORE_S + SPAN_S + AFTER_S)
    rate = system.process(background, 48000, [point])[0].sample_rate
    background = noise(rate, BEFORE_S + SPAN_S + AFTER_S)
    (plain,) = system.process(background, rate, [point])
    span = round(SPAN_S * rate)

    def look_ahead(place: int) -> int:
        """Samples by which the output changes before a click, the click's own included."""
        position = round(BEFORE_S * rate) + place
        clicked = background.clone()
        clicked[:, position] += CLICK
        (output,) = system.process(clicked, rate, [point])
        length = min(output.audio.shape[-1], plain.audio.shape[-1])
        changed = (output.audio[:, :length] - plain.audio[:, :length]).abs().amax(dim=0) > CHANGED
        return position - int(changed.int().argmax()) if bool(changed.any()) else -span

    spacing = span // PLACES
    longest, place = max((look_ahead(place), place) for place in range(0, span, spacing))
    step = spacing
    while step:
        further = look_ahead(place + step) if place + step < span else -span
        if further > longest:
            longest, place = further, place + step
        else:
            step //= 2
    lag = click_train_lag(system, point, rate)
    ms = 1000 / rate
    ahead = longest + (longest > 0)  # the sample of the click has to be there whole
    return Delay(point.name, round(ms * ahead, 2), round(ms * lag, 2), round(ms * (ahead + lag), 2))


def click_train_lag(system: System, point: Point, rate: int) -> int:
    """Samples by which a train of clicks comes out late, by its envelope."""
    train = 0.1 * noise(rate, 2.0)
    places = torch.randint(0, train.shape[-1], (40,), generator=torch.Generator().manual_seed(1))
    train[:, places] = CLICK
    (output,) = system.process(train, rate, [point])
    length = round(0.001 * rate)

    def envelope(wav: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool1d(wav[:1].abs(), length, 1, length // 2)[0]

    return find_lag(envelope(train), envelope(output.audio), round(MAX_LAG_S * rate))


def noise(rate: int, seconds: float) -> Tensor:
    """Faint noise: codecs treat silence in ways of their own."""
    return 0.01 * torch.randn(1, round(rate * seconds), generator=torch.Generator().manual_seed(0))
