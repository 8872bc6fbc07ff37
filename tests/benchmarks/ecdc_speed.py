"""Speed of `.ecdc` coding against `encodec`, one thread, 10 s at 6 kbps: `python -m tests.benchmarks.ecdc_speed`.

Same codes and same language-model weights (random, of the released size); runs alternate, medians are reported. Prints
a Markdown table and writes it to results/ecdc/speed.md.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import encodec.binary
import encodec.model
import encodec.quantization.ac as reference
import torch
from torch import Tensor

from codec import entropy
from codec.bitpack import pack, unpack
from codec.language_model import LanguageModel, LanguageModelConfig

FRAMES, CODEBOOKS = 750, 8


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("results/ecdc"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    theirs = encodec.model.LMModel(32, 1024, num_layers=5, dim=200, past_context=262).eval()
    lm = LanguageModel(LanguageModelConfig(), "random").eval().requires_grad_(False)
    lm.load_state_dict(theirs.state_dict())
    codes = torch.randint(1024, (CODEBOOKS, FRAMES))
    compatible, portable = compatible_encode(lm, codes), entropy.encode(lm, codes)
    packed = pack(codes.t().numpy(), 10)
    jobs: dict[str, Callable[[], object]] = {
        "LM encode, encodec": lambda: their_codes(theirs, codes, None),
        "LM encode, facebook's format": lambda: compatible_encode(lm, codes),
        "LM encode, portable": lambda: entropy.encode(lm, codes),
        "LM decode, encodec": lambda: their_codes(theirs, codes, compatible),
        "LM decode, facebook's format": lambda: entropy.CompatibleDecoder(lm, CODEBOOKS, io.BytesIO(compatible)).pull(
            FRAMES
        ),
        "LM decode, portable": lambda: entropy.decode(lm, [portable], CODEBOOKS, FRAMES),
        "pack, encodec": lambda: their_bits(codes, None),
        "pack, ours": lambda: pack(codes.t().numpy(), 10),
        "unpack, encodec": lambda: their_bits(codes, packed),
        "unpack, ours": lambda: unpack(packed, codes.numel(), 10),
    }
    assert their_codes(theirs, codes, None) == compatible
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(options.repeats):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            times[name].append(time.perf_counter() - start)
    lines = ["| 10 s of 6 kbps, one thread | seconds (median) | x_realtime | against encodec |", "|---|---|---|---|"]
    for name, values in times.items():
        median = statistics.median(values)
        base = statistics.median(times[name.split(",")[0] + ", encodec"])
        lines.append(f"| {name} | {median:.4g} | {10 / median:.3g} | {base / median:.3g} × |")
    text = "\n".join(lines) + "\n"
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "speed.md").write_text(f"`python -m tests.benchmarks.ecdc_speed`\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
