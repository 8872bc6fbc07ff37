"""The systems under test: every file of this folder names the ones that it offers in `SYSTEMS`.

Beside what `encodec_eval.types.System` asks for, such a class has
- `kind`: its name for `--systems`; one that ends in `:NAME` takes what the user writes for NAME, and an empty one is
  for a class that only its own options ask for;
- `add_options(parser)`: its own options of the command line;
- `build(name, options, clips)`: the systems that the user asks for by `name`.
"""

import argparse
import importlib
import pkgutil
from collections.abc import Sequence
from typing import Protocol

from encodec_eval.systems.anchors import Identity, Lowpass, lowpass
from encodec_eval.systems.classical import Mp3, Opus
from encodec_eval.systems.encodec import Encodec
from encodec_eval.systems.folder import DecodedFolder
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


def add_options(parser: argparse.ArgumentParser, default: Sequence[str] = ("encodec",)) -> None:
    """Add `--systems` and the options of every system to a command."""
    named = ", ".join(filter(None, KINDS))
    parser.add_argument("--systems", nargs="*", default=list(default), metavar="SYSTEM", help=f"of {named}")
    for kind in KINDS.values():
        kind.add_options(parser)
    parser.add_argument("--device", default="cpu", help="for neural codecs: cpu or cuda (default: %(default)s)")


def build(options: argparse.Namespace, clips: Sequence[Clip]) -> list[System]:
    """The systems that parsed options of `add_options` name, to process `clips`.

    Raises `EvalError` for an unknown one, or if there is none.
    """
    built: list[System] = []
    for name in dict.fromkeys(options.systems):
        kind = KINDS.get(name) if name else None
        stem, colon, rest = name.partition(":")
        kind = kind or (KINDS.get(f"{stem}:NAME") if colon and rest else None)
        if kind is None:
            raise EvalError(f"no system {name!r}; expected {', '.join(filter(None, KINDS))}, or --system NAME=FOLDER")
        built += kind.build(name, options, clips)
    if "" in KINDS:
        built += KINDS[""].build("", options, clips)
    if not built:
        raise EvalError(f"no system was given; expected {', '.join(filter(None, KINDS))}, or --system NAME=FOLDER")
    return built
