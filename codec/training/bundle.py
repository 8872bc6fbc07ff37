"""`python -m codec.training.bundle MODEL FOLDER`: write a model small enough to come with a package."""

import argparse
import sys
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from codec.errors import CodecError
from codec.model import EncodecModel
from codec.weights import WEIGHTS_NAMES


def bundle(name: str | PathLike[str], folder: Path) -> None:
    """Write a model in float16 and without the running sums of its codebooks, which only training reads.

    Raises `CheckpointError` for a model that cannot be read.
    """
    EncodecModel.from_pretrained(name).save_pretrained(folder, dtype=torch.float16)
    path = folder / WEIGHTS_NAMES[0]
    kept = {key: value for key, value in load_file(path).items() if not key.endswith(".embed_avg")}
    save_file(kept, path, metadata={"format": "pt"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 for input that cannot be used."""
    parser = argparse.ArgumentParser("python -m codec.training.bundle", description="Write a model in float16.")
    parser.add_argument("model", help="bundled name, folder, hub id or .th file")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    try:
        bundle(options.model, options.folder)
    except (CodecError, OSError) as error:
        print(f"codec.training.bundle: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
