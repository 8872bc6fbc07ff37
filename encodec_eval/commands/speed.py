"""How fast EnCodec runs here: this project's model, transformers' and facebook's, on the same weights, in turn."""

import platform
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor, nn

from codec import DecoderStream, EncodecModel, EncoderStream
from codec.streaming import Piece
from codec.weights import FACEBOOK_CONFIGS
from encodec_eval.run.provenance import session, versions
from encodec_eval.types import EvalError

BANDWIDTH = 6.0
HOPS = (1, 4, 24)
ARCHITECTURES = {
    "24khz": FACEBOOK_CONFIGS["facebook/encodec_24khz"],
    "48khz": FACEBOOK_CONFIGS["facebook/encodec_48khz"],
}


@dataclass(frozen=True)
class Case:
    """A batch of clips for one architecture, or with `hop` a clip that arrives `hop` frames at a time."""

    architecture: str
    batch: int
    duration_s: float
    hop: int | None = None

    @property
    def name(self) -> str:
        shape = f"{self.batch} × {self.duration_s:g} s" if self.hop is None else f"stream, {self.hop} frames"
        return f"{self.architecture.replace('khz', ' kHz')}, {shape}"


CASES = {
    "clip": Case("24khz", 1, 10.0),
    "batch": Case("24khz", 8, 5.0),
    "48khz": Case("48khz", 1, 10.0),
    **{f"hop{hop}": Case("24khz", 1, 2.0, hop) for hop in HOPS},
}


@dataclass(frozen=True)
class Implementation:
    """`encode` takes audio `[B, C, T]`; `decode` takes what `encode` returned."""

    name: str
    encode: Callable[[Tensor], Any]
    decode: Callable[[Any], object]


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), help="what to run (default: all)")
    parser.add_argument("--threads", nargs="+", type=int, help="thread counts (default: 1 and all)")
    parser.add_argument("--budget", type=float, default=20.0, help="seconds for a case and thread count (default: 20)")
    parser.add_argument("--out", type=Path, default=Path("results/speed"), help="folder of the tables and the chart")


