"""A model to a folder of ONNX graphs, with `config.json` beside: what `codec.onnx.OnnxCodec` and the web page open."""

import contextlib
import json
import logging
import math
import warnings
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from codec.ecdc.models import short_name
from codec.errors import CheckpointError
from codec.hub import CONFIG_NAME
from codec.model import EncodecModel
from codec.onnx.graph import DecoderGraph, EncoderGraph, state_size

OPSET = 20
MIN_OPSET = 18  # the exporter's
_TRACED_FRAMES = 24
_CODEBOOKS = "embeds."  # of an encoder, all that `half` halves: its network in float16 changes a sixth of the codes
_AXES = {  # None where the model says how many
    "audio": ("B", None, "T"),
    "codes": ("B", "K", "F"),
    "scale": ("B", None),
    "state": ("B", None),
    "next_state": ("B", None),
    "codebooks": (None,),
}


def export(
    model: EncodecModel,
    folder: str | PathLike[str],
    *,
    opset: int = OPSET,
    stream: bool = False,
    int_codes: bool = False,
    half: bool = False,
) -> None:
    """Write `encoder.onnx`, `decoder.onnx` and `config.json`; `codec/onnx/README.md` describes them.

    Args:
        opset: version of ONNX's operations, at least `MIN_OPSET`.
        stream: also `encoder_stream.onnx` and `decoder_stream.onnx`, with a state in and out.
        int_codes: codes are int32, which JavaScript reads as plain numbers, instead of int64.
        half: weights are stored as float16, but for the encoder's network, and computed with as float32.

    Raises `CheckpointError` for a model or an opset that cannot be exported, or without the packages that do it.
    """
    _check(model, opset, stream)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    code_type = torch.int32 if int_codes else torch.int64
    sizes = {}
    for streamed in (False, True) if stream else (False,):
        for name in ("encoder", "decoder"):
            file = f"{name}_stream" if streamed else name
            graph, inputs, outputs = _graph(model, name, code_type, streamed)
            if streamed:
                sizes[name] = inputs["state"].shape[1]
            _write(graph, inputs, outputs, folder / f"{file}.onnx", opset, half)
    about = {
        "model": short_name(model),
        "checkpoint_sha256": model.checkpoint_sha256,
        "opset": opset,
        "codes": "int32" if int_codes else "int64",
        "weights": "float16" if half else "float32",
        "state_size": sizes,
        "warmup_frames": {"encoder": model.encoder.warmup_frames, "decoder": model.decoder.warmup_frames},
    }
    values = {**model.config.to_dict(), "onnx": about}
    values.pop("dtype", None)  # the graphs have their own
    (folder / CONFIG_NAME).write_text(json.dumps(values, indent=2, sort_keys=True, default=str) + "\n", "utf-8")


def _check(model: EncodecModel, opset: int, stream: bool) -> None:
    config = model.config
    if opset < MIN_OPSET:
        raise CheckpointError(f"opset {opset} given, expected {MIN_OPSET} or more")
    if config.pad_mode != "reflect":
        raise CheckpointError(f"{model.name} has pad_mode {config.pad_mode!r}; to export it, expected 'reflect'")
    if stream and config.segmented:
        raise CheckpointError(f"{model.name} codes segments, each for itself: it streams by its encoder.onnx already")
    if stream and not (model.encoder.streamable and config.trim_right_ratio == 1):
        raise CheckpointError("only a causal model with weight_norm and trim_right_ratio 1 has graphs for streams")
    if stream and config.normalize:
        raise CheckpointError(f"{model.name} scales a clip by the loudness of all of it (normalize): it cannot stream")
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise CheckpointError(f"export needs {error.name}: pip install 'encodec-tools[onnx]'") from error


def _graph(
    model: EncodecModel, name: str, code_type: torch.dtype, stream: bool
) -> tuple[nn.Module, dict[str, Tensor], list[str]]:
    """The graph, an example of its inputs by name, and the names of its outputs."""
    config = model.config
    inputs: dict[str, Tensor] = {}
    if name == "encoder":
        inputs["audio"] = torch.randn(2, config.audio_channels, _TRACED_FRAMES * config.hop_length + 37)
    else:
        inputs["codes"] = torch.zeros(2, 3, _TRACED_FRAMES, dtype=code_type)
        if config.normalize:
            inputs["scale"] = torch.ones(2, 1)
    if stream:
        stack, channels = (
            (model.encoder, config.audio_channels) if name == "encoder" else (model.decoder, config.hidden_size)
        )
        inputs["state"] = torch.zeros(2, state_size(stack, channels))
    if name == "decoder":
        return DecoderGraph(model, stream), inputs, ["audio", *["next_state"] * stream]
    inputs["codebooks"] = torch.tensor([config.num_quantizers])
    scale = ["scale"] * config.normalize
    return EncoderGraph(model, code_type, stream), inputs, ["codes", *scale, *["next_state"] * stream]


def _write(graph: nn.Module, inputs: dict[str, Tensor], outputs: list[str], path: Path, opset: int, half: bool) -> None:
    import onnx

    with _quiet():
        program = torch.onnx.export(
            graph.eval(),
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=outputs,
            opset_version=opset,
            dynamic_shapes=_dynamic(list(inputs)),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    for value in (*proto.graph.input, *proto.graph.output):
        _name_axes(value)
    if half:
        _halve(proto, only=_CODEBOOKS if isinstance(graph, EncoderGraph) else "")
    onnx.checker.check_model(proto)
    onnx.save(proto, path)


def _dynamic(names: list[str]) -> tuple[Any, ...]:
    """Which axes of the inputs vary, in the form of the arguments `(first, *others)`."""
    first, *others = (
        {number: torch.export.Dim.DYNAMIC for number, axis in enumerate(_AXES[name]) if axis} for name in names
    )
    return (first, tuple(others)) if others else (first,)


def _name_axes(value: Any) -> None:
    """Inputs and outputs by the project's letters, where the exporter's formulas would say as little as its numbers."""
    for axis, dimension in zip(_AXES[value.name], value.type.tensor_type.shape.dim, strict=True):
        if axis is not None:
            dimension.dim_param = axis


def _halve(proto: Any, only: str) -> None:
    """Store the weights whose names begin with `only` as float16, before a cast that runtimes fold away on loading."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in proto.graph.initializer:
        if weight.data_type == TensorProto.FLOAT and math.prod(weight.dims) > 1 and weight.name.startswith(only):
            name = weight.name
            weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype("float16"), f"{name}_half"))
            casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own insides."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
