"""Speed of `.ecdc` coding against `encodec`, one thread, 10 s at 6 kbps.

`OMP_NUM_THREADS=1 python -m tests.benchmarks.ecdc_speed`

Same codes and same language-model weights (random, of the released size); runs alternate, medians are reported. Writes
results/ecdc/speed.csv (every run) and speed.md (the table).
"""

import argparse
import io
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import encodec.binary
import encodec.model
import encodec.quantization.ac as reference
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from codec.ecdc import entropy
from codec.ecdc.bitpack import pack, unpack
from codec.lm.model import LanguageModel, LanguageModelConfig
from encodec_eval.run.provenance import session

CODEBOOKS, FRAME_RATE = 8, 75
Job = tuple[Callable[[], object], object]


def their_codes(lm: encodec.model.LMModel, codes: Tensor, data: bytes | None) -> bytes:
    """What `encodec.compress` does with the codes of a segment, or, with `data`, its inverse."""
    file = io.BytesIO(data or b"")
    coder = reference.ArithmeticCoder(file) if data is None else reference.ArithmeticDecoder(file)
    states, offset, previous = None, 0, torch.zeros(1, CODEBOOKS, 1, dtype=torch.long)
    for t in range(codes.shape[1]):
        with torch.no_grad():
            probabilities, states, offset = lm(previous, states, offset)
        previous = 1 + codes[None, :, t : t + 1]
        for k, value in enumerate(codes[:, t].tolist()):
            table = reference.build_stable_quantized_cdf(probabilities[0, :, k, 0], 24, check=False)
            if data is None:
                coder.push(value, table)
            else:
                assert coder.pull(table) == value
    if data is None:
        coder.flush()
    return file.getvalue()


def their_bits(codes: Tensor, data: bytes | None) -> bytes:
    file = io.BytesIO(data or b"")
    if data is None:
        packer = encodec.binary.BitPacker(10, file)
        for value in codes.t().flatten().tolist():
            packer.push(value)
        packer.flush()
    else:
        reader = encodec.binary.BitUnpacker(10, file)
        assert [reader.pull() for _ in range(codes.numel())] == codes.t().flatten().tolist()
    return file.getvalue()


def compatible_encode(lm: LanguageModel, codes: Tensor) -> bytes:
    file = io.BytesIO()
    coder = entropy.CompatibleEncoder(lm, CODEBOOKS, file)
    coder.push(codes)
    coder.finish()
    return file.getvalue()


def compatible_decode(lm: LanguageModel, data: bytes, frames: int) -> Tensor:
    return entropy.CompatibleDecoder(lm, CODEBOOKS, io.BytesIO(data)).pull(frames)


def jobs_of(theirs: encodec.model.LMModel, lm: LanguageModel, frames: int) -> dict[tuple[str, str], Job]:
    """What is timed, by operation and implementation, with the result it must have. Making those warms caches up."""
    codes = torch.randint(1024, (CODEBOOKS, frames), generator=torch.Generator().manual_seed(0))
    flat = codes.t().numpy()
    compatible, portable, packed = compatible_encode(lm, codes), entropy.encode(lm, codes), pack(flat, 10)
    compatible_decode(lm, compatible, frames)
    return {
        ("LM encode", "encodec"): (lambda: their_codes(theirs, codes, None), compatible),
        ("LM encode", "facebook's format"): (lambda: compatible_encode(lm, codes), compatible),
        ("LM encode", "portable"): (lambda: entropy.encode(lm, codes), portable),
        ("LM decode", "encodec"): (lambda: their_codes(theirs, codes, compatible), compatible),
        ("LM decode", "facebook's format"): (lambda: compatible_decode(lm, compatible, frames), codes),
        ("LM decode", "portable"): (lambda: entropy.decode(lm, [portable], CODEBOOKS, frames)[0], codes),
        ("pack", "encodec"): (lambda: their_bits(codes, None), packed),
        ("pack", "this project"): (lambda: pack(flat, 10), packed),
        ("unpack", "encodec"): (lambda: their_bits(codes, packed), packed),
        ("unpack", "this project"): (lambda: unpack(packed, codes.numel(), 10), flat.ravel()),
    }


def measure(jobs: dict[tuple[str, str], Job], repeats: int, frames: int) -> pd.DataFrame:
    """One row for each run: all jobs in turn, `repeats` times; what is quick, as often as fills a tenth of a second."""
    rows = []
    for run in range(repeats):
        for (operation, implementation), (job, expected) in jobs.items():
            start, calls, seconds = time.perf_counter(), 0, 0.0
            while seconds < 0.1:
                result, calls, seconds = job(), calls + 1, time.perf_counter() - start
            assert np.array_equal(result, expected), f"{operation}, {implementation}: wrong result"
            row = {"operation": operation, "implementation": implementation, "run": run, "calls": calls}
            rows.append({**row, "seconds": seconds / calls, "x_realtime": calls * frames / FRAME_RATE / seconds})
    return pd.DataFrame(rows)


def describe(runs: pd.DataFrame, record: dict[str, object], frames: int) -> str:
    """The table and what it was measured on, in Markdown."""
    machine = ", ".join(f"{name} {value}" for name, value in cast(dict[str, object], record["machine"]).items())
    grouped = runs.groupby(["operation", "implementation"], sort=False).x_realtime
    median, low, high = grouped.median(), grouped.min(), grouped.max()
    lines = [
        f"`{record['command']}`; {machine}; Python {platform.python_version()}, torch {torch.__version__}; commit "
        f"{record['commit']}, {record['started']}. {frames / FRAME_RATE:g} s of random codes at 6 kbps, one thread, "
        "language model of the released size with random weights, float32, the same for all. Seconds of audio for a "
        "second of work: median (lowest to highest) of runs taken in turn. `ratio`: of the median to `encodec`'s.",
        "",
        f"| operation | implementation | x_realtime, {runs.run.nunique()} runs | ratio |",
        "|---|---|---|---|",
    ]
    for key in median.index:
        ratio = median[key] / median[(key[0], "encodec")]
        speed = f"{median[key]:.4g} ({low[key]:.4g} to {high[key]:.4g})"
        lines.append(f"| {key[0]} | {key[1]} | {speed} | {'' if key[1] == 'encodec' else f'{ratio:.2f}'} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser("python -m tests.benchmarks.ecdc_speed", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of audio")
    parser.add_argument("--out", type=Path, default=Path("results/ecdc"))
    options = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        parser.error("set OMP_NUM_THREADS=1: NumPy's number of threads is fixed when it is loaded")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    theirs = encodec.model.LMModel(32, 1024, num_layers=5, dim=200, past_context=262).eval()
    lm = LanguageModel(LanguageModelConfig(), "random").eval().requires_grad_(False)
    lm.load_state_dict(theirs.state_dict())
    frames = round(options.seconds * FRAME_RATE)
    record = session([])
    command = ["python", "-m", "tests.benchmarks.ecdc_speed", *sys.argv[1:]]
    record["command"] = f"OMP_NUM_THREADS=1 {shlex.join(command)}"
    runs = measure(jobs_of(theirs, lm, frames), options.repeats, frames)
    options.out.mkdir(parents=True, exist_ok=True)
    runs.to_csv(options.out / "speed.csv", index=False, float_format="%.6g")
    text = describe(runs, record, frames)
    (options.out / "speed.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
