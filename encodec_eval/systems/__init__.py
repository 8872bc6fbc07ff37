"""The systems under test: every file of this folder names the ones that it offers in `SYSTEMS`.

Beside what `encodec_eval.types.System` asks for, such a class has
- `kind`: its name for `--systems`; one that ends in `:NAME` takes what the user writes for NAME, and an empty one is
  for a class that only its own options ask for;
- `add_options(parser)`: its own options of the command line;
- `build(name, options, clips)`: the systems that the user asks for by `name`.

What a user writes as `NAME?field=value&field=value` gets these values in the fields of its dataclass. Classes of others
need none of this: see `encodec_eval/plugins/README.md`.
"""

import argparse
import importlib
import pkgutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

from encodec_eval.plugins.outside import TIMEOUT_S, PluginSystem
from encodec_eval.plugins.spec import Spec, convert, installed
from encodec_eval.systems.anchors import Identity, Lowpass, lowpass
from encodec_eval.systems.classical import Mp3, Opus
from encodec_eval.systems.encodec import Encodec
from encodec_eval.systems.folder import DecodedFolder
from encodec_eval.systems.shared import check_device
from encodec_eval.systems.tokenizers import Tokenizer
from encodec_eval.types import Clip, EvalError, System

__all__ = [
    "KINDS",
    "DecodedFolder",
    "Encodec",
    "Identity",
    "Lowpass",
    "Mp3",
    "Opus",
    "Tokenizer",
    "add_options",
    "build",
    "lowpass",
]


class Kind(Protocol):
    """A class of systems, as the command line sees it."""

    @property
    def kind(self) -> str: ...

    def add_options(self, parser: argparse.ArgumentParser) -> None: ...

    def build(self, name: str, options: argparse.Namespace, clips: Sequence[Clip]) -> Sequence[System]: ...


def _collect() -> dict[str, Kind]:
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = [kind for name in modules for kind in getattr(importlib.import_module(f"{__name__}.{name}"), "SYSTEMS", ())]
    return {kind.kind: kind for kind in found}


KINDS: dict[str, Kind] = _collect()
ENTRY_POINTS = "encodec_eval.systems"


def add_options(parser: argparse.ArgumentParser, default: Sequence[str] = ("encodec",)) -> None:
    """Add `--systems` and the options of every system to a command."""
    named = ", ".join(filter(None, KINDS))
    parser.add_argument(
        "--systems",
        nargs="*",
        default=list(default),
        metavar="SYSTEM",
        help=f"of {named}, package.module:Class or path/to/file.py:Class; each may have ?option=value&option=value",
    )
    for kind in KINDS.values():
        kind.add_options(parser)
    parser.add_argument(
        "--device", default="cpu", help="for neural codecs: cpu or cuda, in one process (default: %(default)s)"
    )
    help = "seconds that a plug-in may take for a clip (default: %(default)g)"
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, metavar="SECONDS", help=help)


def build(options: argparse.Namespace, clips: Sequence[Clip]) -> list[System]:
    """The systems that parsed options of `add_options` name, to process `clips`.

    Raises `EvalError` for an unknown one, or if there is none.
    """
    if options.timeout <= 0:
        raise EvalError(f"--timeout takes seconds above 0, not {options.timeout:g}")
    built: list[System] = []
    for name in dict.fromkeys(options.systems):
        built += _named(name, options, clips)
    if "" in KINDS:
        built += KINDS[""].build("", options, clips)
    if not built:
        raise EvalError(f"no system was given; {_expected()}")
    counts = Counter(point.name for system in built for point in system.points)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise EvalError(f"several systems have the point {twice[0]}; give one a title, as in encodec?title=NAME")
    return built


def _named(text: str, options: argparse.Namespace, clips: Sequence[Clip]) -> list[System]:
    """The systems that one value of `--systems` names: ours, those of installed packages, and classes in files."""
    spec = Spec.parse(text)
    stem, colon, rest = spec.target.partition(":")
    kind = KINDS.get(spec.target) if text else None
    kind = kind or (KINDS.get(f"{stem}:NAME") if colon and rest else None)
    if kind is None:
        spec = Spec(installed(ENTRY_POINTS).get(spec.target, spec.target), spec.options)
        if not spec.is_plugin:
            raise EvalError(f"no system {text!r}; {_expected()}")
        return [PluginSystem.of(spec, options.device, options.timeout)]
    built = list(kind.build(spec.target, options, clips))
    if not spec.options:
        return built
    fields = convert(type(cast(Any, built[0])), spec)
    check_device(fields.get("device", "cpu"))
    return list(dict.fromkeys(replace(cast(Any, system), **fields) for system in built))


def _expected() -> str:
    names = [*filter(None, KINDS), *installed(ENTRY_POINTS)]
    return f"expected {', '.join(names)}, MODULE:CLASS, FILE.py:CLASS, or --system NAME=FOLDER"
