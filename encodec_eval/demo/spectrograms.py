"""What a codec changed, as pictures: spectrograms on one scale, their difference, the use of the codebooks."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from codec import usage
from codec.files import replacing
from encodec_eval.run.pairing import Pair
from encodec_eval.spectrogram import level_db

RANGE_DB = 80.0
INK = "#767676"  # contrast of 4.5 and 4.6 on white and on black, which are the grounds the page gives it


def panels(
    reference: Tensor, sample_rate: int, output: Tensor, output_rate: int, name: str, codes: Tensor | None
) -> list[tuple[str, str, Callable[[], Figure]]]:
    """Original `[C, T]`, version and difference (version minus original) at the original's rate, down-mixed to mono.

    With codes `[N, K, F]` also how many bits each codebook's entries carry in this clip. Each is a word for its file,
    a description for those who do not see it, and a function that draws it.
    Raises `UndefinedError` where `Pair` does.
    """
    pair, rate = Pair(reference, sample_rate, output, output_rate).at(None, "mono")
    levels = [level_db(each[0], rate) for each in pair]
    top = float(np.ceil(levels[0].max() / 10) * 10)
    levels = [np.clip(level, top - RANGE_DB, top) for level in levels]
    extent = (0.0, pair.shape[-1] / rate, 0.0, rate / 2000)
    level = partial(_draw_level, extent=extent, cmap="magma", low=top - RANGE_DB, high=top, unit="dB")
    change = partial(_draw_level, extent=extent, cmap="RdBu_r", low=-30, high=30, unit="dB")
    drawn: list[tuple[str, str, Callable[[], Figure]]] = [
        ("original", "Spectrogram of the original", partial(level, levels[0], "Original")),
        ("version", f"Spectrogram of {name}", partial(level, levels[1], name)),
        (
            "difference",
            f"Level of {name} minus that of the original, by time and frequency",
            partial(change, levels[1] - levels[0], f"{name} minus original"),
        ),
    ]
    if codes is not None:
        alt = "Entropy in bits of the entries that each codebook used"
        drawn.append(("codebooks", alt, partial(_draw_codebooks, codes)))
    return drawn


def _draw_level(
    level: NDArray[np.float64],
    title: str,
    extent: tuple[float, float, float, float],
    cmap: str,
    low: float,
    high: float,
    unit: str,
) -> Figure:
    figure, panel = _figure(title)
    image = panel.imshow(level, origin="lower", aspect="auto", extent=extent, cmap=cmap, vmin=low, vmax=high)
    panel.set_xlabel("s", color=INK)
    panel.set_ylabel("kHz", color=INK)
    bar = figure.colorbar(image, ax=panel, pad=0.02)
    bar.ax.set_title(unit, fontsize=10, color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, labelsize=10)
    return figure


def codebook_bits(codes: Tensor) -> list[float]:
    """Entropy in bits of the entries that each of the K codebooks of `codes [N, K, F]` used."""
    return [usage.perplexity(np.bincount(entries.numpy()))[0] for entries in codes.transpose(0, 1).flatten(1)]


def _draw_codebooks(codes: Tensor) -> Figure:
    bits = codebook_bits(codes)
    frames = codes.shape[0] * codes.shape[2]
    figure, panel = _figure("Entropy of the entries used")
    panel.bar(range(1, len(bits) + 1), bits, color="#2a9d98", width=0.8)
    most = min(10.0, float(np.log2(frames)))
    panel.axhline(most, color=INK, linewidth=1, linestyle=":")
    panel.text(0.5, most + 0.2, f" most that {frames} frames allow", color=INK, fontsize=10, va="bottom")
    panel.set(xlim=(0.4, max(len(bits), 4) + 0.6), ylim=(0, 12.5))
    panel.set_ylabel("bits", color=INK)
    panel.set_xlabel("codebook", color=INK)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _figure(title: str) -> tuple[Figure, Axes]:
    """A panel as wide as a phone; a page puts several beside each other where there is room."""
    figure = Figure(figsize=(4.6, 3.4), layout="constrained")
    figure.patch.set_alpha(0)
    panel = figure.subplots()
    panel.set_title(title, fontsize=11, color=INK, loc="left")
    panel.tick_params(colors=INK, labelsize=10)
    panel.patch.set_alpha(0)
    panel.spines[:].set_visible(False)
    return figure, panel


def save(figure: Figure, path: Path) -> Path:
    """Write the picture as PNG on a transparent ground."""
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=160)
    return path
