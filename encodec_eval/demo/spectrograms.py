"""What a codec changed, as a picture: spectrograms on one scale, their difference, the use of the codebooks."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from encodec_eval import stats
from encodec_eval.run.pairing import Pair

WINDOW_S = 0.032
RANGE_DB = 80.0
INK = "#7d8896"  # reads on white and on black


def level_db(audio: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """Spectrogram `[frequencies, frames]` of `audio [T]` in dB re a full-scale sine; 32 ms Hann windows, hop 8 ms."""
    size = 2 * round(WINDOW_S * sample_rate / 2)
    window = torch.hann_window(size, dtype=torch.float64)
    padded = torch.nn.functional.pad(torch.from_numpy(audio), (size // 2, size // 2))
    spectrum = torch.stft(padded, size, size // 4, window=window, center=False, return_complex=True).abs()
    return (20 * torch.log10(2 * spectrum / window.sum() + 1e-10)).numpy()


def draw(
    reference: Tensor, sample_rate: int, output: Tensor, output_rate: int, name: str, codes: Tensor | None
) -> Figure:
    """Original `[C, T]`, version and difference (version minus original) at the original's rate, down-mixed to mono.

    With codes `[N, K, F]` also how many bits each codebook's entries carry in this clip.
    Raises `UndefinedError` where `Pair` does.
    """
    pair, rate = Pair(reference, sample_rate, output, output_rate).at(None, "mono")
    levels = [level_db(each[0], rate) for each in pair]
    top = float(np.ceil(levels[0].max() / 10) * 10)
    levels = [np.clip(level, top - RANGE_DB, top) for level in levels]
    figure = Figure(figsize=(11, 3.4 if codes is None else 5.2), layout="constrained")
    figure.patch.set_alpha(0)
    rows = figure.subfigures(
        1 if codes is None else 2, 1, squeeze=False, height_ratios=[1] if codes is None else [3, 2]
    )
    axes = rows[0, 0].subplots(1, 3, sharey=True)
    extent = (0.0, pair.shape[-1] / rate, 0.0, rate / 2000)
    for panel, level, title in zip(axes[:2], levels, ("Original", name), strict=True):
        image = panel.imshow(
            level, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=top - RANGE_DB, vmax=top
        )
        _label(panel, title, "s")
    _bar(rows[0, 0].colorbar(image, ax=axes[:2], label="dB re full-scale sine", pad=0.01))
    image = axes[2].imshow(
        levels[1] - levels[0], origin="lower", aspect="auto", extent=extent, cmap="RdBu_r", vmin=-30, vmax=30
    )
    _label(axes[2], f"{name} minus original", "s")
    _bar(rows[0, 0].colorbar(image, ax=axes[2], label="dB", pad=0.02))
    axes[0].set_ylabel("kHz", color=INK)
    if codes is not None:
        _draw_codebooks(rows[1, 0].subplots(), codes)
    return figure


def codebook_bits(codes: Tensor) -> list[float]:
    """Entropy in bits of the entries that each of the K codebooks of `codes [N, K, F]` used."""
    return [stats.perplexity(np.bincount(entries.numpy()))[0] for entries in codes.transpose(0, 1).flatten(1)]


def _draw_codebooks(panel: Axes, codes: Tensor) -> None:
    bits = codebook_bits(codes)
    frames = codes.shape[0] * codes.shape[2]
    panel.bar(range(1, len(bits) + 1), bits, color="#2a9d98", width=0.8)
    most = min(10.0, float(np.log2(frames)))
    panel.axhline(most, color=INK, linewidth=1, linestyle=":")
    panel.text(0.5, most, f" most that {frames} frames allow", color=INK, fontsize=8.5, va="bottom")
    panel.set(xlim=(0.4, max(len(bits), 4) + 0.6), ylim=(0, 11.5))
    panel.set_ylabel("bits", color=INK)
    _label(panel, "Entropy of the entries used, by codebook", "codebook")
    panel.grid(False)


def _label(panel: Axes, title: str, x: str) -> None:
    panel.set_title(title, fontsize=10.5, color=INK, loc="left")
    panel.set_xlabel(x, color=INK)
    panel.tick_params(colors=INK)
    panel.patch.set_alpha(0)
    panel.spines[:].set_visible(False)


def _bar(bar: Colorbar) -> None:
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK)
    bar.ax.yaxis.label.set_color(INK)


def save(figure: Figure, path: Path) -> Path:
    """Write the picture as PNG on a transparent ground."""
    figure.savefig(path, dpi=110)
    return path
