"""A system with something between its encoder and its decoder: a system itself, for the rest of the evaluation."""

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from codec.ecdc import decompress, read_codes, transcode
from encodec_eval.channels.line import Packets, Trace
from encodec_eval.channels.spec import Condition
from encodec_eval.systems import Encodec, Mp3, Opus
from encodec_eval.systems.libopus import PacketOpus
from encodec_eval.systems.lines import Line, Sender
from encodec_eval.systems.shared import timed
from encodec_eval.types import Clip, EvalError, Output, Point, System

TANDEM: dict[str, type[Opus] | type[Mp3]] = {"opus": Opus, "mp3": Mp3}


@dataclass(frozen=True)
class LinePoint(Point):
    """A system's `base` point under a condition: `x` on the `axis` that its curve is drawn over."""

    base: str = ""
    axis: str = ""
    x: float | None = None
    curve: str = ""


@dataclass(frozen=True)
class Through:
    """A system under every condition. `seed`: of all chance, the same for every system."""

    system: System
    conditions: tuple[Condition, ...]
    seed: int = 0

    @property
    def packages(self) -> tuple[str, ...]:
        return self.system.packages

    @property
    def pairs(self) -> dict[str, tuple[LinePoint, Point, Condition]]:
        """What is done at each point, by its name. A condition that means nothing for a point is left out; so is a
        concealment that this system does not have: its own default stands there once."""
        found = {}
        for given in self.conditions:
            condition = self._suited(given)
            for base in self.system.points:
                if condition.transcode is not None and not self._transcodes(base, condition.transcode):
                    continue
                name = f"{base.name} {condition.text}"
                curve = " ".join(filter(None, [base.name, condition.rest]))
                point = LinePoint(
                    name,
                    f"{base.series} {condition.text}",
                    base.nominal_kbps,
                    base.name,
                    condition.axis,
                    condition.x,
                    curve,
                )
                found[name] = point, base, condition
        return found

    def _suited(self, condition: Condition) -> Condition:
        known = self.system.concealments if isinstance(self.system, Sender) else ()
        name = condition.concealment
        if name is None or name in known:
            return condition
        text, rest = (re.sub(":?conceal=[^:+]*", "", each).strip(":") for each in (condition.text, condition.rest))
        return replace(condition, concealment=None, text=text, rest=rest)

    def _transcodes(self, base: Point, kbps: float) -> bool:
        targets = self.system.config.target_bandwidths if isinstance(self.system, Encodec) else ()
        return kbps in targets and kbps <= (base.nominal_kbps or 0)

    @property
    def points(self) -> Sequence[Point]:
        return [point for point, _, _ in self.pairs.values()]

    def describe(self) -> dict[str, object]:
        traces = [
            channel for condition in self.conditions for channel in condition.channels if isinstance(channel, Trace)
        ]
        digests = {trace.path: hashlib.sha256(Path(trace.path).read_bytes()).hexdigest() for trace in traces}
        through = {"through": [condition.text for condition in self.conditions], "line_seed": self.seed}
        return {**self.system.describe(), **through, **({"traces_sha256": digests} if digests else {})}

    def process(self, wav: Tensor, sample_rate: int, points: Sequence[Point], clip: Clip | None = None) -> list[Output]:
        coding = Coding(self.system, wav, sample_rate, clip, self.seed)
        pairs = self.pairs
        return [replace(coding.output(*pairs[point.name][1:]), point=pairs[point.name][0]) for point in points]


