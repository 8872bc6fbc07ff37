"""One thread, medians in ms: `python -m tests.benchmarks.onnx_speed [MODEL]` times onnxruntime beside the model."""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable

import torch

from codec import load_model
from codec.onnx import OnnxCodec
from codec.onnx.export import export

SECONDS = 10
ROUNDS = 5


def main(name: str = "encodec_24khz_tiny") -> None:
    torch.set_num_threads(1)
    model = load_model(name)
    rate, bandwidth = model.config.sampling_rate, model.config.target_bandwidths[-1]
    wav = 0.1 * torch.randn(1, model.config.audio_channels, SECONDS * rate, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        export(model, folder)
        codec = OnnxCodec(folder)
        encoded, coded = model.encode(wav, bandwidth=bandwidth), codec.encode(wav[0].numpy(), bandwidth)
        tasks: dict[str, Callable[[], object]] = {
            "encode, torch": lambda: model.encode(wav, bandwidth=bandwidth),
            "encode, onnxruntime": lambda: codec.encode(wav[0].numpy(), bandwidth),
            "decode, torch": lambda: model.decode(encoded.audio_codes, encoded.audio_scales),
            "decode, onnxruntime": lambda: codec.decode(coded),
        }
        times: dict[str, list[float]] = {task: [] for task in tasks}
        for _ in range(ROUNDS):  # in turn, so that what else runs on the machine meets all alike
            for task, run in tasks.items():
                began = time.perf_counter()
                run()
                times[task].append(1000 * (time.perf_counter() - began))
    for task, found in times.items():
        print(f"{task:>20}  {statistics.median(found):8.0f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
