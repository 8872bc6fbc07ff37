"""What a user asks for with `--set`: one set or several, noisy or not, as one list of clips with their domains."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from encodec_eval.datasets import ClipSet, default_data_root, draw, load_set
from encodec_eval.noisy import BUNDLED_NOISE, SNRS_DB, Noise, make_noisy
from encodec_eval.types import Clip, EvalError

NOISY = "+noisy"
POOL = 8  # rows of a streamed set that are fetched for each clip that is drawn


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add `--set`, where sets lie, and the options of noisy speech to a command."""
    parser.add_argument(
        "--set",
        nargs="+",
        default=["librispeech"],
        metavar="SET",
        help=f"set[:subset], hf:NAME:SPLIT, folder, audio file, .csv or .tar; SET{NOISY} makes its speech noisy",
    )
    parser.add_argument("--data-root", type=Path, help="folder that holds corpora, downloads and noisy clips")
    parser.add_argument("--no-download", action="store_true", help="never download a corpus")
    parser.add_argument("--noise", type=Path, default=BUNDLED_NOISE, help=f"noise file or folder for SET{NOISY}")
    parser.add_argument(
        "--snr",
        nargs="+",
        type=float,
        default=list(SNRS_DB),
        metavar="DB",
        help="of noisy speech (default: %(default)s)",
    )
    parser.set_defaults(clean_reference=False)


def select(
    options: argparse.Namespace, limit: int | None = None, strict: bool = False, max_seconds: float | None = None
) -> ClipSet:
    """The clips that the options ask for, of each set `limit` and at most `max_seconds`.

    Of several sets, ids begin with the set's name. Raises `EvalError` as `load_set` and `make_noisy` do.
    """
    if options.clean_reference and not _noisy(options):
        raise EvalError(f"--clean-reference is for sets that are made noisy, such as {options.set[0]}{NOISY}")
    return join([_one(spec, options, limit, strict, max_seconds) for spec in dict.fromkeys(options.set)])


def choices(options: argparse.Namespace) -> dict[str, object]:
    """What the options decide beside the clips, for the record of the run."""
    if not _noisy(options):
        return {}
    return {"noise": _noise(options).describe(), "clean_reference": options.clean_reference}


def join(sets: Sequence[ClipSet]) -> ClipSet:
    """Several sets as one. Raises `EvalError` if two are named alike."""
    if len(sets) == 1:
        return sets[0]
    names = [each.name for each in sets]
    if len(set(names)) < len(names):
        raise EvalError(f"two sets have the same name: {', '.join(names)}")
    clips: list[Clip] = [replace(clip, id=f"{each.name}/{clip.id}") for each in sets for clip in each.clips]
    skipped = [replace(one, file=f"{each.name}/{one.file}") for each in sets for one in each.skipped]
    licence, note = ("; ".join(dict.fromkeys(filter(None, texts))) for texts in zip(*map(_texts, sets), strict=True))
    return ClipSet(", ".join(names), clips, licence, note, skipped)


def _texts(clip_set: ClipSet) -> tuple[str, str]:
    return clip_set.licence, clip_set.note


def _one(spec: str, options: argparse.Namespace, limit: int | None, strict: bool, max_seconds: float | None) -> ClipSet:
    rows = None if limit is None else POOL * limit
    found = load_set(spec.removesuffix(NOISY), options.data_root, not options.no_download, strict, rows)
    if limit is not None or max_seconds is not None:
        found = replace(found, clips=draw(found.clips, limit, options.seed, max_seconds))
    if not spec.endswith(NOISY):
        return found
    folder = (options.data_root or default_data_root()) / "noisy"
    clips = make_noisy(found.clips, _noise(options), folder, options.clean_reference)
    return replace(found, name=found.name + NOISY, clips=clips)


def _noisy(options: argparse.Namespace) -> bool:
    return any(spec.endswith(NOISY) for spec in options.set)


def _noise(options: argparse.Namespace) -> Noise:
    return Noise(options.noise, tuple(options.snr), options.seed)
