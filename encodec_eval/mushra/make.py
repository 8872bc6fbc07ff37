"""A complete listening test in one folder: manifest, stimuli, and the page that listeners get."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torchaudio
from tqdm import tqdm

from encodec_eval.datasets import ClipSet
from encodec_eval.files import safe_name
from encodec_eval.loudness import RATE
from encodec_eval.mushra import levels, stimuli
from encodec_eval.mushra.manifest import FILE_NAME, MID_ANCHOR, REFERENCE, Item, Manifest
from encodec_eval.mushra.page import write_page
from encodec_eval.types import EvalError, System

logger = logging.getLogger(__name__)

MAX_SIGNALS, MAX_DURATION_S, MIN_ITEMS = 12, 12.0, 5  # ITU-R BS.1534-3


@dataclass(frozen=True)
class Design:
    """What a test is made of. `items` and `duration_s` replace the preset's; `force` allows what BS.1534-3 forbids."""

    clip_set: ClipSet
    systems: Sequence[System]
    preset: str = "bs1534"
    items: int | None = None
    duration_s: float | None = None
    forms: int = 1
    seed: int = 0
    title: str | None = None
    force: bool = False


def make_test(design: Design, folder: Path) -> Manifest:
    """Render a whole test into `folder`. The manifest is written last: a folder without one is not a test.

    Raises `EvalError` for what the standard forbids, a folder that holds a test already, or audio that cannot be used.
    """
    preset = stimuli.PRESETS[design.preset]
    items, duration_s = design.items or preset.items, design.duration_s or preset.duration_s
    points = [point.name for system in design.systems for point in system.points]
    conditions = [REFERENCE, *preset.anchors, *points]
    check(conditions, items, duration_s, len(points), design.force)
    if (folder / FILE_NAME).exists():
        raise EvalError(f"{folder} holds a test already; choose another folder")
    spans = stimuli.spans_by_domain(design.clip_set.clips, items, duration_s, design.seed)
    if max(span.clip.sample_rate for span in spans) <= 16000 and MID_ANCHOR in conditions:
        logger.warning("%s ends at 8 kHz: its 7 kHz anchor is close to the reference", design.clip_set.name)
    rendered = stimuli.render(spans, design.systems, preset.anchors, design.seed, folder / "stimuli")
    made = list(tqdm(rendered, total=len(spans), unit="item"))
    manifest = Manifest(
        test_id=f"{safe_name(design.clip_set.name)}-{design.preset}-{fingerprint(made)}",
        title=design.title or f"MUSHRA, {design.clip_set.name}",
        preset=design.preset,
        seed=design.seed,
        conditions=conditions,
        items=made,
        forms=stimuli.deal(made, design.forms),
        settings=settings(design, duration_s),
    )
    write_page(manifest, folder)
    manifest.save(folder)
    return manifest


def fingerprint(items: Sequence[Item]) -> str:
    """Tells tests apart by what is heard in them."""
    ids = "".join(stimulus.id for item in items for stimulus in item.stimuli)
    return hashlib.sha256(ids.encode()).hexdigest()[:8]


def check(conditions: Sequence[str], items: int, duration_s: float, systems: int, force: bool) -> None:
    """Refuse what ITU-R BS.1534-3 forbids, unless forced; say what it advises against."""
    check_any(conditions, items, duration_s, systems)
    problems = []
    if len(conditions) > MAX_SIGNALS:
        problems.append(f"{len(conditions)} signals in a trial, more than {MAX_SIGNALS}")
    if duration_s > MAX_DURATION_S:
        problems.append(f"items of {duration_s:g} s, longer than {MAX_DURATION_S:g} s")
    if problems and not force:
        raise EvalError(f"ITU-R BS.1534-3 does not allow {' and '.join(problems)}; --force does")
    advised = max(MIN_ITEMS, -(-3 * systems // 2))
    if items < advised:
        logger.warning("%d items for %d systems are few: BS.1534-3 advises %d", items, systems, advised)


def check_any(conditions: Sequence[str], items: int, duration_s: float, systems: int) -> None:
    """Refuse what no listening test can be made of."""
    if not systems:
        raise EvalError("no system to listen to was given")
    twice = {name for name in conditions if conditions.count(name) > 1}
    if twice:
        raise EvalError(f"two systems are named {', '.join(sorted(twice))}")
    if items < 1 or not 1 <= duration_s <= 60:
        raise EvalError(f"{items} items of {duration_s:g} s; expected 1 item or more, of 1 to 60 s")


def settings(design: Design, duration_s: float) -> dict[str, object]:
    """How the test was made, for the manifest."""
    return {
        "set": design.clip_set.name,
        "set_note": design.clip_set.note,
        "set_licence": design.clip_set.licence,
        "set_sha256": design.clip_set.file_list_sha256,
        "systems": [system.describe() for system in design.systems],
        "duration_s": duration_s,
        "context_s": stimuli.CONTEXT_S,
        "edge_fade_s": levels.FADE_S,
        "loudness_lufs": levels.TARGET_LUFS,
        "sample_rate": RATE,
        "forced": design.force,
        "torch": torch.__version__,
        "torchaudio": torchaudio.__version__,
    }
