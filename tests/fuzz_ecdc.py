"""Coverage-guided fuzzing of everything that reads `.ecdc` bytes.

`python -m tests.fuzz_ecdc tests/corpus_ecdc -max_total_time=600`

Needs `pip install atheris`. Any exception other than `EcdcError`, a hang (-timeout) or large memory (-rss_limit_mb)
is a finding; libFuzzer leaves its input in the working folder. Inputs worth keeping go to `tests/corpus_ecdc`.
"""

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["codec"]):
    import codec.container  # noqa: F401 (instrumented before all that imports it)

from codec.errors import EcdcError
from tests.ecdc_corpus import PREFIX, read_entry


def run(data: bytes) -> None:
    """One input: `tests.ecdc_corpus` says what its bytes mean."""
    if len(data) >= PREFIX:
        with contextlib.suppress(EcdcError):
            read_entry(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()
