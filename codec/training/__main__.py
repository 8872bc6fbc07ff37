"""`python -m codec.training --data DIR --config NAME`: train a model; with torchrun, on several devices."""

import argparse
import ast
import dataclasses
import functools
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.distributed as dist

from codec.errors import CodecError
from codec.model import EncodecModel
from codec.training import curves
from codec.training.configs import CONFIGS, TrainingConfig
from codec.training.data import Crops
from codec.training.products import fast_products
from codec.training.start import companded_start
from codec.training.trainer import CURVES_NAME, STATE_NAME, Trainer
from codec.training.validation import Validation
from codec.training.widen import narrow_latents, widen

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 for input that cannot be used."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    distributed = "RANK" in os.environ
    if distributed:
        dist.init_process_group("nccl" if options.device.startswith("cuda") else "gloo")
    try:
        with fast_products(options.device):
            _train(options, int(os.environ.get("RANK", 0)))
    except (CodecError, OSError) as error:
        print(f"codec.training: {error}", file=sys.stderr)
        return 2
    finally:
        if distributed:
            dist.destroy_process_group()
    return 0


def _train(options: argparse.Namespace, rank: int) -> None:
    config = _override(CONFIGS[options.config], options.set)
    if options.steps is not None:
        if options.steps < 1:
            raise CodecError(f"--steps must be at least 1, not {options.steps}")
        config = dataclasses.replace(config, steps=options.steps)
    folder = options.out or Path("runs") / options.config
    if options.resume and not (folder / STATE_NAME).is_file():
        raise FileNotFoundError(f"{folder} has no {STATE_NAME} to resume from")
    if not options.resume and (folder / STATE_NAME).is_file():
        raise FileExistsError(f"{folder} holds a run; expected --resume to continue it, or another --out")
    device = f"cuda:{os.environ['LOCAL_RANK']}" if options.device == "cuda" and "LOCAL_RANK" in os.environ else None
    crops = functools.partial(
        Crops,
        options.data,
        config.model.sampling_rate,
        config.model.audio_channels,
        round(config.crop_s * config.model.sampling_rate),
        options.batch or config.batch,
        config.augmentation,
        options.seed,
        normalize=config.model.normalize,
    )
    data = crops(rank=rank)
    logger.info("%.2f hours of audio in %d files", data.hours, len(data.files))
    torch.manual_seed(options.seed)
    model = EncodecModel(config.model)
    if options.init:
        source = EncodecModel.from_pretrained(options.init)
        if config.model.hidden_size < source.config.hidden_size:
            source = narrow_latents(source, config.model.hidden_size)
        widen(source, model)
    if config.start == "companded" and not options.init and not options.resume:
        companded_start(model, crops(rank=0).__getitem__)  # the same in every process
    fitted = bool(options.init) or config.start == "companded"
    trainer = Trainer(config, model, data, folder, device or options.device, options.seed, fitted)
    if options.resume:
        trainer.resume()
    validate = Validation(options.validation, options.limit) if options.validation else None
    trainer.run(options.hours, options.save_every, validate, options.validate_every, options.workers)
    if trainer.lead:
        logger.info("curves in %s, model in %s", curves.plot(folder / CURVES_NAME), folder / "model")


def _override(config: TrainingConfig, assignments: Sequence[str]) -> TrainingConfig:
    """`NAME=VALUE` of the configuration's fields, `NAME.NAME=VALUE` of those inside them; values as in Python."""
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        outer, _, inner = name.partition(".")
        try:
            value = ast.literal_eval(text)
            old = getattr(config, outer)
            if inner and isinstance(old, dict):
                value = {**old, inner: value}
            elif inner:
                value = dataclasses.replace(old, **{inner: value})
            config = dataclasses.replace(config, **{outer: value})
        except (AttributeError, SyntaxError, TypeError, ValueError) as error:
            raise CodecError(f"--set expected NAME=VALUE of a field of the configuration, got {assignment}") from error
    return config


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m codec.training", description="Train an EnCodec model.")
    parser.add_argument("--data", type=Path, required=True, help="folder of audio, searched at any depth")
    parser.add_argument("--config", choices=sorted(CONFIGS), required=True)
    parser.add_argument("--out", type=Path, help="folder of the run (default: runs/CONFIG)")
    parser.add_argument("--resume", action="store_true", help="resume from the state in --out")
    parser.add_argument("--init", help="begin from this model's weights: a bundled name, folder or hub id")
    parser.add_argument("--hours", type=float, help="stop after this long; go on with --resume")
    parser.add_argument(
        "--steps", type=int, help="length of the run, in which the rate falls to 0 (default: the configuration's)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="set a field of the configuration"
    )
    parser.add_argument(
        "--device", default="cpu", help="cpu, cuda, cuda:1, ...; under torchrun, cuda gives each process its own GPU"
    )
    parser.add_argument("--batch", type=int, help="items per step and process (default: the configuration's)")
    parser.add_argument("--validation", type=Path, help="folder of held-out recordings")
    parser.add_argument("--limit", type=int, help="recordings of that folder to use")
    parser.add_argument("--validate-every", type=int, default=5000, metavar="STEPS")
    parser.add_argument("--save-every", type=int, default=500, metavar="STEPS")
    parser.add_argument("--workers", type=int, default=0, help="processes that read audio")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
