"""The codec as ONNX graphs: `export` writes them (with torch), `OnnxCodec` runs them (without)."""

from codec.onnx.runner import Coded, OnnxCodec
from codec.onnx.streams import OnnxDecoderStream, OnnxEncoderStream

__all__ = ["Coded", "OnnxCodec", "OnnxDecoderStream", "OnnxEncoderStream"]
