"""What each metric costs: `python -m tests.benchmarks.metric_time [METRIC ...]`, one thread, in the order of cost.

`first_s` is a metric's first call, on half a second of speech, in which its model is loaded. `a_second_s` is the median
of three clips, each with what the bundled model makes of it at 6 kbps, by the clip's seconds. Resampling, which metrics
share, is done before. Metrics of one model, such as DNSMOS's four, share its call in a run; each has all of it here.
Metrics of codes, lag or bytes cost nothing and are left out.
"""

import contextlib
import statistics
import sys
import time

import pandas as pd
import torch

import codec
from encodec_eval.datasets import load_set, middle
from encodec_eval.metrics import METRICS, unavailable
from encodec_eval.run.pairing import Pair, measure
from encodec_eval.run.worker import told
from encodec_eval.types import Clip, Metric, UndefinedError

ROUNDS = 3


def coded_pair(clip: Clip) -> Pair:
    wav, rate = codec.audio.load(clip.path, clip.start, clip.frames)
    model = codec.load_model("encodec_24khz_tiny")
    with torch.inference_mode():
        coded = model(codec.audio.resample(wav, rate, model.config.sampling_rate)[None], bandwidth=6.0).audio_values[0]
    return Pair(wav, rate, coded, model.config.sampling_rate)


def timed(metric: Metric, pair: Pair) -> float:
    pair.at(metric.sample_rate, metric.channels)
    began = time.perf_counter()
    with contextlib.suppress(UndefinedError):  # of too little audio
        measure(metric, pair)
    return time.perf_counter() - began


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    clips = [each for each in load_set("librispeech-mini").clips if each.duration_s > 8][:ROUNDS]
    pairs = [coded_pair(clip) for clip in clips]
    short = coded_pair(middle(clips[0], 0.5))
    rows = []
    for name in names or METRICS:
        metric = METRICS[name]
        if metric.kind != "pair":
            continue
        if reason := unavailable(metric):
            print(f"{name} {reason}", file=sys.stderr)
            continue
        first = timed(told(metric, clips[0]), short)
        seconds = [timed(told(metric, clip), pair) / clip.duration_s for clip, pair in zip(clips, pairs, strict=True)]
        rows.append((name, first, statistics.median(seconds)))
    table = pd.DataFrame(rows, columns=["metric", "first_s", "a_second_s"]).sort_values("a_second_s", ascending=False)
    print(table.to_string(index=False, float_format="{:.4f}".format))


if __name__ == "__main__":
    main(sys.argv[1:])