class Coding:
    """One clip through a system under conditions; what several of them share is done once."""

    def __init__(self, system: System, wav: Tensor, sample_rate: int, clip: Clip | None, seed: int) -> None:
        self._system, self._clip, self._seed = system, clip, seed
        self._wav, self._sample_rate = wav, sample_rate
        self._lines: dict[float, Line] = {}
        self._generations: dict[tuple[object, ...], list[Output]] = {}

    def output(self, base: Point, condition: Condition) -> Output:
        """What comes out at one point. The codes are kept out of it: the encoder made them before anything happened."""
        if condition.transcode is not None:
            return self._transcoded(base, condition.transcode)
        key = (base, condition.channels, condition.before, condition.after, condition.packet_ms, condition.concealment)
        done = self._generations.setdefault(key, [])
        while len(done) < condition.generations:
            wav, rate = (done[-1].audio, done[-1].sample_rate) if done else (self._wav, self._sample_rate)
            done.append(self._once(wav, rate, base, condition, len(done)))
        last, first = done[condition.generations - 1], done[0]
        return replace(last, equal_codes=share_equal(first.codes, last.codes), codes=None, coded=None)

    def _once(self, wav: Tensor, rate: int, base: Point, condition: Condition, generation: int) -> Output:
        for name in condition.before:
            wav, rate = tandem(name, wav, rate)
        if condition.channels:
            output = self._over_line(wav, rate, base, condition, generation)
        else:
            (output,) = self._system.process(wav, rate, [base], self._clip)
        for name in condition.after:
            audio, rate = tandem(name, output.audio, output.sample_rate)
            output = replace(output, audio=audio, sample_rate=rate)
        return output

    def _over_line(self, wav: Tensor, rate: int, base: Point, condition: Condition, generation: int) -> Output:
        system = self._system
        if not isinstance(system, Sender):
            raise EvalError(f"{base.series} is not sent in packets here")
        packet_s = condition.packet_ms / 1000
        if wav is self._wav and packet_s in self._lines:
            line = self._lines[packet_s]
        else:
            line = system.line(wav, rate, packet_s)
        if wav is self._wav:
            self._lines[packet_s] = line
        concealment = condition.concealment or system.concealments[0]
        packets = line.packets(base, concealment)
        arrived: Packets = list(packets)
        for channel in condition.channels:
            arrived = channel.carry(arrived, chance(self._seed, self._clip, channel.name, generation))
        with torch.inference_mode():
            audio, decode_s = timed(lambda: line.decode(base, concealment, arrived))
        return Output(
            point=base,
            audio=audio.cpu(),
            sample_rate=line.sample_rate,
            payload_bytes=sum(map(len, packets)),
            encode_s=line.encode_s,
            decode_s=decode_s,
            lost=arrived.count(None) / max(1, len(arrived)),
        )

    def _transcoded(self, base: Point, kbps: float) -> Output:
        system = self._system
        assert isinstance(system, Encodec)
        high, low = system.process(
            self._wav, self._sample_rate, [base, Point(base.series, base.series, kbps)], self._clip
        )
        assert high.coded is not None
        coded = transcode(high.coded, kbps, system.loaded)
        with torch.inference_mode():
            audio, rate = decompress(coded, system.loaded)
        kept = torch.cat(
            [each.codes for each in read_codes(io.BytesIO(coded), system.loaded) if each.codes is not None], 1
        )
        equal = share_equal(torch.cat(list(low.codes), dim=1) if low.codes is not None else None, kept)
        changed = {"file_bytes": len(coded), "equal_codes": equal, "codes": None, "coded": None, "entropy_bytes": None}
        return replace(low, audio=audio[:, : low.audio.shape[-1]], sample_rate=rate, **changed)  # type: ignore[arg-type]


def chance(seed: int, clip: Clip | None, name: str, generation: int) -> np.random.Generator:
    """The generator of one part of a line: by the clip, not by the system, the rate or the order of work."""
    text = f"{clip.id if clip else ''}\t{name}\t{generation}"
    return np.random.default_rng([seed, *hashlib.sha256(text.encode()).digest()])


def tandem(name: str, wav: Tensor, sample_rate: int) -> tuple[Tensor, int]:
    """Audio coded and decoded by another codec, such as `opus@12`."""
    kind, _, kbps = name.partition("@")
    try:
        system = TANDEM[kind]((float(kbps),))
    except (KeyError, ValueError) as error:
        raise EvalError(f"tandem={name} is no codec here; expected {' or '.join(TANDEM)} with @KBPS") from error
    (output,) = system.process(wav, sample_rate, system.points)
    return output.audio, output.sample_rate


def share_equal(first: Tensor | None, last: Tensor | None) -> float | None:
    """The share of equal codes `[N, K, F]`, over the frames that both have; None where there are none."""
    if first is None or last is None:
        return None
    frames = min(first.shape[-1], last.shape[-1])
    return float((first[..., :frames] == last[..., :frames]).double().mean())


def wrap(systems: Sequence[System], conditions: tuple[Condition, ...], seed: int) -> list[System]:
    """Each system under the conditions. Where packets are sent, Opus of libsndfile, which has files only, gives way to
    that of libopus, at variable and at hard constant rates."""
    for name in [name for condition in conditions for name in (*condition.before, *condition.after)]:
        if name.partition("@")[0] not in TANDEM:
            raise EvalError(f"tandem={name} is no codec here; expected {' or '.join(TANDEM)} with @KBPS")
    wrapped: list[Through] = []
    for system in systems:
        if not isinstance(system, Opus):
            wrapped.append(Through(system, conditions, seed))
            continue
        sent = tuple(condition for condition in conditions if condition.channels)
        plain = tuple(condition for condition in conditions if not condition.channels)
        wrapped += [Through(PacketOpus(system.kbps, vbr), sent, seed) for vbr in (True, False)]
        wrapped.append(Through(system, plain, seed))
    concealments = {condition.concealment for condition in conditions} - {None}
    known = {name for each in wrapped for name in getattr(each.system, "concealments", ())}
    if unknown := sorted(map(str, concealments - known)):
        raise EvalError(f"no system here has conceal={unknown[0]}; expected {', '.join(sorted(known)) or 'none'}")
    return cast(list[System], [each for each in wrapped if each.points])  # its packages are those of its system
