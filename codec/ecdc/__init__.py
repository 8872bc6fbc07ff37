"""`.ecdc` files: bit packing, range coding, entropy coding, the container, and audio in and out."""

from codec.ecdc.container import Header, Segment, read_header, scale_bytes
from codec.ecdc.files import (
    compress,
    compress_blocks,
    compress_codes,
    decompress,
    describe,
    open_file,
    read_codes,
    short_name,
)

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
]
