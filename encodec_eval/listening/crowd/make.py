"""A made test gets what a crowd needs: settings, balanced forms, the page in its languages."""

import json
from dataclasses import replace
from pathlib import Path

from encodec_eval.listening.crowd.forms import balanced_forms
from encodec_eval.listening.crowd.settings import FILE_NAME, Settings
from encodec_eval.listening.crowd.store import FILE_NAME as ANSWERS
from encodec_eval.listening.methods.base import is_control
from encodec_eval.mushra.manifest import Manifest, load_manifest
from encodec_eval.mushra.page import write_index
from encodec_eval.types import EvalError


def add_crowd(
    folder: Path, settings: Settings | None, per_listener: int | None = None, ratings: int | None = None
) -> Manifest:
    """Write settings and balanced forms into the test in `folder`, for every method. Stimuli stay as they are.

    With `per_listener` items for each listener, each item gets `ratings` listeners (10 if not given) or more.
    Raises `EvalError` for forms that cannot be, or if the test has answers, which other forms would make void.
    """
    manifest = load_manifest(folder)
    if (folder / ANSWERS).exists():
        raise EvalError(f"{folder} has answers already; expected a test that nobody has begun")
    if per_listener is None and ratings is not None:
        raise EvalError(
            f"--ratings is {ratings} without --per-listener; expected both: the items that each listener hears"
        )
    if per_listener is not None:
        manifest = replace(manifest, forms=forms_of(manifest, per_listener, 10 if ratings is None else ratings))
    if settings is not None:
        (folder / FILE_NAME).write_text(json.dumps(settings, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_index(manifest, folder)
    manifest.save(folder)
    return manifest


def forms_of(manifest: Manifest, per_listener: int, ratings: int) -> list[list[str]]:
    """Balanced forms of a test: the ids of the trials of `per_listener` recordings each.

    But for MUSHRA, where a trial is a recording, a form has all trials of its recordings, and every gold question and
    trap of the test. Raises `EvalError` for ABX, whose number of trials is fixed before, and for several forms already.
    """
    if manifest.method == "mushra":
        return balanced_forms([item.id for item in manifest.items], per_listener, ratings, manifest.seed)
    if manifest.method == "abx":
        raise EvalError("--per-listener would change the number of trials, which ABX fixes; expected --forms")
    if len(manifest.forms) > 1:
        raise EvalError(f"--per-listener makes forms itself; expected no --forms, not {len(manifest.forms)}")
    controls = [item.id for item in manifest.items if any(map(is_control, item.conditions))]
    of_clip: dict[str, list[str]] = {}
    for item in manifest.items:
        if item.id not in controls:
            of_clip.setdefault(item.clip, []).append(item.id)
    forms = balanced_forms(sorted(of_clip), per_listener, ratings, manifest.seed)
    return [sorted([name for clip in form for name in of_clip[clip]] + controls) for form in forms]
