"""The text of `--through`: `loss=0,0.05:burst=2`, `ber=1e-4`, `loss=0.05+ber=1e-4`, `generations=1,5+tandem=opus@12`.

A chain of parts joined by `+`; a part is `NAME=VALUE` and its options after colons; several values, with commas,
stand for as many conditions, one for each combination.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from encodec_eval.channels.line import BitErrors, Channel, Jitter, Loss, Trace
from encodec_eval.types import EvalError

PACKET_MS = 40.0  # 3 frames of EnCodec at 24 kHz, and a frame of Opus
HELP = (
    "loss=SHARE[:burst=PACKETS], ber=RATE, jitter=MS[:buffer=MS], trace=FILE, generations=N, "
    "tandem=opus@KBPS[:before], transcode=KBPS; separate values by commas, join channels by +, and add :conceal=NAME "
    "or :packet=MS to any"
)
CHANNELS: dict[str, tuple[Callable[..., Channel], str]] = {  # and the name of its own option
    "loss": (Loss, "burst"),
    "ber": (BitErrors, ""),
    "jitter": (Jitter, "buffer"),
    "trace": (Trace, ""),
}
NAMES = (*CHANNELS, "generations", "tandem", "transcode")


@dataclass(frozen=True)
class Condition:
    """One way for coded audio to be handled. `axis` and `x` are what it varies with, `rest` its text without that."""

    text: str
    channels: tuple[Channel, ...] = ()
    generations: int = 1
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    transcode: float | None = None
    packet_ms: float = PACKET_MS
    concealment: str | None = None
    axis: str = ""
    x: float | None = None
    rest: str = ""


def parse(texts: Sequence[str]) -> tuple[Condition, ...]:
    """The conditions that the arguments of `--through` stand for. Raises `EvalError` for what is none."""
    return tuple(dict.fromkeys(condition for text in texts for condition in chain(text)))


def chain(text: str) -> list[Condition]:
    """The conditions of one argument."""
    fields = [pair for number, part in enumerate(text.split("+")) for pair in pairs(part, number)]
    return [condition(text, dict(combination)) for combination in product(*fields)]


def pairs(part: str, number: int) -> list[list[tuple[tuple[int, str], str]]]:
    """`NAME=VALUE,VALUE:OPTION=VALUE` as lists of `((number, name), value)`, one list a name."""
    found = []
    for position, item in enumerate(part.split(":")):
        name, equals, values = item.partition("=")
        if set(name.split(",")) <= {"before", "after"} and not equals:
            name, values = "side", name
        if not values or (position == 0) != (name in NAMES):
            raise EvalError(f"--through {part!r}: {item!r} is not known; expected {HELP}")
        found.append([((number, name), value) for value in values.split(",")])
    return found


def condition(text: str, chosen: dict[tuple[int, str], str]) -> Condition:
    """The condition of one combination of values."""
    parts: dict[int, dict[str, str]] = {}
    for (number, name), value in chosen.items():
        parts.setdefault(number, {})[name] = value
    made: dict[str, object] = {}
    channels: list[Channel] = []
    for options in parts.values():
        name, value = next(iter(options.items()))
        known = {name, "conceal", "packet"}
        if name in CHANNELS:
            channel, option = CHANNELS[name]
            known |= {option}
            channels.append(build(channel, value, options.get(option), text))
        elif name == "generations":
            made["generations"] = positive(value, text, whole=True)
        elif name == "transcode":
            made["transcode"] = positive(value, text)
        else:
            known |= {"side"}
            if (side := options.get("side", "after")) not in ("before", "after"):
                raise EvalError(f"--through {text!r}: side={side}; expected before or after")
            made[side] = (value,)
        if "packet" in options:
            made["packet_ms"] = positive(options["packet"], text)
        made["concealment"] = options.get("conceal", made.get("concealment"))
        if unknown := options.keys() - known:
            raise EvalError(f"--through {text!r}: {name} has no option {min(unknown)!r}; expected {HELP}")
    axis, x = next(iter(parts[0].items()))
    named = "+".join(":".join(f"{name}={value}" for name, value in options.items()) for options in parts.values())
    rest = named.removeprefix(f"{axis}={x}").strip(":+")
    value_of_x = None if axis in ("tandem", "trace") else float(x)
    return Condition(named, tuple(channels), axis=axis, x=value_of_x, rest=rest, **made)  # type: ignore[arg-type]


def build(channel: Callable[..., Channel], value: str, option: str | None, text: str) -> Channel:
    if channel is Trace:
        return Trace(value)
    try:
        return channel(float(value), *([float(option)] if option is not None else []))
    except EvalError:
        raise
    except ValueError as error:
        raise EvalError(f"--through {text!r}: expected numbers ({error})") from error


def positive(value: str, text: str, whole: bool = False) -> float:
    """A number above zero."""
    try:
        number = int(value) if whole else float(value)
    except ValueError:
        number = 0
    if not 0 < number < float("inf"):
        raise EvalError(f"--through {text!r}: {value!r} is no {'whole ' * whole}number above 0")
    return number
