"""The codec models that the app offers."""

import html
import os
import sys
from pathlib import Path

import torch

import codec
from codec.weights import DEFAULT_MODEL, hub_reachable
from encodec_eval.systems import Encodec
from encodec_eval.types import EvalError

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def own_models() -> dict[str, str]:
    """The checkpoint folders in `$ENCODEC_MODELS` by their last part; ends the program where one is none."""
    folders = [Path(folder) for folder in os.environ.get("ENCODEC_MODELS", "").split(os.pathsep) if folder]
    try:
        for folder in folders:
            if not folder.is_dir():
                raise codec.CheckpointError(f"{folder} is not a folder")
            codec.weights.find(folder)
    except codec.CheckpointError as error:
        print(f"ENCODEC_MODELS: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    return {folder.resolve().name: str(folder.resolve()) for folder in folders}


OWN_MODELS = own_models()


def offered_models() -> dict[str, str]:
    """Names to choose from and what each loads, the default first.

    They are the checkpoints on this machine, facebook's if they can be downloaded, and those of `own_models`, which
    take the place of others of that last part.
    """
    here = codec.available_models()
    if DEFAULT_MODEL not in here and hub_reachable():
        here = [DEFAULT_MODEL, "facebook/encodec_48khz", *here]
    return {name: name for name in here if Path(name).name not in OWN_MODELS} | OWN_MODELS


def system(model: str, bandwidths: tuple[float, ...] | None = None) -> Encodec:
    """One of the offered models; raises `EvalError` for any other: a visitor names no path and no repository."""
    models = offered_models()
    if model not in models:
        raise EvalError(f"there is no model {model!r}: expected {', '.join(models)}")
    return Encodec(models[model], bandwidths, DEVICE, title=model)


def about(model: str) -> str:
    """What a model is and whose it is: HTML."""
    found = codec.weights.find(offered_models()[model]).config
    assert found is not None  # every offered model has one
    config = codec.EncodecConfig.from_json_file(found)
    what = f"{config.sampling_rate // 1000} kHz {'stereo' if config.audio_channels == 2 else 'mono'}"
    if model in OWN_MODELS:
        text = f"a {what} checkpoint that was added to this page."
    elif model.startswith("facebook/"):
        text = f"the {what} model that Meta AI published with the paper."
    else:
        released = f"facebook/encodec_{config.sampling_rate // 1000}khz"
        text = f"a small {what} model trained for this project. {released} is larger and sounds better."
    return f"<p><b>{html.escape(model)}</b>: {html.escape(text)}</p>"
