"""Small models for tests and fuzzing of `.ecdc` bytes, and the seeds of the corpus in `tests/corpus_ecdc`."""

import io
from pathlib import Path

import torch

import codec
from codec.container import Header, Piece, Writer, piece_frames
from codec.language_model import LanguageModel, LanguageModelConfig

FOLDER = Path(__file__).parent / "corpus_ecdc"
PREFIX = 1  # bytes before the file in a corpus entry: which of CONFIGS it is read with, and +128 to skip damage
SIZES = {"target_bandwidths": (0.6, 1.2), "sampling_rate": 1000, "upsampling_ratios": (5, 2), "codebook_size": 64}
CHUNKS = {"chunk_length_s": 0.5, "overlap": 0.02, "normalize": True, "norm_type": "time_group_norm"}
CONFIGS = [
    codec.EncodecConfig(num_filters=2, **SIZES),
    codec.EncodecConfig(num_filters=2, **SIZES, **CHUNKS),
]


def small_language_model() -> LanguageModel:
    torch.manual_seed(0)
    lm = LanguageModel(LanguageModelConfig(2, 64, 8, 2, 1, 8, 10), "lm")
    for head in lm.linears:
        torch.nn.init.normal_(head.weight, std=0.5)
    return lm.eval().requires_grad_(False)


LM = small_language_model()


def file_of(audio_length: int, config: codec.EncodecConfig, lm: LanguageModel | None, version: int) -> bytes:
    """A valid file of random codes."""
    generator = torch.Generator().manual_seed(audio_length)
    writer = Writer(Header(version, "toy", 0, 2, lm is not None, lm_name="lm" if version else ""), config, lm)
    for frames in piece_frames(config, audio_length):
        codes = torch.randint(config.codebook_size, (2, frames), generator=generator)
        writer.add(Piece(codes, 0.5 if config.normalize else None))
    file = io.BytesIO()
    writer.finish(file, audio_length)
    return file.getvalue()


def write_seeds() -> None:
    """Valid files of every kind, to start fuzzing from."""
    FOLDER.mkdir(exist_ok=True)
    for number, config in enumerate(CONFIGS):
        for length in (0, 30, 1200):
            for version, lm in ((0, None), (0, LM), (1, LM)):
                name = f"valid-{number}-{length}-v{version}{'-lm' if lm else ''}"
                (FOLDER / name).write_bytes(bytes([number]) + file_of(length, config, lm, version))


if __name__ == "__main__":
    write_seeds()