def main(arguments: Namespace) -> int:
    """Measure, print the table, write speed.csv, speed.md and speed.png."""
    threads = arguments.threads or sorted({1, torch.get_num_threads()})
    if min(threads) < 1 or arguments.budget <= 0:
        raise EvalError("--threads and --budget must be positive")
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for name in arguments.cases:
            case = CASES[name]
            trio = streams(case) if case.hop else implementations(case.architecture, Path(folder))
            for count in threads if case.hop is None else [1]:
                with num_threads(count):
                    rows += measure(case, trio, count, arguments.budget)
    table = summarise(pd.DataFrame(rows))
    record = session(arguments.argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(arguments.out / "speed.csv", index=False)
    text = describe(table, record)
    (arguments.out / "speed.md").write_text(text, encoding="utf-8")
    chart(table, arguments.out / "speed.png")
    print(text)
    return 0


@contextmanager
def num_threads(count: int) -> Iterator[None]:
    """Run torch with that many threads, and with as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def implementations(architecture: str, folder: Path) -> list[Implementation]:
    """This project's model with random weights, and those of the references that are installed, with the same."""
    torch.manual_seed(0)
    ours = EncodecModel(ARCHITECTURES[architecture]).eval()
    found = [Implementation("this project", *_calls(ours))]
    if find_spec("transformers") is not None:
        import transformers

        ours.save_pretrained(folder / architecture)
        theirs: Any = transformers.EncodecModel.from_pretrained(folder / architecture)
        found.append(Implementation("transformers", *_calls(theirs.eval())))
    if find_spec("encodec") is not None:
        model = facebook_model(ours)
        found.append(Implementation("encodec", model.encode, model.decode))
    return found


def _calls(model: EncodecModel) -> tuple[Callable[[Tensor], Any], Callable[[Any], object]]:
    def decode(encoded: Any) -> object:
        pad = encoded.last_frame_pad_length
        return model.decode(encoded.audio_codes, encoded.audio_scales, last_frame_pad_length=pad)

    return lambda x: model.encode(x, torch.ones_like(x, dtype=torch.bool), bandwidth=BANDWIDTH), decode


def facebook_model(ours: EncodecModel) -> Any:
    """The model of the package `encodec` with the weights of ours: both hold the same layers in the same order."""
    import encodec.model

    config = ours.config
    theirs = encodec.model.EncodecModel._get_model(
        target_bandwidths=list(config.target_bandwidths),
        sample_rate=config.sampling_rate,
        channels=config.audio_channels,
        causal=config.use_causal_conv,
        model_norm=config.norm_type,
        audio_normalize=config.normalize,
        segment=config.chunk_length_s,
    ).eval()
    kinds = (nn.Conv1d, nn.ConvTranspose1d, nn.GroupNorm, nn.LSTM)
    pairs = [[layer for layer in model.modules() if isinstance(layer, kinds)] for model in (ours, theirs)]
    for source, target in zip(*pairs, strict=True):
        state = source.state_dict()
        if hasattr(target, "weight_g"):
            weight = state.pop("weight")
            state |= {"weight_g": weight.flatten(1).norm(dim=1).view(-1, 1, 1), "weight_v": weight}
        target.load_state_dict(state)
    for codebook, layer in zip(ours.quantizer.codebooks, theirs.quantizer.vq.layers, strict=True):
        layer._codebook.embed.copy_(codebook.embed)
    theirs.set_target_bandwidth(BANDWIDTH)
    return theirs


def streams(case: Case) -> list[Implementation]:
    """This project's streams; no reference has any."""
    torch.manual_seed(0)
    model = EncodecModel(ARCHITECTURES[case.architecture]).eval()
    hop = case.hop or 1

    def encode(x: Tensor) -> Tensor:
        stream = EncoderStream(model, BANDWIDTH)
        pieces: list[Piece] = []
        for samples in torch.split(x, hop * model.config.hop_length, dim=-1):
            pieces += stream.push(samples)
        return torch.cat([piece.codes for piece in pieces + stream.flush()], dim=-1)

    def decode(codes: Tensor) -> None:
        stream = DecoderStream(model)
        for part in torch.split(codes, hop, dim=-1):
            stream.push(part)
        stream.flush()

    return [Implementation("this project", encode, decode)]


def measure(case: Case, trio: list[Implementation], threads: int, budget_s: float) -> list[dict[str, object]]:
    """Time every implementation in turn, after one round that does not count: two rounds, then as many as fit."""
    config = ARCHITECTURES[case.architecture]
    generator = torch.Generator().manual_seed(1)
    samples = int(case.duration_s * config.sampling_rate)
    x = 0.1 * torch.randn(case.batch, config.audio_channels, samples, generator=generator)
    rows: list[dict[str, object]] = []
    start = time.perf_counter()
    for round_ in range(1000):
        if round_ > 2 and time.perf_counter() - start > budget_s:
            break
        for implementation in trio:
            began = time.perf_counter()
            encoded = implementation.encode(x)
            between = time.perf_counter()
            implementation.decode(encoded)
            seconds = {"encode": between - began, "decode": time.perf_counter() - between}
            for direction, duration in seconds.items() if round_ else ():
                row = {"case": case.name, "threads": threads, "implementation": implementation.name, "run": round_}
                rows.append({**row, "direction": direction, "x_realtime": case.batch * case.duration_s / duration})
    return rows


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """One row for each case, direction and implementation: median, extremes and number of runs, and `ratio`, the
    median over the runs of this project's speed over the implementation's in the same round."""
    keys = ["case", "threads", "direction"]
    ours = runs[runs.implementation == "this project"].set_index([*keys, "run"]).x_realtime
    reference = ours.loc[pd.MultiIndex.from_frame(runs[[*keys, "run"]])].to_numpy()
    grouped = runs.assign(ratio=reference / runs.x_realtime).groupby([*keys, "implementation"], sort=False)
    return grouped.agg(
        x_realtime=("x_realtime", "median"),
        low=("x_realtime", "min"),
        high=("x_realtime", "max"),
        runs=("run", "nunique"),
        ratio=("ratio", "median"),
    ).reset_index()


def describe(table: pd.DataFrame, record: dict[str, object]) -> str:
    """The table and what it was measured on, in Markdown."""
    packages = ", ".join(f"{name} {number}" for name, number in versions(("torch", "transformers")).items())
    machine = ", ".join(f"{name} {value}" for name, value in cast(dict[str, object], record["machine"]).items())
    lines = [
        f"`{record['command']}`; {machine}; Python {platform.python_version()}, {packages}; commit {record['commit']}, "
        f"{record['started']}. Random weights of the released sizes, {BANDWIDTH:g} kbps, float32. Seconds of audio for "
        "a second of work: median (lowest to highest) of runs taken in turn. `ratio`: this project's speed over that "
        "of the row.",
        "",
        "| case | threads | direction | implementation | x_realtime | runs | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in table.itertuples():
        speed = f"{row.x_realtime:.2f} ({row.low:.2f} to {row.high:.2f})"
        ratio = "" if row.implementation == "this project" else f"{row.ratio:.2f}"
        cells = (row.case, row.threads, row.direction, row.implementation, speed, row.runs, ratio)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def chart(table: pd.DataFrame, path: Path) -> None:
    """Bars of the medians, with their extremes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (direction, part) in zip(panels, table.groupby("direction", sort=False), strict=True):
        labels = part.case + ", threads: " + part.threads.astype(str)
        wide = part.assign(label=labels).pivot(index="label", columns="implementation", values="x_realtime")
        wide = wide.reindex(index=labels.unique()[::-1], columns=part.implementation.unique())
        wide.plot.barh(ax=axes, title=str(direction), xlabel="seconds of audio for a second of work", ylabel="")
        axes.axvline(1, color="black", linewidth=0.8)
    figure.savefig(path, dpi=120)
