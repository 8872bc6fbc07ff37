"""MUSHRA scores that the EnCodec paper prints (arXiv 2210.13438, table 1): quoted, from other listeners and items."""

SOURCE = "Défossez et al., arXiv 2210.13438, table 1, clean speech, 24 kHz, streamable"

# (series, kbps) -> mean and half 95 % interval
CLEAN_SPEECH: dict[tuple[str, float | None], tuple[float, float]] = {
    ("reference", None): (95.5, 1.6),
    ("opus", 6): (30.1, 2.8),
    ("opus", 12): (76.5, 2.3),
    ("encodec_24khz", 1.5): (49.2, 2.4),
    ("encodec_24khz", 3): (67.0, 1.5),
    ("encodec_24khz", 6): (83.1, 2.7),
    ("encodec_24khz", 12): (90.6, 2.6),
}


SPEECH_SETS = ("librispeech", "vctk", "ljspeech")


def quoted(condition: str) -> tuple[float, float] | None:
    """The paper's score of a condition such as `opus@12`; a reduced EnCodec model stands beside the full one's."""
    series, _, rate = condition.partition("@")
    series = "encodec_24khz" if "encodec_24khz" in series else series
    try:
        return CLEAN_SPEECH.get((series, float(rate) if rate else None))
    except ValueError:
        return None
