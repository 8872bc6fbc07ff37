"""Find, check, convert, read and write checkpoints: hub ids, folders, facebook's `.th` files, and the bundled ones.

In memory weights are plain (weight norm folded) under transformers' names. On disk they are transformers' own format.
"""

import copy
import hashlib
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from codec import hub
from codec.config import EncodecConfig
from codec.errors import CheckpointError, short
from codec.hub import CONFIG_NAME, bundled_models, cached_file, find_file

logger = logging.getLogger(__name__)

DEFAULT_MODEL = "facebook/encodec_24khz"
DEFAULT_BUNDLED_MODEL = "encodec_24khz_tiny"
WEIGHTS_NAMES = ("model.safetensors", "pytorch_model.bin")

FACEBOOK_CONFIGS = {
    DEFAULT_MODEL: EncodecConfig(),
    "facebook/encodec_48khz": EncodecConfig(
        target_bandwidths=(3.0, 6.0, 12.0, 24.0),
        sampling_rate=48_000,
        audio_channels=2,
        normalize=True,
        chunk_length_s=1.0,
        overlap=0.01,
        norm_type="time_group_norm",
        use_causal_conv=False,
    ),
}

# Training state of the quantiser, and layer constants that old files carry: nothing that inference needs.
_IGNORED_KEYS = re.compile(r"\.(inited|cluster_size|embed_avg|stride|kernel_size|padding_total)$")
_FACEBOOK_NAMES = (
    (r"^(encoder|decoder)\.model\.", r"\1.layers."),
    (r"\.conv(tr)?\.conv(tr)?\.", ".conv."),
    (r"\.conv(tr)?\.norm\.", ".norm."),
    (r"^quantizer\.vq\.layers\.", "quantizer.layers."),
    (r"\._codebook\.", ".codebook."),
)
_REAL_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_WEIGHT_NORM_NAMES = (
    (".weight_g", ".weight_v"),
    (".parametrizations.weight.original0", ".parametrizations.weight.original1"),
)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on this machine: what the caller called it, its weights file, and its config.json if it has one."""

    name: str
    weights: Path
    config: Path | None

    def sha256(self) -> str:
        """Of the weights file, as hexadecimal digits."""
        digest = hashlib.sha256()
        with self.weights.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()


def available_models() -> list[str]:
    """Names that load without a network: facebook's in the hub cache, then the bundled ones."""
    cached = [name for name in FACEBOOK_CONFIGS if _cached(name)]
    return cached + bundled_models()


def default_model() -> str:
    """facebook/encodec_24khz where it is cached or can be downloaded, else the bundled small model, with a warning."""
    if _cached(DEFAULT_MODEL) or hub.hub_reachable():
        return DEFAULT_MODEL
    logger.warning(
        "%s is neither cached nor downloadable here: using the bundled %s", DEFAULT_MODEL, DEFAULT_BUNDLED_MODEL
    )
    return DEFAULT_BUNDLED_MODEL


def find(name: str | PathLike[str], **hub_options: Any) -> Checkpoint:
    """The files of a checkpoint, downloaded if the name is a hub id.

    Args:
        name: a bundled name, a folder with config.json and weights, a facebook `.th` file, or a hub id.
        hub_options: as in `hub.find_file`.

    Raises `CheckpointError` naming what is missing or expected.
    """
    name = str(name)
    path = Path(name)
    if os.path.isfile(path):  # False for names that no path can have
        if path.suffix != ".th":
            raise CheckpointError(f"{name} is a file but not a .th checkpoint; give its folder instead")
        check_name_digest(path)
        return Checkpoint(name, path, None)
    config = find_file(name, CONFIG_NAME, **hub_options)
    if config is None:
        raise CheckpointError(f"{name} has no {CONFIG_NAME}")
    for file in WEIGHTS_NAMES:
        weights = find_file(name, file, **hub_options)
        if weights is not None:
            return Checkpoint(name, weights, config)
    raise CheckpointError(f"{name} has neither {' nor '.join(WEIGHTS_NAMES)}")


def read(checkpoint: Checkpoint) -> tuple[EncodecConfig, dict[str, Tensor]]:
    """Configuration and plain weights (weight norm folded, in float64) under transformers' names.

    Raises `CheckpointError` for a file that is damaged, no EnCodec model, or holds values no model can have.
    """
    try:
        state = plain(_read_tensors(checkpoint.weights))
        check_values(state)
        if checkpoint.config is None:
            return _facebook_config(state), state
    except CheckpointError as error:
        raise CheckpointError(f"{checkpoint.weights}: {error}") from error
    return EncodecConfig.from_json_file(checkpoint.config), state


