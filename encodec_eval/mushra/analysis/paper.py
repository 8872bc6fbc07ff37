"""MUSHRA scores that the EnCodec paper prints (arXiv 2210.13438, table 1): quoted, from other listeners and items."""

from encodec_eval.report.literature import MUSHRA

SOURCE = "Défossez et al., arXiv 2210.13438, table 1, clean speech, 24 kHz, streamable"

_SERIES = {"Reference": "reference", "Opus": "opus", "EnCodec": "encodec_24khz"}
SPEECH_SETS = ("librispeech", "vctk", "ljspeech")


def quoted(condition: str) -> tuple[float, float] | None:
    """The paper's score of a condition such as `opus@12`; a reduced EnCodec model stands beside the full one's."""
    series, _, rate = condition.partition("@")
    series = "encodec_24khz" if "encodec_24khz" in series else series
    for row in MUSHRA:
        if _SERIES.get(row.system) == series and rate == ("" if row.kbps is None else f"{row.kbps:g}"):
            return row.clean_speech
    return None
