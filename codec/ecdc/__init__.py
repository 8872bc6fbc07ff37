"""`.ecdc` files: bit packing, range coding, entropy coding, the container, and audio in and out."""

from importlib import import_module
from typing import TYPE_CHECKING

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

_HOMES = {
    "container": ["Segment", "scale_bytes"],
    "files": ["compress", "compress_blocks", "compress_codes", "decompress", "describe", "open_file", "read_codes"],
    "header": ["Header", "read_header"],
    "models": ["short_name"],
}

if not TYPE_CHECKING:  # loaded when used: header and bits are read without torch

    def __getattr__(name):
        for home, names in _HOMES.items():
            if name in names:
                return getattr(import_module(f"codec.ecdc.{home}"), name)
        raise AttributeError(f"module 'codec.ecdc' has no attribute {name!r}")
