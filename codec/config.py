"""`EncodecConfig`: everything that defines the architecture and framing of an EnCodec model, and numbers derived."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any

from codec import hub
from codec.config_checks import CHECKS, MAX_LAYERS, checked, to_dtype
from codec.errors import CheckpointError, short
from codec.hub import CONFIG_NAME
from codec.segments import Segmentation

_MAX_SPAN = 2**20  # samples; beyond these two, a file can only be hostile
_MAX_OVERLAPPING = 128


@dataclass(init=False)
class EncodecConfig(Segmentation, hub.Pushable):
    """Configuration of an EnCodec model, with the field names, defaults and methods of transformers' `EncodecConfig`.

    The defaults are those of facebook/encodec_24khz. Bandwidths are in kbps, rates in Hz, `chunk_length_s` in seconds,
    `overlap` a fraction of the chunk. Fields can be assigned; other names are kept as attributes and written back, and
    two configurations are equal if their fields are. Raises `ValueError` naming the field for values no model can be
    built from; what only shows in several fields together is checked at the start and by `validate`.
    """

    model_type = "encodec"

    target_bandwidths: tuple[float, ...] = (1.5, 3.0, 6.0, 12.0, 24.0)
    sampling_rate: int = 24_000
    audio_channels: int = 1
    normalize: bool = False
    chunk_length_s: float | None = None
    overlap: float | None = None
    hidden_size: int = 128
    num_filters: int = 32
    num_residual_layers: int = 1
    upsampling_ratios: tuple[int, ...] = (8, 5, 4, 2)
    norm_type: str = "weight_norm"
    kernel_size: int = 7
    last_kernel_size: int = 7
    residual_kernel_size: int = 3
    dilation_growth_rate: int = 2
    use_causal_conv: bool = True
    pad_mode: str = "reflect"
    compress: int = 2
    num_lstm_layers: int = 2
    trim_right_ratio: float = 1.0
    codebook_size: int = 1024
    codebook_dim: int | None = None
    use_conv_shortcut: bool = True
    return_dict: bool = True

    def __init__(self, **values: Any) -> None:
        """Fields by name; `torch_dtype` or `dtype`, `architectures` and any other name are kept beside them."""
        self._extra: dict[str, Any] = {}
        for field in fields(self):
            setattr(self, field.name, values.pop(field.name, field.default))
        if self.codebook_dim is None:
            self.codebook_dim = self.hidden_size
        values.pop("model_type", None)
        for name, value in values.items():
            self._keep(name, value)
        self.validate()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in CHECKS:
            super().__setattr__(name, checked(name, value))
        elif name == "_extra" or hasattr(type(self), name):
            super().__setattr__(name, value)
        else:
            self._keep(name, value)

    def __getattr__(self, name: str) -> Any:
        # Names that are no fields are kept apart, so that none from a file replaces a method.
        extra = self.__dict__.get("_extra", {})
        name = "dtype" if name == "torch_dtype" else name
        if name in extra:
            return extra[name]
        if name in ("dtype", "architectures"):
            return None
        raise AttributeError(f"EncodecConfig has no {short(name)}")

    def _keep(self, name: str, value: Any) -> None:
        if name in ("dtype", "torch_dtype"):
            name, value = "dtype", to_dtype(value)
        self._extra[name] = value

    def validate(self) -> None:
        """Raises `ValueError` for fields that do not go together."""

        def require(ok: bool, name: str, expected: str) -> None:
            if not ok:
                raise ValueError(f"EncodecConfig.{name} must be {expected}, got {short(getattr(self, name))}")

        require(self.use_causal_conv or self.trim_right_ratio == 1, "trim_right_ratio", "1 without use_causal_conv")
        require(self.codebook_dim == self.hidden_size, "codebook_dim", f"hidden_size ({self.hidden_size}) or None")
        require(self.compress <= self.num_filters, "compress", f"at most num_filters ({self.num_filters})")
        require(1 <= self.num_quantizers <= MAX_LAYERS, "target_bandwidths", f"those of 1 to {MAX_LAYERS} codebooks")
        dilation = self.dilation_growth_rate ** max(0, self.num_residual_layers - 1)
        span = dilation * (self.residual_kernel_size - 1) + 1
        require(span <= _MAX_SPAN, "dilation_growth_rate", f"one whose kernels span at most {_MAX_SPAN} samples")
        if self.chunk_length is not None:
            require(self.chunk_length >= 1, "chunk_length_s", "at least one sample")
            many = self.chunk_length > _MAX_OVERLAPPING * self.segment_stride
            require(not many, "overlap", f"one at which at most {_MAX_OVERLAPPING} segments share a sample")

    @property
    def hop_length(self) -> int:
        """Samples a frame."""
        return math.prod(self.upsampling_ratios)

    @property
    def frame_rate(self) -> int:
        """Frames a second, rounded up as the reference implementations do."""
        return math.ceil(self.sampling_rate / self.hop_length)

    @property
    def codebook_nbits(self) -> int:
        """Bits of one code."""
        return math.ceil(math.log2(self.codebook_size))

    @property
    def num_quantizers(self) -> int:
        """Codebooks at the last of the target bandwidths, which is the highest in every released model."""
        return int(1000 * self.target_bandwidths[-1] // (self.frame_rate * self.codebook_nbits))

    def frames(self, samples: int) -> int:
        """Frames of so many samples, the last one padded."""
        return -(-samples // self.hop_length)

    def codebooks_for(self, bandwidth: float | None) -> int:
        """Codebooks used at a target bandwidth in kbps; None means the first, as in transformers.

        Raises `ValueError` for a bandwidth that is not one of `target_bandwidths`.
        """
        if bandwidth is None:
            bandwidth = self.target_bandwidths[0]
        if bandwidth not in self.target_bandwidths:
            raise ValueError(
                f"This model doesn't support the bandwidth {bandwidth}. Select one of {list(self.target_bandwidths)}."
            )
        codebooks = int(bandwidth * 1000 // (self.codebook_nbits * self.frame_rate))
        return min(max(1, codebooks), self.num_quantizers)

    def update(self, values: Mapping[str, Any]) -> None:
        """Assign every entry."""
        for name, value in values.items():
            setattr(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        """All fields and all that is kept beside them: what transformers needs to open the same model."""
        values = {"architectures": ["EncodecModel"], **self._extra, **asdict(self), "model_type": self.model_type}
        if values.get("dtype") is not None:
            values["dtype"] = str(values["dtype"]).removeprefix("torch.")
        return values

    def to_diff_dict(self) -> dict[str, Any]:
        """`to_dict` without the fields that have their default."""
        defaults = EncodecConfig().to_dict()
        return {
            name: value
            for name, value in self.to_dict().items()
            if name == "model_type" or name not in defaults or value != defaults[name]
        }

    def to_json_string(self, use_diff: bool = True) -> str:
        """`to_diff_dict`, or `to_dict`, as JSON."""
        values = self.to_diff_dict() if use_diff else self.to_dict()
        return json.dumps(values, indent=2, sort_keys=True, default=str) + "\n"

    def to_json_file(self, path: str | PathLike[str], use_diff: bool = True) -> None:
        """Write `to_json_string`."""
        Path(path).write_text(self.to_json_string(use_diff), encoding="utf-8")

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Write `config.json`, with all fields, into `folder`, which is made if missing."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.to_json_file(Path(folder) / CONFIG_NAME, use_diff=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], **changes: Any) -> "EncodecConfig":
        """Build from the contents of a config.json, with `changes` in place of some."""
        return cls(**{**values, **changes})

    @classmethod
    def from_json_file(cls, path: str | PathLike[str], **changes: Any) -> "EncodecConfig":
        """Read a config.json. Raises `CheckpointError` if it is missing, not JSON, or describes no EnCodec model."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(f"cannot read the configuration {path}: {error}") from error
        if not isinstance(values, dict) or values.get("model_type", "encodec") != "encodec":
            raise CheckpointError(f"{path} does not describe a model of type 'encodec'")
        try:
            return cls.from_dict(values, **changes)
        except (ArithmeticError, ValueError) as error:
            raise CheckpointError(f"{path}: {error}") from error

    @classmethod
    def from_pretrained(cls, name: str | PathLike[str], **options: Any) -> "EncodecConfig":
        """The configuration of a model by bundled name, folder or hub id.

        `options` are those of `hub.find_file`; all others replace what the file says.
        Raises `CheckpointError` if there is no such configuration.
        """
        changes = {key: options.pop(key) for key in list(options) if key not in hub.HUB_OPTIONS}
        path = hub.find_file(name, CONFIG_NAME, **options)
        if path is None:
            raise CheckpointError(f"{name} has no {CONFIG_NAME}")
        return cls.from_json_file(path, **changes)
