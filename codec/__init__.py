"""EnCodec inference: configuration, feature extraction, model and weights.

Letters of tensor shapes, everywhere in this project: B batch, C channels, T samples, F frames, K codebooks,
D features of a latent, N segments. Audio is `[B, C, T]` or `[C, T]` with full scale at 1.
"""

from codec import audio
from codec.concealment import ConcealingDecoderStream
from codec.config import EncodecConfig
from codec.ecdc import compress, compress_blocks, decompress
from codec.errors import AudioError, CheckpointError, CodecError, EcdcError
from codec.features import EncodecFeatureExtractor
from codec.lm.model import LanguageModel, language_model_for
from codec.model import EncodecModel, load_model
from codec.outputs import EncodecDecoderOutput, EncodecEncoderOutput, EncodecOutput
from codec.streaming import DecoderStream, EncoderStream
from codec.weights import available_models

AutoProcessor = EncodecFeatureExtractor  # the name transformers' documented examples use

__all__ = [
    "AudioError",
    "AutoProcessor",
    "CheckpointError",
    "CodecError",
    "ConcealingDecoderStream",
    "DecoderStream",
    "EcdcError",
    "EncodecConfig",
    "EncodecDecoderOutput",
    "EncodecEncoderOutput",
    "EncodecFeatureExtractor",
    "EncodecModel",
    "EncodecOutput",
    "EncoderStream",
    "LanguageModel",
    "audio",
    "available_models",
    "compress",
    "compress_blocks",
    "decompress",
    "language_model_for",
    "load_model",
]
