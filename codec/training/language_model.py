"""Train the language model of a codec on the codes of a folder of audio: `python -m codec.training.language_model`.

Codes are extracted once to the work folder, and training resumes from its last state there; both are kept by what
makes the codes, so another encoder starts anew. The learning rate falls to 0 at the last of `--steps`.
"""

import argparse
import hashlib
import itertools
import logging
import math
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import codec
from codec.ecdc.entropy import encode
from codec.errors import CodecError
from codec.files import replacing
from codec.lm.model import LanguageModel, LanguageModelConfig
from codec.training.data import EXTENSIONS
from codec.training.optimizer import Muon, warmed_cosine
from codec.training.products import fast_products

logger = logging.getLogger(__name__)

SIZES = LanguageModelConfig(dim=128, layers=6, feed_forward=512)
PIECE_S = 20  # of audio; each version of a piece gets a gain and a speed of its own
GAINS_DB, SPEEDS = (-15.0, 0.0), (0.88, 0.92, 0.96, 1.0, 1.04, 1.08, 1.12)
# Crops are far longer than the context where the audio is: in shorter ones the key before the first frame is nearly
# always in view, and a model that leans on it codes long recordings badly.
FRAMES, LEAST_FRAMES, BATCH, HEADS = 750, 300, 2, 8
# Of the layers' matrices by Muon, and of all else by Adam; share of the steps.
MATRIX_RATE, RATE, WARM_UP = 1e-2, 2e-3, 0.05
# The root mean square of the norms of a matrix's rows: Muon lets them grow, and the exact coder clamps activations.
MOST_ROW = 2.0
DEPTHS, DEPTH_SHARES = (2, 4, 8, 16, 32), (0.15, 0.15, 0.35, 0.2, 0.15)
HELD_OUT = 8  # pieces
BETAS, WEIGHT_DECAY, MOST_GRADIENT = (0.9, 0.98), 0.01, 1.0  # of Adam; the norm that gradients are clipped to
HEAD_DEVIATION = 0.02  # of the heads' weights at the start: small beside their biases, which are the unigram statistics
AT_START, LOG2_LONGEST = 0.4, 14  # share of crops at position 0; others begin at up to 2^14, uniform in the logarithm
SAVE_EVERY = 200  # steps


def extract(
    model: codec.EncodecModel, folders: Sequence[Path], target: Path, audio_hours: float = math.inf, versions: int = 1
) -> list[Path]:
    """Write the codes `[K, F]` (uint16) of a random `audio_hours` of the folders' audio, skipping what is there.

    Returns a file for each of the `versions` of each piece of at most `PIECE_S` seconds, the same on every machine.
    Raises `AudioError` for audio that cannot be read.
    """
    files = sorted((f, folder) for folder in folders for f in folder.rglob("*") if f.suffix.lower() in EXTENSIONS)
    infos = [codec.audio.info(file) for file, _ in files]
    hours = sum(info.duration_s for info in infos) / 3600
    target.mkdir(parents=True, exist_ok=True)
    paths = []
    for (file, folder), info in zip(files, infos, strict=True):
        place = f"{folders.index(folder)}/{file.relative_to(folder).as_posix()}"
        digest = hashlib.sha256(place.encode()).hexdigest()[:8]
        for start, version in itertools.product(range(0, info.frames, PIECE_S * info.sample_rate), range(versions)):
            path = target / f"{file.stem}-{digest}-{start // info.sample_rate}-{version}.npy"
            rng = random.Random(path.name)
            gain, speed = 10 ** (rng.uniform(*GAINS_DB) / 20), rng.choice(SPEEDS)
            left_s = (info.frames - start) / info.sample_rate / max(SPEEDS)
            if rng.random() * hours >= audio_hours or left_s * model.config.frame_rate <= LEAST_FRAMES:
                continue
            if not path.exists():
                _write_codes(model, file, start, gain, speed, path)
            paths.append(path)
    return paths


