"""What the app offers and its limits, from constants and the environment."""

import math
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from encodec_eval.datasets import BUNDLED

TITLE = "EnCodec, heard and measured"
MAX_UPLOAD_MB = 64
VISITORS_AT_ONCE = 2
QUEUE_LENGTH = 40
KEEP_S = 7200  # of what visitors uploaded and what was made of it
CLEAN_EVERY_S = 600
VISITORS_REMEMBERED = 300  # whose state is kept, also after they left: about 70 kB each
OPUS_KBPS = (6, 12, 24)


@dataclass(frozen=True)
class Source:
    """Where a clip comes from: its file, what the page calls it, and the name that its files begin with."""

    path: Path
    title: str
    name: str
    about: str = ""


EXAMPLES = [
    Source(BUNDLED / path, title, name, about)
    for path, title, name, about in (
        (
            "librispeech-mini/test-other/1688/142285/1688-142285-0008.flac",
            "Speech, 16 kHz",
            "speech_16khz",
            "An audiobook, read by a man",
        ),
        ("clips-48k/p228_023.flac", "Speech, 48 kHz", "speech_48khz", "A sentence, read by a woman"),
        ("clips-48k/macleod_vibe_ace.flac", "Jazz", "jazz", "Vibraphone, bass and drums"),
        ("clips-48k/guit_em9.flac", "Guitar", "guitar", "One chord, plucked and fading"),
    )
]


def max_clip_s() -> float:
    """The length limit in `$ENCODEC_MAX_CLIP_S`; ends the program where that is none."""
    given = os.environ.get("ENCODEC_MAX_CLIP_S", "30")
    with suppress(ValueError):
        if 0 < float(given) < math.inf:
            return float(given)
    print(f"ENCODEC_MAX_CLIP_S: {given!r} is not a number of seconds above 0", file=sys.stderr)
    raise SystemExit(2)


MAX_CLIP_S = max_clip_s()
