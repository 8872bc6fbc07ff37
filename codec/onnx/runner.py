"""`OnnxCodec`: audio to codes and back with onnxruntime and numpy, and `.ecdc` files of version 0; needs no torch."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codec.config import EncodecConfig
from codec.errors import AudioError, CheckpointError
from codec.hub import CONFIG_NAME
from codec.onnx import files

Array = NDArray[Any]


class Coded(NamedTuple):
    """A segment, or a clip that is coded whole: codes `[K, F]`, and its loudness scale (None without `normalize`)."""

    codes: Array
    scale: float | None = None


class OnnxCodec:
    """A folder that `python -m codec export` wrote.

        codec = OnnxCodec("folder")
        audio = codec.decode(codec.encode(wav, bandwidth=6.0), length=wav.shape[1])

    Attributes:
        config: the `EncodecConfig`; config.onnx is what the export says of itself.
    """

    def __init__(self, folder: str | PathLike[str], threads: int = 1) -> None:
        """Raises `CheckpointError` for a folder that is no export, or without onnxruntime."""
        self.folder = Path(folder)
        self.threads = threads
        self.config = EncodecConfig.from_json_file(self.folder / CONFIG_NAME)
        self.about: dict[str, Any] = getattr(self.config, "onnx", None) or {}
        if "codes" not in self.about:
            raise CheckpointError(f"{folder} holds no export; expected one by: python -m codec export MODEL {folder}")
        self._sessions: dict[str, Any] = {}

    def run(self, graph: str, **inputs: Array) -> list[Array]:
        """The outputs of `graph`, a file's stem. Raises `CheckpointError` if the folder lacks it."""
        if graph not in self._sessions:
            self._sessions[graph] = self._open(self.folder / f"{graph}.onnx")
        outputs: list[Array] = self._sessions[graph].run(None, inputs)
        return outputs

    def encode(self, wav: Array, bandwidth: float | None = None) -> list[Coded]:
        """Code `wav [C, T]` (the model's rate and channels, full scale at 1) at one of its bandwidths in kbps.

        Returns its segments, one where a clip is coded whole, none for no samples. Raises `AudioError` for other
        shapes, `ValueError` for other bandwidths.
        """
        count = np.array([self.config.codebooks_for(bandwidth)])
        if wav.ndim != 2 or len(wav) != self.config.audio_channels:
            raise AudioError(f"audio of shape {wav.shape} given, expected [{self.config.audio_channels}, T]")
        coded = []
        for span in self.config.segments(wav.shape[1]):
            audio = wav[None, :, span].astype(np.float32)
            codes, *scale = self.run("encoder", audio=audio, codebooks=count)
            coded.append(Coded(codes[0], float(scale[0][0, 0]) if scale else None))
        return coded

    def decode(self, coded: Sequence[files.Parts], length: int | None = None) -> Array:
        """Audio `[C, T]` of the segments of `encode`, cut to `length`; without it T is a whole number of frames.

        Raises `ValueError` for codes that are not the model's.
        """
        pieces = [self._decode_segment(*segment) for segment in coded]
        if not pieces:
            return np.zeros((self.config.audio_channels, 0), np.float32)
        return _overlap_add(pieces, self.config.segment_stride)[:, :length]

    def _decode_segment(self, codes: Array, scale: float | None) -> Array:
        check_codes(self, codes)
        inputs = {"codes": codes[None].astype(self.about["codes"])}
        if self.config.normalize:
            inputs["scale"] = np.array([[scale]], np.float32)
        piece: Array = self.run("decoder", **inputs)[0][0]
        return piece

    def compress(self, wav: Array, bandwidth: float | None = None) -> bytes:
        """`wav [C, T]` to an `.ecdc` file of version 0, which `ecdc decompress` opens as well."""
        coded = self.encode(wav, bandwidth)
        count = self.config.codebooks_for(bandwidth)
        return files.write(self.config, self.about["model"], wav.shape[1], count, coded)

    def decompress(self, data: bytes) -> tuple[Array, int]:
        """Audio `[C, T]` and its sample rate in Hz. Raises `EcdcError` for what is no such file of this model."""
        length, coded = files.read(self.config, self.about["model"], data)
        return self.decode(coded, length), self.config.sampling_rate

    def new_state(self, part: str) -> Array:
        """The state `[1, S]` of a stream's "encoder" or "decoder" at the start of a clip.

        Raises `CheckpointError` for a folder without graphs for streams.
        """
        sizes: dict[str, int] = self.about.get("state_size", {})
        if part not in sizes:
            raise CheckpointError(f"{self.folder} has no graphs for streams; expected an export with --stream")
        return np.zeros((1, sizes[part]), np.float32)

    def _open(self, path: Path) -> Any:
        try:
            import onnxruntime
        except ImportError as error:
            raise CheckpointError("OnnxCodec needs onnxruntime: pip install 'encodec-tools[onnx]'") from error
        if not path.is_file():
            raise CheckpointError(f"{self.folder} has no {path.name}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def check_codes(codec: OnnxCodec, codes: Array) -> None:
    """Raises `ValueError` for codes that are not `[K, F]` of the model's, which the graph would look up elsewhere."""
    most, size = codec.config.num_quantizers, codec.config.codebook_size
    if codes.ndim != 2 or not 1 <= len(codes) <= most or codes.shape[1] == 0:
        raise ValueError(f"codes of shape {codes.shape} given, expected [1 to {most}, 1 or more]")
    if not 0 <= int(codes.min()) <= int(codes.max()) < size:
        raise ValueError(f"codes from {int(codes.min())} to {int(codes.max())} given, expected 0 to {size - 1}")


def _overlap_add(pieces: list[Array], stride: int) -> Array:
    """As `codec.batching.overlap_add`, of segments `[C, T]`."""
    if len(pieces) == 1:
        return pieces[0]
    total = max(n * stride + piece.shape[1] for n, piece in enumerate(pieces))
    audio, weight = np.zeros((len(pieces[0]), total), np.float32), np.zeros(total, np.float32)
    window = 0.5 - np.abs(np.linspace(0, 1, pieces[0].shape[1] + 2, dtype=np.float32)[1:-1] - 0.5)
    for n, piece in enumerate(pieces):
        span = slice(n * stride, n * stride + piece.shape[1])
        audio[:, span] += window[: piece.shape[1]] * piece
        weight[span] += window[: piece.shape[1]]
    return audio / weight