def fingerprint(model: codec.EncodecModel) -> str:
    """Names what makes a model's codes: encoder and codebooks, rounded to float16 as bundled models are."""
    digest = hashlib.sha256()
    for part in (model.encoder, model.quantizer):
        for key, value in part.state_dict().items():
            digest.update(key.encode() + value.cpu().half().numpy().tobytes())
    return digest.hexdigest()[:8]


@torch.no_grad()
def _write_codes(model: codec.EncodecModel, file: Path, start: int, gain: float, speed: float, path: Path) -> None:
    config = model.config
    wav, rate = codec.audio.load(file, start, PIECE_S * codec.audio.info(file).sample_rate)
    wav = codec.audio.to_channels(wav, config.audio_channels)
    wav = codec.audio.resample(wav, round(rate * speed), config.sampling_rate)
    encoded = model.encode(gain * wav[None], bandwidth=max(config.target_bandwidths))
    codes = torch.cat([segment[0] for segment in encoded[0]], dim=-1)
    with replacing(path) as part, part.open("wb") as stream:
        np.save(stream, codes.numpy().astype(np.uint16))
    logger.info("%s: %d frames", path.name, codes.shape[-1])


def new_model(codes: Sequence[np.ndarray], sizes: LanguageModelConfig, name: str, codec_sha256: str) -> LanguageModel:
    """A model that starts as the unigram statistics of `codes`: its output biases are their log frequencies."""
    lm = LanguageModel(sizes, name, codec_sha256)
    for k in range(sizes.codebooks):
        counts = sum(np.bincount(c[k], minlength=sizes.codebook_size) for c in codes)
        frequencies = torch.from_numpy(counts + 0.5).float()
        with torch.no_grad():
            lm.head(k).bias.copy_((frequencies / frequencies.sum()).log())
            lm.head(k).weight.normal_(std=HEAD_DEVIATION)
            lm.embedding(k).weight.normal_(std=1.0 / (1 + k) ** 0.5)
    return lm


def start_from(lm: LanguageModel, trained: LanguageModel, held_out: Sequence[Tensor]) -> None:
    """Copy all weights of `trained`, or its layers only if its codes are others: if it predicts worse than `lm`.

    Layers that `lm` has beyond those of `trained` begin by adding nothing.

    Raises `CheckpointError` for a model of other sizes.
    """
    layers = trained.config.layers
    if replace(trained.config, layers=lm.config.layers) != lm.config or layers > lm.config.layers:
        raise codec.CheckpointError(f"{trained.name} has sizes {trained.config}; {lm.config}")
    if bits(trained, held_out)[-1] < bits(lm, held_out)[-1]:
        lm.load_state_dict(trained.state_dict(), strict=False)
    else:
        logger.info("%s models other codes: only its layers are used", trained.name)
        lm.transformer.load_state_dict(trained.transformer.state_dict(), strict=False)
    with torch.no_grad():
        for layer in lm.layers()[layers:]:
            for linear in (layer.self_attn.out_proj, layer.linear2):
                linear.weight.zero_()
                linear.bias.zero_()


def loss_of(lm: LanguageModel, batch: Tensor, depth: int, heads: Sequence[int], offset: int) -> Tensor:
    """Mean cost in nats of the codebooks `heads` of `batch [B, K, F]` when `depth` codebooks are known."""
    x = lm.hidden(batch[:, :depth], offset)
    costs = [F.cross_entropy(lm.head(k)(x).flatten(0, 1), batch[:, k].flatten()) for k in heads]
    return torch.stack(costs).mean()


def bits(lm: LanguageModel, pieces: Sequence[Tensor]) -> list[float]:
    """Mean bits a code of `pieces [K, F]`, for each of `DEPTHS` codebooks that the model has."""
    depths = [depth for depth in DEPTHS if depth <= lm.config.codebooks]
    return [torch.stack([lm.bits(piece[None, :depth]).mean() for piece in pieces]).mean().item() for depth in depths]


