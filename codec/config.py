"""`EncodecConfig`: everything that defines the architecture and framing of an EnCodec model, and numbers derived."""

import json
import math
from dataclasses import asdict, dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any

from codec.errors import CheckpointError

CONFIG_NAME = "config.json"
_NORM_TYPES = ("weight_norm", "time_group_norm")
_PAD_MODES = ("reflect", "replicate", "constant", "circular")


@dataclass(frozen=True)
class EncodecConfig:
    """Configuration of an EnCodec model, with the field names and defaults of transformers' `EncodecConfig`.

    The defaults are those of facebook/encodec_24khz. Bandwidths are in kbps, rates in Hz, `chunk_length_s` in seconds,
    `overlap` a fraction of the chunk. Raises `ValueError` naming the field for values no model can be built from.
    """

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

    def __post_init__(self) -> None:
        object.__setattr__(self, "target_bandwidths", tuple(float(rate) for rate in self.target_bandwidths))
        object.__setattr__(self, "upsampling_ratios", tuple(self.upsampling_ratios))
        if self.codebook_dim is None:
            object.__setattr__(self, "codebook_dim", self.hidden_size)
        self._validate()

    def _validate(self) -> None:
        def require(ok: bool, name: str, allowed: str) -> None:
            if not ok:
                raise ValueError(f"EncodecConfig.{name} must be {allowed}, got {getattr(self, name)!r}")

        positive = ("sampling_rate", "hidden_size", "num_filters", "kernel_size", "last_kernel_size", "compress")
        for name in (*positive, "residual_kernel_size", "dilation_growth_rate", "num_lstm_layers", "codebook_size"):
            value = getattr(self, name)
            require(isinstance(value, int) and value >= 1, name, "a positive integer")
        blocks = self.num_residual_layers
        require(isinstance(blocks, int) and blocks >= 0, "num_residual_layers", "an integer of at least 0")
        rates = self.target_bandwidths
        require(bool(rates) and all(rate > 0 for rate in rates), "target_bandwidths", "positive kbps")
        require(list(rates) == sorted(rates), "target_bandwidths", "in ascending order")
        ratios = self.upsampling_ratios
        require(
            bool(ratios) and all(isinstance(r, int) and r >= 1 for r in ratios), "upsampling_ratios", "integers >= 1"
        )
        require(self.audio_channels in (1, 2), "audio_channels", "1 or 2")
        require(self.norm_type in _NORM_TYPES, "norm_type", f"one of {_NORM_TYPES}")
        require(self.pad_mode in _PAD_MODES, "pad_mode", f"one of {_PAD_MODES}")
        require(self.chunk_length_s is None or self.chunk_length_s > 0, "chunk_length_s", "None or positive")
        require(self.overlap is None or 0 <= self.overlap < 1, "overlap", "None or in [0, 1)")
        require(self.chunk_length_s is None or self.overlap is not None, "overlap", "given when chunk_length_s is")
        require(0 <= self.trim_right_ratio <= 1, "trim_right_ratio", "in [0, 1]")
        require(self.use_causal_conv or self.trim_right_ratio == 1, "trim_right_ratio", "1 without use_causal_conv")
        require(2**self.codebook_nbits == self.codebook_size, "codebook_size", "a power of two")
        require(self.codebook_dim == self.hidden_size, "codebook_dim", f"hidden_size ({self.hidden_size}) or None")
        require(self.compress <= self.num_filters, "compress", f"at most num_filters ({self.num_filters})")
        require(self.num_quantizers >= 1, "target_bandwidths", "at least the bitrate of one codebook")

    @property
    def chunk_length(self) -> int | None:
        """Samples in a segment, or None where a clip is coded whole."""
        return None if self.chunk_length_s is None else int(self.chunk_length_s * self.sampling_rate)

    @property
    def chunk_stride(self) -> int | None:
        """Samples from the start of a segment to the start of the next, or None where a clip is coded whole."""
        if self.chunk_length is None or self.overlap is None:
            return None
        return max(1, int((1.0 - self.overlap) * self.chunk_length))

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
        """Codebooks at the highest bandwidth."""
        return int(1000 * self.target_bandwidths[-1] // (self.frame_rate * self.codebook_nbits))

    def codebooks_for(self, bandwidth: float | None) -> int:
        """Codebooks used at a target bandwidth in kbps; None means the lowest, as in transformers.

        Raises `ValueError` for a bandwidth that is not one of `target_bandwidths`.
        """
        if bandwidth is None:
            bandwidth = self.target_bandwidths[0]
        if bandwidth not in self.target_bandwidths:
            raise ValueError(
                f"This model doesn't support the bandwidth {bandwidth}. Select one of {list(self.target_bandwidths)}."
            )
        return max(1, int(bandwidth * 1000 // (self.codebook_nbits * self.frame_rate)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "EncodecConfig":
        """Build from the contents of a config.json; keys that do not concern the architecture are ignored."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})

    def to_dict(self) -> dict[str, Any]:
        """Everything transformers needs to open the same model."""
        return {"model_type": "encodec", "architectures": ["EncodecModel"], **asdict(self)}

    @classmethod
    def from_json_file(cls, path: str | PathLike[str]) -> "EncodecConfig":
        """Read a config.json. Raises `CheckpointError` if it is missing, not JSON, or describes no EnCodec model."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"cannot read the configuration {path}: {error}") from error
        if not isinstance(values, dict) or values.get("model_type", "encodec") != "encodec":
            raise CheckpointError(f"{path} does not describe a model of type 'encodec'")
        try:
            return cls.from_dict(values)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: {error}") from error

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Write `config.json` into `folder`, which is made if missing."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_dict(), indent=2, sort_keys=True)
        (Path(folder) / CONFIG_NAME).write_text(text + "\n", encoding="utf-8")
