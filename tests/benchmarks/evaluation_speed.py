"""How long the harness takes against a plain loop over transformers, on the default architecture with random weights.

    python -m tests.benchmarks.evaluation_speed [--limit 10] [--model FOLDER]

Both score the same clips of the bundled set at all five bandwidths with PESQ, STOI and SI-SNR. The loop may use every
core that torch gives it; the harness runs with one worker and with two.
"""

import argparse
import json
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import pesq
import pystoi
import soundfile as sf
import torch
import torchaudio.functional
import transformers

from encodec_eval.datasets import bundled_set, draw
from encodec_eval.executors import LocalPool
from encodec_eval.journal import read
from encodec_eval.metrics import choose
from encodec_eval.runner import Run, execute
from encodec_eval.systems import Encodec
from encodec_eval.types import Clip
from encodec_eval.work import Plan

BANDWIDTHS = (1.5, 3.0, 6.0, 12.0, 24.0)


def plain_loop(model: transformers.EncodecModel, clips: list[Clip]) -> dict[tuple[str, float, str], float]:
    """What one writes in ten minutes: every clip through every bandwidth, and every metric one after the other."""
    scores = {}
    with torch.inference_mode():
        for clip in clips:
            audio, rate = sf.read(clip.path, dtype="float32")
            x = torchaudio.functional.resample(torch.from_numpy(audio)[None, None], rate, model.config.sampling_rate)
            for bandwidth in BANDWIDTHS:
                encoded = model.encode(x, bandwidth=bandwidth)
                decoded = model.decode(encoded.audio_codes, encoded.audio_scales).audio_values[..., : x.shape[-1]]
                estimate = torchaudio.functional.resample(decoded, model.config.sampling_rate, rate)[0, 0].numpy()
                reference, estimate = audio.astype(np.float64), estimate[: len(audio)].astype(np.float64)
                scores[clip.id, bandwidth, "pesq"] = pesq.pesq(rate, reference, estimate, "wb")
                scores[clip.id, bandwidth, "stoi"] = pystoi.stoi(reference, estimate, rate)
                centred, target = estimate - estimate.mean(), reference - reference.mean()
                target = target * (target @ centred) / (target @ target)
                error = centred - target
                scores[clip.id, bandwidth, "si_snr"] = 10 * np.log10((target @ target) / (error @ error))
    return scores


def harness(folder: Path, checkpoint: Path, clips: list[Clip], jobs: int) -> dict[tuple[str, float, str], float]:
    """The same scores by `encodec_eval`, its workers' start included."""
    clip_set = type(bundled_set("librispeech-mini"))("benchmark", clips)
    plan = Plan((Encodec(str(checkpoint), BANDWIDTHS),), tuple(choose(None)))
    execute(Run(folder, clip_set, plan, {}, []), lambda plan: LocalPool(plan, jobs))
    found = read(folder / "scores.jsonl")
    return {
        (score.clip, float(score.point.rpartition("@")[2]), score.metric): score.value
        for score in found
        if score.metric in ("pesq", "stoi", "si_snr")
    }


def random_checkpoint(folder: Path) -> transformers.EncodecModel:
    """EnCodec 24 kHz as published in shape, with random weights that keep the signal's level through the layers."""
    torch.manual_seed(0)
    model = transformers.EncodecModel(transformers.EncodecConfig()).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (torch.nn.Conv1d, torch.nn.ConvTranspose1d)):
                weight = module.parametrizations.weight.original1
                stride = module.stride[0] if isinstance(module, torch.nn.ConvTranspose1d) else 1
                fan_in = module.in_channels * module.kernel_size[0] / stride
                weight.normal_(0, 1 / math.sqrt(fan_in))
                module.parametrizations.weight.original0.copy_(weight.norm(dim=(1, 2), keepdim=True))
                module.bias.zero_()
        for layer in model.quantizer.layers:
            layer.codebook.embed.normal_(0, 0.3)
    model.save_pretrained(folder)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=10, help="clips")
    parser.add_argument("--model", type=Path, help="a checkpoint instead: what random weights give has no true scores")
    arguments = parser.parse_args()
    limit = arguments.limit
    clips = draw(bundled_set("librispeech-mini").clips, limit, seed=0)
    seconds = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = arguments.model or folder / "model"
        model = transformers.EncodecModel.from_pretrained(path) if arguments.model else random_checkpoint(path)
        start = time.perf_counter()
        expected = plain_loop(model, clips)
        seconds["plain loop"] = time.perf_counter() - start
        for jobs in (1, 2):
            start = time.perf_counter()
            found = harness(folder / f"jobs{jobs}", path, clips, jobs)
            seconds[f"harness, {jobs} worker{'s' * (jobs > 1)}"] = time.perf_counter() - start
    gaps = {
        m: float(np.median([abs(found[k] - expected[k]) for k in expected if k[2] == m]))
        for m in ("pesq", "stoi", "si_snr")
    }
    audio_s = sum(clip.duration_s for clip in clips)
    print(json.dumps({"clips": limit, "audio_s": round(audio_s, 1), "threads": torch.get_num_threads()}))
    for what, taken in seconds.items():
        print(f"{what:20} {taken:7.1f} s   {seconds['plain loop'] / taken:5.2f} x the plain loop")
    print(f"two workers against one: {seconds['harness, 1 worker'] / seconds['harness, 2 workers']:.2f} x")
    print("median difference of scores:", {name: f"{gap:.2g}" for name, gap in gaps.items()})


if __name__ == "__main__":
    main()
