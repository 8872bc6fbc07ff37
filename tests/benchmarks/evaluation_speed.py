"""How long the harness takes against a plain loop over transformers, on the default architecture with random weights.

    python -m tests.benchmarks.evaluation_speed [--limit 6] [--model FOLDER]

Both score the same clips of the bundled set at all five bandwidths with PESQ, STOI and SI-SNR. The loop may use every
core that torch gives it; the harness runs with one worker and with two. Imports are over before any clock starts.
What random weights make of a clip is noise, over which PESQ takes three times as long as over speech: with them, both
sides score the clip with a tenth of that noise added, which also gives the two something to agree on.
"""

import argparse
import concurrent.futures
import json
import math
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pesq
import pystoi
import soundfile as sf
import torch
import torchaudio.functional
from torch import Tensor

import codec.audio
from encodec_eval.datasets import ClipSet, bundled_set, draw
from encodec_eval.metrics import METRICS, choose
from encodec_eval.run.journal import read
from encodec_eval.run.local import LocalEngine, one_thread
from encodec_eval.run.runner import Run, execute
from encodec_eval.run.worker import Plan, score
from encodec_eval.systems import Encodec
from encodec_eval.types import Clip, Output, Point

if TYPE_CHECKING:  # the workers import this file too, and need no transformers
    import transformers

Scores = dict[tuple[str, float, str], float]
NOISE = 0.1
BANDWIDTHS = (1.5, 3.0, 6.0, 12.0, 24.0)


@dataclass(frozen=True)
class NoisyEncodec(Encodec):
    """EnCodec whose output is added to the clip, at a tenth of the clip's level."""

    def process(self, wav: Tensor, sample_rate: int, points: Sequence[Point], clip: Clip | None = None) -> list[Output]:
        x = codec.audio.resample(wav, sample_rate, self.loaded.config.sampling_rate)
        return [replace(o, audio=add_noise(x, o.audio)) for o in super().process(wav, sample_rate, points, clip)]


def add_noise(x: Tensor, noise: Tensor) -> Tensor:
    return x + NOISE * x.std() / noise.std() * noise


def plain_loop(model: "transformers.EncodecModel", clips: Sequence[Clip], noisy: bool) -> Scores:
    """What one writes in ten minutes: every clip through every bandwidth, and every metric one after the other."""
    scores = {}
    with torch.inference_mode():
        for clip in clips:
            audio, rate = sf.read(clip.path, dtype="float32")
            x = torchaudio.functional.resample(torch.from_numpy(audio)[None, None], rate, model.config.sampling_rate)
            for bandwidth in BANDWIDTHS:
                encoded = model.encode(x, bandwidth=bandwidth)
                decoded = model.decode(encoded.audio_codes, encoded.audio_scales).audio_values[..., : x.shape[-1]]
                decoded = add_noise(x, decoded) if noisy else decoded
                estimate = torchaudio.functional.resample(decoded, model.config.sampling_rate, rate)[0, 0].numpy()
                reference, estimate = audio.astype(np.float64), estimate[: len(audio)].astype(np.float64)
                scores[clip.id, bandwidth, "pesq"] = pesq.pesq(rate, reference, estimate, "wb")
                scores[clip.id, bandwidth, "stoi"] = pystoi.stoi(reference, estimate, rate)
                centred, target = estimate - estimate.mean(), reference - reference.mean()
                target = target * (target @ centred) / (target @ target)
                error = centred - target
                scores[clip.id, bandwidth, "si_snr"] = 10 * np.log10((target @ target) / (error @ error))
    return scores


def harness(folder: Path, system: Encodec, clips: Sequence[Clip], jobs: int) -> Scores:
    """The same scores by `encodec_eval`; its workers load the model."""
    plan = Plan((system,), tuple(choose(None)))
    execute(Run(folder, ClipSet("benchmark", clips), plan, {}, []), lambda plan: LocalEngine(plan, jobs))
    found = read(folder / "scores.jsonl")
    return {
        (score.clip, float(score.point.rpartition("@")[2]), score.metric): score.value
        for score in found
        if score.metric in ("pesq", "stoi", "si_snr") and score.value is not None
    }


