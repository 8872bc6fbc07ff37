"""What every model of this package can do besides coding: load, save, become trainable, describe itself."""

import functools
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from codec import hub, weights
from codec.config import EncodecConfig
from codec.config_checks import to_dtype
from codec.errors import CheckpointError
from codec.features import EncodecFeatureExtractor

_NO_EFFECT = ("attn_implementation", "low_cpu_mem_usage", "trust_remote_code", "use_safetensors", "weights_only")
_PROBE_FRAMES = 8
P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound="PretrainedModel")


def without_graph_until_trained(
    method: Callable[Concatenate[M, P], R],
) -> Callable[Concatenate[M, P], R]:
    """A model loaded for inference records nothing for gradients, whether or not its caller says `no_grad`."""

    @functools.wraps(method)
    def run(self: M, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if not self.inference_only:
            return method(self, *args, **kwargs)
        with torch.no_grad():
            return method(self, *args, **kwargs)

    return run


class PretrainedModel(nn.Module, hub.Pushable):
    """Loading and saving with the names and arguments of transformers' `PreTrainedModel`.

    Attributes:
        config: the `EncodecConfig`.
        name: hub id, bundled name or path the weights came from; "random" if they came from nowhere.
        checkpoint_sha256: of the file the weights came from; empty if from nowhere.
        inference_only: no gradients are recorded; ends with `train()` or `requires_grad_()`.
    """

    config_class = EncodecConfig
    base_model_prefix = "encodec"
    main_input_name = "input_values"

    def __init__(self, config: EncodecConfig) -> None:
        super().__init__()
        config.validate()
        self.config = config
        self.name = "random"
        self.checkpoint_sha256 = ""
        self.inference_only = False

    def reconstruct(self, wav: Tensor) -> Tensor:
        """Code and decode `[B, C, T]` at the highest bandwidth, as one segment: `[B, C, T']`."""
        raise NotImplementedError

    @classmethod
    def from_pretrained(
        cls: type[M],
        name: str | PathLike[str] | None,
        *,
        config: EncodecConfig | str | PathLike[str] | None = None,
        state_dict: Mapping[str, Tensor] | None = None,
        dtype: torch.dtype | str = torch.float32,
        torch_dtype: torch.dtype | str | None = None,
        device_map: str | torch.device | None = None,
        **options: Any,
    ) -> M:
        """Load a model for inference: nothing is recorded for gradients until `train()` or `requires_grad_()`.

        Args:
            name: a bundled name, a folder with config.json and weights, a facebook `.th` file, or a hub id; None with
                `config` and `state_dict`.
            config: instead of the checkpoint's own, or where to find it.
            state_dict: weights instead of the checkpoint's own, under transformers' names or facebook's.
            dtype: of the weights in memory, "auto" for that of the configuration; weight norm is folded in float64
                before. `torch_dtype` is its older name.
            device_map: the device to load to; "auto" is the GPU if there is one.
            options: fields of the configuration to change, and those of `hub.find_file`.

        Raises `CheckpointError` naming what is missing, damaged or does not fit, `TypeError` for unknown options.
        """
        where, sha256 = str(name), ""
        if isinstance(config, (str, PathLike)):
            config = EncodecConfig.from_pretrained(config, **_hub_options(options))
        if state_dict is None or config is None:
            if name is None:
                raise ValueError("from_pretrained(None) expects both config and state_dict")
            checkpoint = weights.find(name, **_hub_options(options))
            found, state = weights.read(checkpoint)
            config = found if config is None else config
            where, sha256 = str(checkpoint.weights), "" if state_dict is not None else checkpoint.sha256()
        _change(config, options)
        wanted = config.dtype or torch.float32 if dtype == "auto" else dtype
        model = cls._loaded(config, state if state_dict is None else state_dict, to_dtype(torch_dtype or wanted), where)
        model.name, model.checkpoint_sha256 = "random" if name is None else str(name), sha256
        return model if device_map is None else model.to(_device(device_map))

    @classmethod
    def _loaded(
        cls: type[M], config: EncodecConfig, state: Mapping[str, Tensor], dtype: torch.dtype | None, where: str
    ) -> M:
        def shapes() -> Mapping[str, Tensor]:
            with torch.device("meta"):  # takes no memory
                return cls(config).state_dict()

        try:
            state = weights.plain(state)
            weights.check_values(state)
            weights.check_fit(config, state, shapes)
            model = cls(config).to(dtype)
            model.load_state_dict(state)
            model.eval().inference_only = True
            model._check_audio()
        except CheckpointError as error:
            raise CheckpointError(f"{where}: {error}") from error
        return model

    def _check_audio(self) -> None:
        """Raises `CheckpointError` if the weights, though finite, make audio that is not."""
        generator = torch.Generator().manual_seed(0)
        shape = 1, self.config.audio_channels, _PROBE_FRAMES * self.config.hop_length
        probe = 0.1 * torch.randn(shape, generator=generator)
        try:
            audio = self.reconstruct(probe.to(self.dtype))
        except NotImplementedError:  # a dtype that the CPU cannot compute in
            return
        if not bool(audio.isfinite().all()):
            raise CheckpointError(f"the weights overflow in {self.dtype}: a test signal gives NaN or infinite audio")

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As `nn.Module.load_state_dict`; takes weight norm too, and facebook's names."""
        return super().load_state_dict(weights.plain(state_dict), strict, assign)

    def save_pretrained(self, folder: str | PathLike[str], *, dtype: torch.dtype | None = None) -> None:
        """Write a folder that transformers opens as well, with weights of `dtype` (default: the model's)."""
        weights.write(self.config, self.state_dict(), folder, dtype or self.dtype)
        EncodecFeatureExtractor.from_config(self.config).save_pretrained(folder)

    def train(self: M, mode: bool = True) -> M:
        if mode:
            self.inference_only = False
        return super().train(mode)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        if requires_grad:
            self.inference_only = False
        return super().requires_grad_(requires_grad)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @property
    def name_or_path(self) -> str:
        return self.name

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """How many numbers the parameters hold. The codebooks are buffers, so there are no embeddings to exclude."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad or not only_trainable)


def _hub_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key in hub.HUB_OPTIONS}


def _change(config: EncodecConfig, options: Mapping[str, Any]) -> None:
    """Assign the options that are fields of the configuration. Raises `TypeError` for those that mean nothing."""
    for key, value in options.items():
        if hasattr(config, key):
            setattr(config, key, value)
        elif key not in hub.HUB_OPTIONS and key not in _NO_EFFECT:
            raise TypeError(f"EncodecModel.from_pretrained got an unexpected option {key!r}")


def _device(device_map: str | torch.device) -> torch.device:
    if device_map == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device_map)
