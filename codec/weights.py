"""Find, check, convert, read and write checkpoints: hub ids, folders, facebook's `.th` files, and the bundled ones.

In memory weights are plain (weight norm folded) under transformers' names. On disk they are transformers' own format.
"""

import functools
import hashlib
import logging
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
from safetensors.torch import load_file, save_file
from torch import Tensor

from codec.config import CONFIG_NAME, EncodecConfig
from codec.errors import CheckpointError

logger = logging.getLogger(__name__)

DEFAULT_MODEL = "facebook/encodec_24khz"
BUNDLED_FOLDER = Path(__file__).parent / "pretrained"
DEFAULT_BUNDLED_MODEL = "encodec_24khz_tiny"
WEIGHTS_NAMES = ("model.safetensors", "pytorch_model.bin")
REACHABILITY_TIMEOUT_S = 2.5

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


def bundled_models() -> list[str]:
    """Names of the checkpoints that come with this package."""
    return sorted(path.parent.name for path in BUNDLED_FOLDER.glob(f"*/{CONFIG_NAME}"))


def available_models() -> list[str]:
    """Names that load without a network: facebook's in the hub cache, then the bundled ones."""
    hub = [name for name in FACEBOOK_CONFIGS if _cached(name)]
    return hub + bundled_models()


def default_model() -> str:
    """facebook/encodec_24khz where it is cached or can be downloaded, else the bundled small model, with a warning."""
    if _cached(DEFAULT_MODEL) or hub_reachable():
        return DEFAULT_MODEL
    logger.warning(
        "%s is neither cached nor downloadable here: using the bundled %s", DEFAULT_MODEL, DEFAULT_BUNDLED_MODEL
    )
    return DEFAULT_BUNDLED_MODEL


def find(name: str | PathLike[str], **hub_options: Any) -> Checkpoint:
    """The files of a checkpoint, downloaded if the name is a hub id.

    Args:
        name: a bundled name, a folder with config.json and weights, a facebook `.th` file, or a hub id.
        hub_options: revision, cache_dir, local_files_only, token, as in `huggingface_hub.hf_hub_download`.

    Raises `CheckpointError` naming what is missing or allowed.
    """
    name = str(name)
    path = Path(name)
    if path.is_file():
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


def find_file(name: str | PathLike[str], file: str, **hub_options: Any) -> Path | None:
    """One file of a checkpoint by bundled name, folder or hub id; None if the checkpoint has no such file.

    Raises `CheckpointError` if there is no such checkpoint or it cannot be had.
    """
    name = str(name)
    folder = BUNDLED_FOLDER / name if name in bundled_models() else Path(name)
    if folder.is_dir():
        return folder / file if (folder / file).is_file() else None
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or name.endswith(".th"):
        raise CheckpointError(
            f"no model {name!r}: give one of {', '.join(bundled_models())}, a hub id such as {DEFAULT_MODEL}, "
            f"a folder with {CONFIG_NAME} and {WEIGHTS_NAMES[0]}, or a .th file"
        )
    cached = _cached_file(name, file, **hub_options)
    if cached is not None:
        return cached
    if not hub_options.get("local_files_only") and not hub_reachable():
        hub_options["local_files_only"] = True
    try:
        return Path(huggingface_hub.hf_hub_download(name, file, **hub_options))
    except LocalEntryNotFoundError as error:
        if _cached_file(name, CONFIG_NAME, **hub_options) is not None:
            return None
        raise CheckpointError(
            f"{name} is not in the local cache and the hub cannot be reached; bundled: {', '.join(bundled_models())}"
        ) from error
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, ValueError, OSError) as error:
        raise CheckpointError(f"cannot get {name} from the hub: {error}") from error


def read(checkpoint: Checkpoint) -> tuple[EncodecConfig, dict[str, Tensor]]:
    """Configuration and plain weights (weight norm folded, in float64) under transformers' names.

    Raises `CheckpointError` for a file that is damaged, no EnCodec model, or holds NaN or infinite values.
    """
    state = _read_tensors(checkpoint.weights)
    if checkpoint.config is not None:
        config = EncodecConfig.from_json_file(checkpoint.config)
    else:
        state = _from_facebook_names(state)
        config = _facebook_config(state, checkpoint)
    state = {key: value for key, value in _fold_weight_norm(state).items() if not _IGNORED_KEYS.search(key)}
    for key, value in state.items():
        if not bool(value.isfinite().all()):
            raise CheckpointError(f"{checkpoint.weights}: {key} holds NaN or infinite values")
    return config, state


@functools.cache
def hub_reachable() -> bool:
    """Whether the hub answers, decided once a process within 3 s."""
    answered: list[bool] = []

    def ask() -> None:
        try:
            huggingface_hub.get_session().head(huggingface_hub.constants.ENDPOINT, timeout=REACHABILITY_TIMEOUT_S)
            answered.append(True)
        except (OSError, OfflineModeIsEnabled):
            pass
        except Exception as error:  # whatever the HTTP client of the day raises, it means no
            logger.debug("the hub cannot be reached: %s", error)

    # A thread, because a resolver that hangs honours no timeout.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACHABILITY_TIMEOUT_S)
    return bool(answered)


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
            direction = folded.pop(stem + direction_name, None)
            if direction is None:
                raise CheckpointError(f"{key} has no {direction_name[1:]} beside it")
            norm = folded.pop(key)
            length = direction.double().flatten(1).norm(dim=1).view(-1, 1, 1)
            folded[f"{stem}.weight"] = direction.double() * (norm.double() / length)
    return folded


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


def _facebook_config(state: Mapping[str, Tensor], checkpoint: Checkpoint) -> EncodecConfig:
    """Of facebook's two models a `.th` file holds weights of one; only the 48 kHz model has norm layers."""
    if any(".norm." in key for key in state):
        return FACEBOOK_CONFIGS["facebook/encodec_48khz"]
    if not any(key.startswith("encoder.layers.") for key in state):
        raise CheckpointError(f"{checkpoint.weights} holds no EnCodec model")
    return FACEBOOK_CONFIGS[DEFAULT_MODEL]


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no checkpoint make the readers raise almost anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{path} is damaged or no checkpoint: {reason}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path} is not a dictionary of tensors")
    return state


def _cached_file(name: str, file: str, **hub_options: Any) -> Path | None:
    options = {key: hub_options.get(key) for key in ("cache_dir", "revision")}
    found = huggingface_hub.try_to_load_from_cache(name, file, **options)
    return Path(found) if isinstance(found, str) else None


def _cached(name: str) -> bool:
    return _cached_file(name, CONFIG_NAME) is not None and any(_cached_file(name, file) for file in WEIGHTS_NAMES)


def check_name_digest(path: Path) -> None:
    """Released `.th` files carry the start of their sha256 in their name, as in encodec_24khz-d7cc33bc.th."""
    named = re.search(r"-([0-9a-f]{8,64})$", path.stem)
    if named is None:
        logger.warning("%s: its name does not end in -<sha256 prefix>, so its contents cannot be checked", path)
        return
    digest = Checkpoint(str(path), path, None).sha256()
    if not digest.startswith(named[1]):
        raise CheckpointError(f"{path} is damaged: its sha256 begins with {digest[:8]}, not {named[1]}")