def coded_bits(lm: LanguageModel, pieces: Sequence[Tensor]) -> list[float]:
    """Mean bits a code that `pieces [K, F]` take in files, for each of `DEPTHS` codebooks that the model has."""
    depths = [depth for depth in DEPTHS if depth <= lm.config.codebooks]
    sizes = [sum(8 * len(encode(lm, piece[:depth])) for piece in pieces) / depth for depth in depths]
    return [size / sum(piece.shape[1] for piece in pieces) for size in sizes]


def _batch(codes: Sequence[np.ndarray], rng: random.Random) -> Tensor:
    chosen = rng.choices(codes, weights=[c.shape[1] for c in codes], k=BATCH)
    frames = min(FRAMES, *(c.shape[1] for c in chosen))
    starts = [rng.randrange(c.shape[1] - frames + 1) for c in chosen]
    crops = [c[:, s : s + frames].astype(np.int64) for c, s in zip(chosen, starts, strict=True)]
    return torch.from_numpy(np.stack(crops))


class LanguageModelTrainer:
    """Trains `lm` in place, at `rate` times the usual learning rates.

    Its state is saved every `SAVE_EVERY` steps to `state_path` and resumed from there.

    Raises `CheckpointError` for a state of a model of other sizes.
    """

    def __init__(self, lm: LanguageModel, state_path: Path, rate: float = 1.0) -> None:
        self.lm, self.state_path, self.step, self.spent_s = lm, state_path, 0, 0.0
        self.matrices = [p for layer in lm.layers() for p in layer.parameters() if p.ndim == 2]
        known = {id(p) for p in self.matrices}
        others = [p for p in lm.parameters() if id(p) not in known]
        adam = torch.optim.AdamW(others, lr=RATE, betas=BETAS, weight_decay=WEIGHT_DECAY, fused=True)
        self.optimizers = [(Muon(self.matrices, lr=MATRIX_RATE), rate * MATRIX_RATE), (adam, rate * RATE)]
        if state_path.exists():
            state = torch.load(state_path, weights_only=True)
            try:
                lm.load_state_dict(state["lm"])
            except RuntimeError as error:
                raise codec.CheckpointError(f"{state_path} is of a language model of other sizes") from error
            for (optimizer, _), saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            self.step, self.spent_s = state["step"], state["spent_s"]
            logger.info("resumed at step %d", self.step)

    def run(
        self, codes: Sequence[np.ndarray], held_out: Sequence[Tensor], steps: int, hours: float | None = None
    ) -> None:
        """Train until `steps`, earlier runs included, or for `hours` of clock time in this call."""
        start, spent_s = time.monotonic(), self.spent_s
        while self.step < steps and (hours is None or time.monotonic() - start < 3600 * hours):
            self._step(codes, steps)
            self.spent_s = spent_s + time.monotonic() - start
            if self.step % SAVE_EVERY == 0:
                self._save()
                logger.info("step %d of %d: %s", self.step, steps, _report(self.lm, held_out))
        self._save()
        logger.info("%d steps in %.2f h: %s", self.step, self.spent_s / 3600, _report(self.lm, held_out))

    def _step(self, codes: Sequence[np.ndarray], steps: int) -> None:
        rng = random.Random(self.step)
        for optimizer, rate in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * warmed_cosine(self.step, steps, round(WARM_UP * steps))
        depth = min(rng.choices(DEPTHS, DEPTH_SHARES)[0], self.lm.config.codebooks)
        heads = rng.sample(range(depth), min(HEADS, depth))
        offset = 0 if rng.random() < AT_START else int(2 ** rng.uniform(0, LOG2_LONGEST))
        loss = loss_of(self.lm, _batch(codes, rng), depth, heads, offset)
        self.lm.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.lm.parameters(), MOST_GRADIENT)
        for optimizer, _ in self.optimizers:
            optimizer.step()
        with torch.no_grad():
            for matrix in self.matrices:
                matrix.mul_((MOST_ROW * len(matrix) ** 0.5 / matrix.norm()).clamp(max=1))
        self.step += 1

    def _save(self) -> None:
        state = {"lm": self.lm.state_dict(), "optimizers": [optimizer.state_dict() for optimizer, _ in self.optimizers]}
        with replacing(self.state_path) as part:
            torch.save(state | {"step": self.step, "spent_s": self.spent_s}, part)


