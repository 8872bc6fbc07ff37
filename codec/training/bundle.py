"""`python -m codec.training.bundle MODEL FOLDER`: write a model small enough to come with a package."""

import argparse
import sys
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file, save_file

from codec.errors import CheckpointError, CodecError
from codec.layers import Conv
from codec.model import EncodecModel
from codec.weights import WEIGHTS_NAMES


@torch.no_grad()
def bundle(name: str | PathLike[str], folder: Path, gain_db: float = 0.0) -> None:
    """Write a model in float16 and without the running sums of its codebooks, which only training reads.

    Args:
        gain_db: by which its output is made louder; what the decoder is unsure of, it makes too quiet.

    Raises `CheckpointError` for a model that cannot be read, or for a gain if its last layer is normalised.
    """
    model = EncodecModel.from_pretrained(name)
    if gain_db:
        if model.config.norm_type != "weight_norm":
            raise CheckpointError(
                f"{name} normalises its last layer ({model.config.norm_type}); a gain needs weight_norm"
            )
        last = cast(Conv, model.decoder.layers[-1]).conv
        for parameter in last.parameters():
            parameter.mul_(10 ** (gain_db / 20))
    model.save_pretrained(folder, dtype=torch.float16)
    path = folder / WEIGHTS_NAMES[0]
    kept = {key: value for key, value in load_file(path).items() if not key.endswith(".embed_avg")}
    save_file(kept, path, metadata={"format": "pt"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 for input that cannot be used."""
    parser = argparse.ArgumentParser("python -m codec.training.bundle", description="Write a model in float16.")
    parser.add_argument("model", help="bundled name, folder, hub id or .th file")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gain-db", type=float, default=0.0, help="make its output louder")
    options = parser.parse_args(arguments)
    try:
        bundle(options.model, options.folder, options.gain_db)
    except (CodecError, OSError) as error:
        print(f"codec.training.bundle: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
