"""Methods of listening, one file each; `METHODS` has them by name. A new one is a file with a class, and its board."""

from collections.abc import Mapping

from encodec_eval.listening.methods.ab import Ab
from encodec_eval.listening.methods.abx import Abx
from encodec_eval.listening.methods.acr import Acr
from encodec_eval.listening.methods.base import Method
from encodec_eval.listening.methods.bs1116 import Bs1116
from encodec_eval.listening.methods.ccr import Ccr
from encodec_eval.listening.methods.dcr import Dcr
from encodec_eval.listening.methods.mushra import Mushra
from encodec_eval.mushra.analysis.ratings import PAGE_COLUMNS, PLAYS
from encodec_eval.mushra.manifest import Manifest

METHODS: dict[str, Method] = {each.name: each for each in (Acr(), Dcr(), Ccr(), Ab(), Abx(), Bs1116(), Mushra())}


def check_answer(manifest: Manifest, item_id: str, scores: Mapping[str, object]) -> None:
    """Raise `ValueError` with the reason unless `scores` is a whole and valid answer to a trial of the test."""
    trial = next((item for item in manifest.items if item.id == item_id), None)
    if trial is None:
        raise ValueError("wrong item")
    METHODS[manifest.method].check(trial, scores)


def columns(manifest: Manifest) -> list[str]:
    """The columns of a test's CSV: webMUSHRA's with those of our page; how often was played too, but for MUSHRA."""
    return PAGE_COLUMNS if manifest.method == "mushra" else [*PAGE_COLUMNS, PLAYS]