def stages(system: Encodec, clips: Sequence[Clip]) -> tuple[float, float]:
    """Seconds of the codec and seconds of the metrics over the clips, one after the other on one thread."""
    torch.set_num_threads(1)
    metrics = [METRICS[name] for name in choose(None)]
    points, codec_s, metrics_s = system.points, 0.0, 0.0
    for clip in clips:
        wav, rate = codec.audio.load(clip.path, clip.start, clip.frames)
        start = time.perf_counter()
        outputs = system.process(wav, rate, points, clip)
        coded = time.perf_counter()
        for output in outputs:
            list(score(clip, wav, rate, output, metrics))
        codec_s, metrics_s = codec_s + coded - start, metrics_s + time.perf_counter() - coded
    return codec_s, metrics_s


def stages_alone(system: Encodec, clips: Sequence[Clip]) -> tuple[float, float]:
    """`stages` in a process of its own, with nothing beside it."""
    context = multiprocessing.get_context("forkserver")
    with one_thread(), concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        return pool.submit(stages, system, clips).result()


def random_checkpoint(folder: Path) -> "transformers.EncodecModel":
    """EnCodec 24 kHz as published in shape, with random weights that keep the signal's level through the layers."""
    import transformers

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
    parser.add_argument("--limit", type=int, help="clips (default: all)")
    parser.add_argument("--model", type=Path, help="a checkpoint instead of random weights, scored as it is")
    arguments = parser.parse_args()
    clips = bundled_set("librispeech-mini").clips
    clips = draw(clips, arguments.limit or len(clips), seed=0)
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = arguments.model or folder / "model"
        model = load(path) if arguments.model else random_checkpoint(path)
        noisy = arguments.model is None
        system = (NoisyEncodec if noisy else Encodec)(str(path), BANDWIDTHS)
        shortest = min(clips, key=lambda clip: clip.frames)
        harness(folder / "start", system, [shortest], 1)  # the fork server imports torch
        start = time.perf_counter()
        expected = plain_loop(model, clips, noisy)
        seconds["plain loop"] = time.perf_counter() - start
        for jobs in (1, 2):
            start = time.perf_counter()
            found = harness(folder / f"jobs{jobs}", system, clips, jobs)
            seconds[f"harness, {jobs} worker{'s' * (jobs > 1)}"] = time.perf_counter() - start
        seconds["codec alone"], seconds["metrics alone"] = stages_alone(system, clips)
    report(clips, seconds, expected, found)


def load(path: Path) -> "transformers.EncodecModel":
    import transformers

    return transformers.EncodecModel.from_pretrained(path)


def report(clips: Sequence[Clip], seconds: dict[str, float], expected: Scores, found: Scores) -> None:
    audio_s = sum(clip.duration_s for clip in clips)
    print(json.dumps({"clips": len(clips), "audio_s": round(audio_s, 1), "threads": torch.get_num_threads()}))
    for what, taken in seconds.items():
        print(f"{what:20} {taken:7.1f} s")
    one, two = seconds["harness, 1 worker"], seconds["harness, 2 workers"]
    alone = seconds["codec alone"] + seconds["metrics alone"]
    print(f"two workers are {seconds['plain loop'] / two:.2f} x as fast as the plain loop (target 4)")
    print(f"two workers are {one / two:.2f} x as fast as one (target 1.8)")
    print(f"two workers take {two / (alone / 2):.2f} x half of codec and metrics alone (target 1.15)")
    for name in ("pesq", "stoi", "si_snr"):
        gaps = [abs(found[key] - expected[key]) for key in expected if key[2] == name]
        print(f"{name}: scores differ by {np.median(gaps):.2g} in the median, {max(gaps):.2g} at most")


if __name__ == "__main__":
    main()
