"""Train the language model of a codec on the codes of a folder of audio: `python -m codec.training.language_model`.

Codes are extracted once to the work folder; training resumes from its last state there. Its length is CPU time, so
that a paused or shared machine gives the same schedule.
"""

import argparse
import logging
import math
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import codec
from codec.language_model import LanguageModel, LanguageModelConfig

logger = logging.getLogger(__name__)

SIZES = LanguageModelConfig(dim=128, feed_forward=512)
AUDIO = (".wav", ".flac", ".ogg", ".mp3", ".opus")
PIECE_S = 20  # each piece of audio gets a gain of its own
GAINS_DB = (-15.0, 0.0)
FRAMES, BATCH, HEADS = 300, 6, 8
LEARNING_RATE, WARM_UP = 1.5e-3, 200
DEPTHS, DEPTH_SHARES = (2, 4, 8, 16, 32), (0.2, 0.2, 0.25, 0.2, 0.15)


def extract(model: codec.EncodecModel, files: Sequence[Path], folder: Path, gains: int = 2) -> None:
    """Write the codes `[K, F]` (uint16) of every file, `gains` times with random gains, skipping what is there."""
    folder.mkdir(parents=True, exist_ok=True)
    rate = model.config.sampling_rate
    for file in files:
        wav: Tensor | None = None
        for gain in range(gains):
            target = folder / f"{file.stem}.{gain}.npy"
            if target.exists() or codec.audio.info(file).duration_s < 1:
                continue
            if wav is None:
                wav, file_rate = codec.audio.load(file)
                wav = codec.audio.resample(codec.audio.to_channels(wav, model.config.audio_channels), file_rate, rate)
            codes = _codes(model, wav, random.Random(target.name))
            partial = target.with_suffix(".part")
            with partial.open("wb") as stream:
                np.save(stream, codes)
            partial.rename(target)
            logger.info("%s: %d frames", target.name, codes.shape[1])


@torch.no_grad()
def _codes(model: codec.EncodecModel, wav: Tensor, rng: random.Random) -> np.ndarray:
    pieces = []
    for piece in torch.split(wav, PIECE_S * model.config.sampling_rate, dim=-1):
        gain = 10 ** (rng.uniform(*GAINS_DB) / 20)
        encoded = model.encode(gain * piece[None], bandwidth=max(model.config.target_bandwidths))
        pieces += [codes[0].numpy().astype(np.uint16) for codes in encoded[0]]
    return np.concatenate(pieces, axis=1)


def new_model(codes: Sequence[np.ndarray], sizes: LanguageModelConfig, name: str, codec_sha256: str) -> LanguageModel:
    """A model that starts as the unigram statistics of `codes`: its output biases are their log frequencies."""
    lm = LanguageModel(sizes, name, codec_sha256)
    for k in range(sizes.codebooks):
        counts = sum(np.bincount(c[k], minlength=sizes.codebook_size) for c in codes)
        frequencies = torch.from_numpy(counts + 0.5).float()
        with torch.no_grad():
            lm.head(k).bias.copy_((frequencies / frequencies.sum()).log())
            lm.head(k).weight.normal_(std=0.02)
            lm.embedding(k).weight.normal_(std=1.0 / (1 + k) ** 0.5)
    return lm


def loss_of(lm: LanguageModel, batch: Tensor, depth: int, heads: Sequence[int], offset: int) -> Tensor:
    """Mean cost in nats of the codebooks `heads` of `batch [B, 32, F]` when `depth` codebooks are known."""
    x = lm.hidden(batch[:, :depth], offset)
    costs = [F.cross_entropy(lm.head(k)(x).flatten(0, 1), batch[:, k].flatten()) for k in heads]
    return torch.stack(costs).mean()


def _batch(codes: Sequence[np.ndarray], rng: random.Random) -> Tensor:
    chosen = rng.choices(codes, weights=[c.shape[1] for c in codes], k=BATCH)
    starts = [rng.randrange(c.shape[1] - FRAMES) for c in chosen]
    crops = [c[:, s : s + FRAMES].astype(np.int64) for c, s in zip(chosen, starts, strict=True)]
    return torch.from_numpy(np.stack(crops))


def train(
    lm: LanguageModel, codes: Sequence[np.ndarray], held_out: Tensor, cpu_minutes: float, state_path: Path
) -> None:
    """Train in place for `cpu_minutes`, saving the state every 100 steps and resuming from it."""
    optimizer = torch.optim.AdamW(lm.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    step, spent = 0, 0.0
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        lm.load_state_dict(state["lm"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["spent"]
    start = time.process_time() - spent
    lm.train()
    while (progress := (time.process_time() - start) / (60 * cpu_minutes)) < 1:
        rng = random.Random(step)
        rate = min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * progress))
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * rate
        depth = rng.choices(DEPTHS, DEPTH_SHARES)[0]
        heads = rng.sample(range(depth), min(HEADS, depth))
        offset = 0 if rng.random() < 0.4 else int(2 ** rng.uniform(0, 14))
        loss = loss_of(lm, _batch(codes, rng), depth, heads, offset)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(lm.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 100 == 0:
            logger.info("step %d, %.1f %%: bits per code %s", step, 100 * progress, _report(lm, held_out))
            partial = state_path.with_suffix(".part")
            spent = time.process_time() - start
            torch.save(
                {"lm": lm.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "spent": spent}, partial
            )
            partial.rename(state_path)
    lm.eval()
    logger.info("done after %d steps: bits per code %s", step, _report(lm, held_out))


def _report(lm: LanguageModel, held_out: Tensor) -> str:
    lm.eval()
    rates = [lm.bits(held_out[:, :depth]).mean().item() for depth in DEPTHS]
    lm.train()
    return ", ".join(f"{rate:.3f} (K={depth})" for depth, rate in zip(DEPTHS, rates, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders of audio")
    parser.add_argument("--model", default="encodec_24khz_tiny", help="codec whose codes are modelled")
    parser.add_argument("--work", type=Path, required=True, help="folder for codes and training state")
    parser.add_argument(
        "--out", type=Path, required=True, help="file to write, for example NAME/language_model.safetensors"
    )
    parser.add_argument("--name", default="tiny-lm", help="name that files coded with it carry")
    parser.add_argument("--cpu-minutes", type=float, default=90.0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model = codec.load_model(arguments.model)
    files = sorted(f for folder in arguments.data for f in folder.rglob("*") if f.suffix.lower() in AUDIO)
    extract(model, files, arguments.work / "codes")
    paths = sorted((arguments.work / "codes").glob("*.npy"))
    codes = [c for c in map(np.load, paths) if c.shape[1] > FRAMES]
    if len(codes) < 2:
        parser.error(f"{len(codes)} files of more than {FRAMES / model.config.frame_rate:g} s found; 2 are needed")
    *training, last = codes
    held_out = torch.from_numpy(last[:, :3000].astype(np.int64))[None]
    sizes = replace(SIZES, codebooks=model.config.num_quantizers, codebook_size=model.config.codebook_size)
    lm = new_model(training, sizes, arguments.name, model.checkpoint_sha256)
    train(lm, training, held_out, arguments.cpu_minutes, arguments.work / "state.pt")
    lm.save(arguments.out)
    logger.info("%s: sha256 %s", arguments.out, LanguageModel.load(arguments.out).sha256)


if __name__ == "__main__":
    main()
