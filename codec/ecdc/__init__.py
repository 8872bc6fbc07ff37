"""`.ecdc` files: bit packing, range coding, entropy coding, the container, and audio in and out."""

from typing import TYPE_CHECKING

from codec.lazy import loader

if TYPE_CHECKING:
    from codec.ecdc.container import Segment, scale_bytes
    from codec.ecdc.files import (
        compress,
        compress_blocks,
        compress_codes,
        decompress,
        describe,
        open_file,
        read_codes,
    )
    from codec.ecdc.header import Header, read_header
    from codec.ecdc.models import short_name
    from codec.ecdc.transcoding import transcode, transcode_file

__all__ = [
    "Header",
    "Segment",
    "compress",
    "compress_blocks",
    "compress_codes",
    "decompress",
    "describe",
    "open_file",
    "read_codes",
    "read_header",
    "scale_bytes",
    "short_name",
    "transcode",
    "transcode_file",
]

_HOMES = {
    "container": ["Segment", "scale_bytes"],
    "files": ["compress", "compress_blocks", "compress_codes", "decompress", "describe", "open_file", "read_codes"],
    "header": ["Header", "read_header"],
    "models": ["short_name"],
    "transcoding": ["transcode", "transcode_file"],
}

if not TYPE_CHECKING:  # to the type checker, any name would be right
    __getattr__ = loader(__name__, _HOMES)  # header and bits are read without torch
