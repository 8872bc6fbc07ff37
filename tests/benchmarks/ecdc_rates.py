"""Bitrates of `.ecdc` files on the bundled recordings, at every bandwidth: `python -m tests.benchmarks.ecdc_rates`.

Writes results/ecdc/rates.csv and rates.md. Rates are those of all clips together: bits / seconds.
"""

import argparse
import io
from pathlib import Path

import pandas as pd
import torch

import codec
from codec import ecdc
from codec.ecdc import read_header

RECORDINGS = Path("encodec_eval/data/librispeech-mini")


def row(
    model: codec.EncodecModel, lm: codec.LanguageModel, clips: list[torch.Tensor], bandwidth: float
) -> dict[str, float]:
    """Bytes of all clips in each form, as kbps."""
    seconds = sum(clip.shape[-1] for clip in clips) / model.config.sampling_rate
    codes = plain = entropy_coded = portable = 0
    for clip in clips:
        data, coded = codec.compress(model, clip, bandwidth), codec.compress(model, clip, bandwidth, lm)
        plain += len(data)
        codes += len(data) - len(read_header(io.BytesIO(data)).to_bytes())
        portable += len(coded)
        entropy_coded += sum(size for size, _ in read_header(io.BytesIO(coded)).entries)
    kbps = [8 * size / 1000 / seconds for size in (codes, plain, entropy_coded, portable)]
    return dict(zip(("payload", "file", "LM payload", "LM file"), kbps, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="encodec_24khz_tiny")
    parser.add_argument("--out", type=Path, default=Path("results/ecdc"))
    options = parser.parse_args()
    model = codec.load_model(options.model)
    lm = codec.language_model_for(model.name)
    clips = []
    for path in sorted(RECORDINGS.rglob("*.flac")):
        wav, rate = codec.audio.load(path)
        clips.append(codec.audio.resample(wav, rate, model.config.sampling_rate))
    rows = []
    for bandwidth in model.config.target_bandwidths:
        rates = row(model, lm, clips, bandwidth)
        rows.append(
            {"nominal": bandwidth, **rates, "saving of payload, %": 100 * (1 - rates["LM payload"] / rates["payload"])}
        )
        print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    options.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(options.out / "rates.csv", index=False, float_format="%.4f")
    seconds = sum(clip.shape[-1] for clip in clips) / model.config.sampling_rate
    text = "| " + " | ".join(f"{name} kbps" if "%" not in name else name for name in table.columns) + " |\n"
    text += "|---" * len(table.columns) + "|\n"
    text += "".join("| " + " | ".join(f"{value:.2f}" for value in values) + " |\n" for values in table.to_numpy())
    about = f"{len(clips)} recordings of {RECORDINGS.name}, {seconds:.0f} s; model {ecdc.short_name(model)} "
    about += f"{model.checkpoint_sha256[:8]}; language model {lm.name} {lm.sha256[:8]}; "
    about += "`python -m tests.benchmarks.ecdc_rates`\n\n"
    (options.out / "rates.md").write_text(about + text, encoding="utf-8")


if __name__ == "__main__":
    main()
