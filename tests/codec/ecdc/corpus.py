"""Small models for tests and fuzzing of `.ecdc` bytes, and the seeds of the corpus in `tests/codec/ecdc/seeds`."""

import contextlib
import io
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import torch

import codec
from codec.ecdc import container
from codec.ecdc import header as header_module
from codec.ecdc.container import Segment, Writer, segment_frames
from codec.ecdc.header import Header, read_header
from codec.lm.model import LanguageModel, LanguageModelConfig

FOLDER = Path(__file__).parent / "seeds"
PREFIX = 1  # bytes before the file in a corpus entry: which of CONFIGS it is read with, plus these
SKIP_DAMAGED, NO_CHECKSUMS = 128, 64  # all checksums are 0: what they guard is reached by inputs that chance makes
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
    for frames in segment_frames(config, audio_length):
        codes = torch.randint(config.codebook_size, (2, frames), generator=generator)
        writer.add(Segment(codes, 0.5 if config.normalize else None))
    file = io.BytesIO()
    writer.finish(file, audio_length)
    return file.getvalue()


def read_entry(data: bytes) -> None:
    """Read a corpus entry. Raises `EcdcError` for damage, `AssertionError` for pieces that are not the file's."""
    config = CONFIGS[data[0] % len(CONFIGS)]
    file = io.BytesIO(data[PREFIX:])
    with checksums(not data[0] & NO_CHECKSUMS):
        header = read_header(file)
        lm = LM if header.lm else None
        pieces = list(container.read(file, header, config, lm, skip_damaged=bool(data[0] & SKIP_DAMAGED)))
    frames = sum(segment_frames(config, header.audio_length))
    decoded = [piece.codes for piece in pieces if piece.codes is not None]
    assert all(int(codes.min()) >= 0 and int(codes.max()) < config.codebook_size for codes in decoded)
    if len(decoded) == len(pieces):
        assert sum(codes.shape[1] for codes in decoded) == frames


def checksums(wanted: bool) -> contextlib.AbstractContextManager[object]:
    """Within it every CRC32 of the container is 0, unless `wanted`."""
    stack = contextlib.ExitStack()
    for module in () if wanted else (container, header_module):
        stack.enter_context(mock.patch.object(module, "zlib", SimpleNamespace(crc32=lambda data, value=0: 0)))
    return stack


def write_seeds() -> None:
    """Valid files of every kind, to start fuzzing from."""
    FOLDER.mkdir(exist_ok=True)
    for number, config in enumerate(CONFIGS):
        for length in (0, 30, 1200):
            for version, lm in ((0, None), (0, LM), (1, LM)):
                # Facebook's entropy-coded files are valid only where matrix products have the bits they had here.
                kind = "local" if lm and not version else "valid"
                name = f"{kind}-{number}-{length}-v{version}{'-lm' if lm else ''}"
                (FOLDER / name).write_bytes(bytes([number]) + file_of(length, config, lm, version))
                if version:
                    with checksums(False):
                        data = bytes([number | NO_CHECKSUMS]) + file_of(length, config, lm, version)
                    (FOLDER / f"{name}-unchecked").write_bytes(data)


if __name__ == "__main__":
    write_seeds()
