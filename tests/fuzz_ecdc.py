"""Coverage-guided fuzzing of everything that reads `.ecdc` bytes.

`python -m tests.fuzz_ecdc tests/corpus_ecdc -max_total_time=600`

Needs `pip install atheris`. Any exception other than `EcdcError`, a hang (-timeout) or large memory (-rss_limit_mb)
is a finding; libFuzzer leaves its input in the working folder. Inputs worth keeping go to `tests/corpus_ecdc`.
"""

import io
import sys

import atheris

with atheris.instrument_imports(include=["codec"]):
    from codec import container

from codec.errors import EcdcError
from tests.ecdc_corpus import CONFIGS, LM, PREFIX


def run(data: bytes) -> None:
    """The first byte chooses a model; the rest is the file."""
    if len(data) < PREFIX:
        return
    config = CONFIGS[data[0] % len(CONFIGS)]
    file = io.BytesIO(data[PREFIX:])
    try:
        header = container.read_header(file)
        lm = LM if header.lm else None
        pieces = list(container.read(file, header, config, lm, skip_damaged=bool(data[0] & 128)))
    except EcdcError:
        return
    frames = sum(container.piece_frames(config, header.audio_length))
    decoded = [piece.codes for piece in pieces if piece.codes is not None]
    assert all(int(codes.min()) >= 0 and int(codes.max()) < config.codebook_size for codes in decoded)
    if len(decoded) == len(pieces):
        assert sum(codes.shape[1] for codes in decoded) == frames


if __name__ == "__main__":
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()