def _report(lm: LanguageModel, held_out: Sequence[Tensor]) -> str:
    return "bits per code " + _listed(bits(lm, held_out))


def _listed(rates: Sequence[float]) -> str:
    return ", ".join(f"{rate:.3f} (K={depth})" for rate, depth in zip(rates, DEPTHS, strict=False))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m codec.training.language_model", description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders of audio")
    parser.add_argument("--model", default="encodec_24khz_tiny", help="codec whose codes are modelled")
    parser.add_argument("--work", type=Path, required=True, help="folder for codes and training state")
    parser.add_argument("--out", type=Path, required=True, help="file to write: language_model.safetensors")
    parser.add_argument("--name", default="tiny-lm", help="name that files coded with it carry")
    parser.add_argument("--init", type=Path, help="begin from this language model of the same sizes, or fewer layers")
    parser.add_argument("--steps", type=int, default=6000, help="of the run (default 6000)")
    parser.add_argument("--rate", type=float, default=1.0, help="times the usual learning rates; less with --init")
    parser.add_argument("--hours", type=float, help="stop after this long; the same command resumes")
    parser.add_argument("--audio-hours", type=float, default=math.inf, help="of the audio to use, chosen at random")
    parser.add_argument("--versions", type=int, default=1, help="of each piece of audio, at other gains and speeds")
    parser.add_argument("--validation", type=Path, help="folder of audio to report on (default: pieces of the data)")
    parser.add_argument("--threads", type=int, default=1)
    return parser


def _run(options: argparse.Namespace) -> None:
    model = codec.load_model(options.model)
    work = options.work / fingerprint(model)
    paths = extract(model, options.data, work / "codes", options.audio_hours, options.versions)
    random.Random(0).shuffle(paths)
    if options.validation is None:
        others, paths = paths[:HELD_OUT], paths[HELD_OUT:]
    else:
        others = extract(model, [options.validation], work / "validation", versions=options.versions)
    if not paths or not others:
        found = f"{len(paths) + len(others)} pieces of audio above {LEAST_FRAMES / model.config.frame_rate:g} s"
        raise codec.AudioError(f"{found}; expected {HELD_OUT + 1}, or 1 and with --validation a folder with another")
    codes = [np.load(path) for path in paths]
    held_out = [torch.from_numpy(np.load(path)[:, :FRAMES].astype(np.int64)) for path in others[:HELD_OUT]]
    sizes = replace(SIZES, codebooks=model.config.num_quantizers, codebook_size=model.config.codebook_size)
    lm = new_model(codes, sizes, options.name, model.checkpoint_sha256)
    if options.init is not None:
        start_from(lm, LanguageModel.load(options.init), held_out)
    logger.info("%d pieces; start: %s", len(codes), _report(lm, held_out))
    trainer = LanguageModelTrainer(lm, work / "state.pt", options.rate)
    trainer.run(codes, held_out, options.steps, options.hours)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lm.save(options.out)
    saved = LanguageModel.load(options.out)
    logger.info("%s: sha256 %s, %s", options.out, saved.sha256, _report(saved, held_out))
    logger.info("in files %s", _listed(coded_bits(saved, held_out)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 for input that cannot be used."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    try:
        with fast_products("cpu"):
            _run(options)
    except (CodecError, OSError) as error:
        print(f"codec.training.language_model: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
