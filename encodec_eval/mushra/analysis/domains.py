"""Ratings by what is heard in an item, as table 1 of the paper has them."""

import pandas as pd

from encodec_eval.mushra.analysis import paper, statistics
from encodec_eval.mushra.manifest import Manifest
from encodec_eval.types import CLEAN_SPEECH


def summarise(ratings: pd.DataFrame, manifest: Manifest | None) -> pd.DataFrame:
    """`statistics.summarise` by `domain condition`; empty unless the items are of several domains."""
    known = {item.id: item.domain or "unlabelled" for item in manifest.items} if manifest else {}
    if len(set(known.values())) < 2:
        return pd.DataFrame()
    return statistics.summarise(ratings.assign(domain=ratings["item"].map(known)), ("domain", "condition"))


def clean_speech(manifest: Manifest) -> bool:
    """Whether all items are clean speech: as they say, or in a test made before they did, by the name of the set."""
    known = {item.domain for item in manifest.items}
    if known != {""}:
        return known == {CLEAN_SPEECH}
    return str(manifest.settings.get("set")).startswith(paper.SPEECH_SETS)
