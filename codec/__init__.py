"""EnCodec inference: configuration, feature extraction, model and weights.

Letters of tensor shapes, everywhere in this project: B batch, C channels, T samples, F frames, K codebooks,
D features of a latent, N segments. Audio is `[B, C, T]` or `[C, T]` with full scale at 1.

Names are loaded when they are first used, so that those who read results or files need not wait for torch.
"""

from typing import TYPE_CHECKING

from codec.lazy import loader

if TYPE_CHECKING:
    from codec import audio
    from codec.concealment import ConcealingDecoderStream
    from codec.config import EncodecConfig
    from codec.ecdc import compress, compress_blocks, decompress
    from codec.errors import AudioError, CheckpointError, CodecError, EcdcError
    from codec.features import EncodecFeatureExtractor
    from codec.features import EncodecFeatureExtractor as AutoProcessor
    from codec.lm.model import LanguageModel, language_model_for
    from codec.model import EncodecModel, load_model
    from codec.outputs import EncodecDecoderOutput, EncodecEncoderOutput, EncodecOutput
    from codec.streaming import DecoderStream, EncoderStream
    from codec.weights import available_models

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

_HOMES = {
    "concealment": ["ConcealingDecoderStream"],
    "config": ["EncodecConfig"],
    "ecdc": ["compress", "compress_blocks", "decompress"],
    "errors": ["AudioError", "CheckpointError", "CodecError", "EcdcError"],
    "features": ["AutoProcessor", "EncodecFeatureExtractor"],
    "lm.model": ["LanguageModel", "language_model_for"],
    "model": ["EncodecModel", "load_model"],
    "outputs": ["EncodecDecoderOutput", "EncodecEncoderOutput", "EncodecOutput"],
    "streaming": ["DecoderStream", "EncoderStream"],
    "weights": ["available_models"],
}

if not TYPE_CHECKING:  # to the type checker, any name would be right
    __getattr__ = loader(__name__, _HOMES)

    def __dir__():
        return sorted({*globals(), *__all__})
