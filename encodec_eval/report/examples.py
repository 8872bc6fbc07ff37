"""The worst, median and best clip of each operating point, as audio files and spectrograms in the run's folder."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from torch import Tensor

import codec.audio
from codec.files import write_atomically
from encodec_eval.datasets import draw
from encodec_eval.files import safe_name
from encodec_eval.plugins.host import PluginError
from encodec_eval.report.results import Results
from encodec_eval.spectrogram import level_db
from encodec_eval.types import Clip, Output, System

logger = logging.getLogger(__name__)

EXCERPT_S = 6.0
SHARED = 3
SPECTROGRAM_RANGE_DB = 80.0


def choose(results: Results, metric: str) -> list[dict[str, Any]]:
    """The worst, median and best scored clip of each point by a metric: `point rank clip metric title digits
    value`."""
    rows: list[dict[str, Any]] = []
    table, measure = results.table(metric), results.measures[metric]
    shown = {"metric": metric, "title": measure.title, "digits": measure.digits}
    for point in results.points.name:
        scored = table[point].dropna().sort_values(ascending=bool(measure.higher_is_better), kind="stable")
        places = {"worst": 0, "median": len(scored) // 2, "best": len(scored) - 1}
        for rank, place in places.items() if len(scored) else ():
            value = float(scored.iloc[place])
            rows.append({"point": point, "rank": rank, "clip": scored.index[place], **shown, "value": value})
    return rows


def render(results: Results, clips: Sequence[Clip], systems: Sequence[System]) -> None:
    """Code the chosen clips again and keep the first seconds of reference and output under `examples/`.

    Files are FLAC at the rate of the clip and of the system; `examples.json` lists them. `shared.json` lists, for
    `SHARED` clips that are the same in every run over the set, what every point made of them, if it could. Does nothing
    for a run that has no audio metric.
    """
    if not results.quality_metrics:
        return
    folder = results.folder / "examples"
    rows = choose(results, results.quality_metrics[0])
    heard = results.table("lag_ms" if "lag_ms" in results.metrics else results.quality_metrics[0]).notna()
    shared: dict[str, dict[str, object]] = {clip.id: {} for clip in draw(clips, SHARED, seed=0)}
    for clip in clips:
        chosen = [row for row in rows if row["clip"] == clip.id]
        wanted = {row["point"] for row in chosen}
        if clip.id in shared:
            wanted |= set(heard.columns[heard.loc[clip.id]])
        if not wanted:
            continue
        wav, sample_rate = codec.audio.load(clip.path, clip.start, clip.frames)
        compared = codec.audio.load(clip.reference)[0] if clip.reference else wav
        reference = write(folder / "reference" / safe_name(clip.id), compared, sample_rate)
        made = {}
        for output in outputs(systems, wanted, clip, wav, sample_rate):
            path = write(folder / safe_name(output.point.name) / safe_name(clip.id), output.audio, output.sample_rate)
            made[output.point.name] = str(path.relative_to(folder))
        listed = {"reference": str(reference.relative_to(folder))}
        for row in chosen:
            if row["point"] in made:
                row |= listed | {"audio": made[row["point"]]}
        if clip.id in shared:
            shared[clip.id] = listed | {"audio": made}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "examples.json", json.dumps(rows, indent=1) + "\n")
    listing = {clip: files for clip, files in shared.items() if files}
    write_atomically(folder / "shared.json", json.dumps(listing, indent=1) + "\n")


def outputs(systems: Sequence[System], names: set[str], clip: Clip, wav: Tensor, sample_rate: int) -> list[Output]:
    """What the named operating points make of a clip."""
    found: list[Output] = []
    for system in systems:
        points = [point for point in system.points if point.name in names]
        if points:
            try:
                found += system.process(wav, sample_rate, points, clip)
            except PluginError as error:  # scored once, and now it failed
                logger.warning("%s cannot be heard: %s: %s", points[0].series, clip.id, error)
    return found


def write(path: Path, wav: Tensor, sample_rate: int) -> Path:
    """The first seconds as FLAC with a spectrogram beside it. Returns the path of the audio."""
    path.parent.mkdir(parents=True, exist_ok=True)
    audio = path.with_name(path.name + ".flac")
    excerpt = wav[:, : round(EXCERPT_S * sample_rate)]
    codec.audio.save(audio, excerpt, sample_rate)
    spectrogram(audio.with_suffix(".png"), excerpt, sample_rate)
    return audio


def spectrogram(path: Path, wav: Tensor, sample_rate: int, top_hz: float = 8000) -> None:
    """A picture of `wav [C, T]` from 0 Hz to `top_hz`, 80 dB deep, 480 by 120 pixels, 6 s wide whatever the length."""
    mono = torch.nn.functional.pad(wav.mean(0), (0, max(0, round(EXCERPT_S * sample_rate) - wav.shape[-1])))
    level = level_db(mono.double().numpy(), sample_rate)
    rows = round(top_hz / sample_rate * 2 * (len(level) - 1))
    level = np.pad(level, ((0, max(0, rows - len(level))), (0, 0)), constant_values=-np.inf)[:rows]
    shades = np.clip(1 + (level - level.max()) / SPECTROGRAM_RANGE_DB, 0, 1)[::-1] * 255
    picture = Image.fromarray(shades.round().astype(np.uint8)).resize((480, 120))
    picture.putpalette(plt.get_cmap("magma")(np.arange(256), bytes=True)[:, :3].tobytes())
    picture.save(path, optimize=True)
