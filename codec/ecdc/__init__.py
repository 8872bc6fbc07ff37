"""`.ecdc` files: bit packing, range coding, entropy coding, the container, and audio in and out."""

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
from codec.ecdc.transcode import transcode, transcode_file

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
