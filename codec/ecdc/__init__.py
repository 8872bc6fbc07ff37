"""`.ecdc` files: bit packing, range coding, entropy coding, the container, and audio in and out."""

from codec.ecdc.container import Header, Piece, read_header, scale_bytes
from codec.ecdc.files import (
    compress,
    compress_blocks,
    compress_codes,
    decompress,
    describe,
    open_file,
    read_codes,
    recode,
    short_name,
)
from codec.ecdc.transcode import transcode, transcode_file

__all__ = [
    "Header",
    "Piece",
    "compress",
    "compress_blocks",
    "compress_codes",
    "decompress",
    "describe",
    "open_file",
    "read_codes",
    "read_header",
    "recode",
    "scale_bytes",
    "short_name",
    "transcode",
    "transcode_file",
]
