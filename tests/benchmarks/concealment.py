"""What each concealment costs for a lost frame, and after how many frames the decoder is itself again.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.concealment --out results/reference/line

Speech of the bundled set at 6 kbps; medians over places and clips. Recovery is to within -60 and -100 dB of full scale,
and to the bit.
"""

import argparse
import time
from pathlib import Path
from statistics import median

import pandas as pd
import torch

import codec
from codec.audio import load, resample
from codec.concealment import ConcealingDecoderStream, Concealment, MostProbable, Repeat, TowardsZero, recovery
from encodec_eval.datasets import bundled_set
from encodec_eval.report.tables import markdown
from encodec_eval.run.provenance import commit, machine

MODEL = "encodec_24khz_tiny"
LOST = (1, 3, 9)
TOLERANCES = {"-60 dB": 1e-3, "-100 dB": 1e-5, "to the bit": 0.0}
START, FRAMES = 100, 220


def cost_ms(model: codec.EncodecModel, codes: torch.Tensor, concealment: Concealment, lost: int = 9) -> float:
    """Milliseconds for a lost frame, decoding included."""
    stream = ConcealingDecoderStream(model, concealment)
    stream.push(codes)
    state, times = stream.state, []
    for _ in range(5):
        again = ConcealingDecoderStream(model, concealment, state)
        start = time.perf_counter()
        again.lose(lost)
        times.append((time.perf_counter() - start) / lost)
    return 1000 * median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = codec.load_model(MODEL).eval()
    lm = codec.language_model_for(MODEL)
    clips = []
    for clip in bundled_set("librispeech-mini").clips[::8]:
        wav, rate = load(clip.path)
        with torch.inference_mode():
            codes = model.encode(resample(wav, rate, 24000)[None], bandwidth=6.0).audio_codes[0, :, :, :]
        clips.append(codes)
    rows = []
    methods = {"repeat": Repeat(), "zero": TowardsZero(), "lm": MostProbable(lm)}
    for name, method in methods.items():
        row: dict[str, str] = {"concealment": name}
        row["ms a lost frame"] = f"{median(cost_ms(model, codes[..., :300], method) for codes in clips):.1f}"
        for lost in LOST:
            found = [
                [recovery(model, codes[..., :FRAMES], START, lost, method, tolerance) for codes in clips]
                for tolerance in TOLERANCES.values()
            ]
            text = [f"{median(frames):g}" if None not in (frames := each) else "-" for each in found]  # type: ignore[type-var]
            row[f"{lost} lost"] = " / ".join(text)
        rows.append(row)
    table = markdown(pd.DataFrame(rows))
    about = machine()
    text = (
        f"# Concealment of lost frames, {MODEL} at 6 kbps\n\n"
        f"{len(clips)} clips, one thread. The last columns: frames of 13.3 ms after which the audio is that of a "
        f"decoder that lost nothing, to within {', '.join(list(TOLERANCES)[:-1])} of full scale, and to the bit.\n\n"
        f"{table}\n"
        f"Commit `{commit()}`, {about['processor']} ({about['cores']} cores).\n"
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "concealment.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