def plain(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of any of the sources under transformers' names, with weight norm folded, without training state.

    Raises `CheckpointError` for norms and directions that do not fit each other.
    """
    state = _fold_weight_norm(_from_facebook_names(state))
    return {key: value for key, value in state.items() if not _IGNORED_KEYS.search(key)}


def check_values(state: Mapping[str, Tensor]) -> None:
    """Raises `CheckpointError` for weights that are no real numbers, not finite, or too large to measure distances."""
    for key, value in state.items():
        if not _is_real(value):
            raise CheckpointError(
                f"{short(key)} has type {value.dtype}, expected float16, bfloat16, float32 or float64"
            )
        if not bool(value.isfinite().all()):
            raise CheckpointError(f"{short(key)} holds NaN or infinite values")
        if key.endswith(".embed") and not bool(value.float().pow(2).sum(dim=-1).isfinite().all()):
            raise CheckpointError(f"{short(key)} holds values whose squares overflow")


def check_fit(config: EncodecConfig, state: Mapping[str, Tensor], wanted: Callable[[], Mapping[str, Tensor]]) -> None:
    """Raises `CheckpointError` if the weights are not those that the configuration asks for.

    `wanted` makes such weights; it is called only if the checkpoint has enough for that to take little time.
    """
    layers = config.num_quantizers + 2 * config.num_lstm_layers
    layers += 2 * len(config.upsampling_ratios) * max(1, config.num_residual_layers)
    if layers > len(state):
        raise CheckpointError(f"the configuration describes {layers} layers, there are {len(state)} weights")
    try:
        shapes = {key: value.shape for key, value in wanted().items()}
    except (RuntimeError, ArithmeticError) as error:  # sizes that no tensor can have
        raise CheckpointError(f"the configuration does not describe a model: {short(str(error))}") from error
    for problem, keys in (("lacks", shapes.keys() - state.keys()), ("has unknown", state.keys() - shapes.keys())):
        if keys:
            raise CheckpointError(f"the checkpoint {problem} {len(keys)} weights, among them {short(min(keys))}")
    for key, value in state.items():
        if value.shape != shapes[key]:
            given, expected = tuple(value.shape), tuple(shapes[key])
            raise CheckpointError(f"{key} has shape {given}, the configuration expects {expected}")


def write(
    config: EncodecConfig, state: Mapping[str, Tensor], folder: str | PathLike[str], dtype: torch.dtype | None = None
) -> None:
    """Write config.json and model.safetensors as transformers has them, from plain weights, in `dtype` if given."""
    config.save_pretrained(folder)
    entries = _unfold_weight_norm(state) if config.norm_type == "weight_norm" else dict(state)
    for key, embed in state.items():
        if key.endswith(".embed"):
            # The training state of a codebook in its simplest true form: every codeword is the mean of one vector.
            entries[key.removesuffix("embed") + "inited"] = torch.ones(1)
            entries[key.removesuffix("embed") + "cluster_size"] = torch.ones(len(embed))
            entries[key.removesuffix("embed") + "embed_avg"] = embed.clone()
    entries = {key: value.detach().to("cpu", dtype).contiguous() for key, value in entries.items()}
    save_file(entries, Path(folder) / WEIGHTS_NAMES[0], metadata={"format": "pt"})


def _fold_weight_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Replace each pair of norm g and direction v by the weight `g * v / |v|`, computed in float64."""
    folded = dict(state)
    for norm_name, direction_name in _WEIGHT_NORM_NAMES:
        for key in [key for key in folded if key.endswith(norm_name)]:
            stem = key.removesuffix(norm_name)
            norm, direction = folded.pop(key), folded.pop(stem + direction_name, None)
            if direction is None:
                raise CheckpointError(f"{short(key)} has no {direction_name[1:]} beside it")
            if not (_is_real(norm) and _is_real(direction)):
                raise CheckpointError(f"{short(key)} has types {norm.dtype}, {direction.dtype}, expected real numbers")
            if direction.ndim != 3 or norm.shape != (len(direction), 1, 1):
                shapes = f"{tuple(norm.shape)} and {tuple(direction.shape)}"
                raise CheckpointError(
                    f"{short(key)} has shapes {shapes} of norm and direction, not (D, 1, 1), (D, *, *)"
                )
            length = direction.double().flatten(1).norm(dim=1).view(-1, 1, 1)
            folded[f"{stem}.weight"] = direction.double() * (norm.double() / length)
    return folded


def _is_real(value: Tensor) -> bool:
    """Whether a tensor lies here as plain numbers of the types that models are made of."""
    return value.dtype in _REAL_TYPES and value.layout == torch.strided and not value.is_meta


def _unfold_weight_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Split the weights of convolutions into norm and direction."""
    norm_name, direction_name = _WEIGHT_NORM_NAMES[1]
    unfolded = dict(state)
    for key in [key for key in state if key.endswith(".conv.weight")]:
        weight = unfolded.pop(key)
        stem = key.removesuffix(".weight")
        norm = weight.double().flatten(1).norm(dim=1).view(-1, 1, 1).to(weight.dtype)
        unfolded[stem + norm_name] = norm
        unfolded[stem + direction_name] = torch.where(norm > 0, weight, 1.0)  # zeros have no direction: any will do
    return unfolded


def _from_facebook_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the entries of a facebook `.th` checkpoint to transformers' names."""
    renamed = {}
    for key, value in state.items():
        for pattern, replacement in _FACEBOOK_NAMES:
            key = re.sub(pattern, replacement, key)
        renamed[key] = value
    return renamed


def _facebook_config(state: Mapping[str, Tensor]) -> EncodecConfig:
    """Of facebook's two models a `.th` file holds weights of one; only the 48 kHz model has norm layers."""
    if not any(key.startswith("encoder.layers.") for key in state):
        raise CheckpointError("these are not the weights of an EnCodec model")
    name = "facebook/encodec_48khz" if any(".norm." in key for key in state) else DEFAULT_MODEL
    return copy.deepcopy(FACEBOOK_CONFIGS[name])


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no checkpoint make the readers raise almost anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"damaged, or not a checkpoint: {short(reason)}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError("expected a dictionary of tensors")
    return state


def _cached(name: str) -> bool:
    return cached_file(name, CONFIG_NAME) is not None and any(cached_file(name, file) for file in WEIGHTS_NAMES)


def check_name_digest(path: Path) -> None:
    """Released `.th` files carry the start of their sha256 in their name, as in encodec_24khz-d7cc33bc.th."""
    named = re.search(r"-([0-9a-f]{8,64})$", path.stem)
    if named is None:
        logger.warning("%s: its name does not end in -<sha256 prefix>, so its contents cannot be checked", path)
        return
    digest = Checkpoint(str(path), path, None).sha256()
    if not digest.startswith(named[1]):
        raise CheckpointError(f"{path} is damaged: its sha256 begins with {digest[:8]}, not {named[1]}")
