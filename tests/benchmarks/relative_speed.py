"""How many times as fast as the released size models are: `python -m tests.benchmarks.relative_speed MODEL...`.

CPU seconds of one thread for 10 s at 6 kbps, in turn with a model of the released size with random weights: medians of
`ROUNDS`, after two rounds of warming up.
"""

import argparse
import time
from statistics import median

import torch

import codec
from codec.weights import FACEBOOK_CONFIGS

ROUNDS, SECONDS, KBPS = 10, 10, 6.0


def cpu_seconds(model: codec.EncodecModel, wav: torch.Tensor) -> tuple[float, float]:
    """Of encoding and of decoding."""
    start = time.process_time()
    encoded = model.encode(wav, bandwidth=KBPS)
    between = time.process_time()
    model.decode(encoded.audio_codes, encoded.audio_scales)
    return between - start, time.process_time() - between


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    torch.set_num_threads(1)
    for name in parser.parse_args().models:
        model = codec.load_model(name)
        config = model.config
        released = codec.EncodecModel(FACEBOOK_CONFIGS[f"facebook/encodec_{config.sampling_rate // 1000}khz"]).eval()
        wav = torch.randn(1, config.audio_channels, SECONDS * config.sampling_rate) / 10
        rounds = [(cpu_seconds(released, wav), cpu_seconds(model, wav)) for _ in range(ROUNDS + 2)][2:]
        encode, decode = (median(r[0][k] for r in rounds) / median(r[1][k] for r in rounds) for k in (0, 1))
        print(f"{name}: encodes {encode:.1f} and decodes {decode:.1f} times as fast as the released size")


if __name__ == "__main__":
    main()
