"""Coverage-guided fuzzing of everything that reads `.ecdc` bytes.

`python -m tests.codec.ecdc.fuzz tests/codec/ecdc/seeds -max_total_time=600`

Needs `pip install atheris`. Any exception other than `EcdcError`, a hang (-timeout) or large memory (-rss_limit_mb)
is a finding; libFuzzer leaves its input in the working folder. Inputs worth keeping go to `tests/codec/ecdc/seeds`.
"""

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["codec"]):
    import codec.ecdc.container  # noqa: F401 (instrumented before all that imports it)

from codec.errors import EcdcError
from tests.codec.ecdc.corpus import PREFIX, read_entry


def run(data: bytes) -> None:
    """One input: `tests.codec.ecdc.corpus` says what its bytes mean."""
    if len(data) >= PREFIX:
        with contextlib.suppress(EcdcError):
            read_entry(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()
