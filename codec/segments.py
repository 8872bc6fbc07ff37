"""How a clip is cut into the segments that are coded one after the other: for the configuration and the extractor."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Segments:
    """The segments of a clip of `length` samples, made when asked for: a clip may have millions.

    Each is a `slice` of the clip's samples. They start `stride` samples apart and have `size` samples, the last ones
    as many as are left; without a stride the clip is one segment.
    """

    length: int
    size: int
    stride: int | None

    def __len__(self) -> int:
        if self.stride is None:
            return 1 if self.length else 0
        return -(-self.length // self.stride)

    def __getitem__(self, number: int) -> slice:
        start = number * (self.stride or self.length)
        if not 0 <= start < self.length:
            raise IndexError(f"segment {number} of {len(self)}")
        return slice(start, min(start + self.size, self.length))

    def __iter__(self) -> Iterator[slice]:
        if self.stride is None and self.length:
            yield slice(0, self.length)
        elif self.stride is not None:
            for start in range(0, self.length, self.stride):
                yield slice(start, min(start + self.size, self.length))


class Segmentation:
    """What follows from `sampling_rate` (Hz), `chunk_length_s` (None: clips are coded whole) and `overlap`."""

    sampling_rate: int
    chunk_length_s: float | None
    overlap: float | None

    @property
    def chunk_length(self) -> int | None:
        """Samples in a segment, or None where a clip is coded whole."""
        return None if self.chunk_length_s is None else int(self.chunk_length_s * self.sampling_rate)

    @property
    def chunk_stride(self) -> int | None:
        """Samples from the start of a segment to the start of the next; None without segments or `overlap`."""
        if self.chunk_length is None or self.overlap is None:
            return None
        return max(1, int((1.0 - self.overlap) * self.chunk_length))

    @property
    def segmented(self) -> bool:
        """Whether clips are coded in segments."""
        return self.chunk_length_s is not None

    @property
    def segment_stride(self) -> int:
        """As `chunk_stride`, but segments without `overlap` follow each other; 0 where a clip is coded whole."""
        return self.chunk_stride or self.chunk_length or 0

    def segments(self, length: int) -> Segments:
        """The segments of a clip of `length` samples."""
        if self.chunk_length is None:
            return Segments(length, length, None)
        return Segments(length, self.chunk_length, self.segment_stride)
