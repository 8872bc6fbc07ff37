"""Which scores a journal holds, and where: in memory, in some ten bytes a line."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

Cell = tuple[str, str]  # names of a point and of a metric


@dataclass
class Index:
    """What is on disk, in some ten bytes a line: millions of lines are no burden.

    `finished`: of each clip the number of its name and the set of its cells, as bits; `clips`, `cells`, `sizes`: line
    by line the numbers of clip and cell and the length in bytes.
    """

    finished: dict[str, tuple[int, int]] = field(default_factory=dict)
    bits: dict[Cell, int] = field(default_factory=dict)
    clips: "array[int]" = field(default_factory=lambda: array("i"))
    cells: "array[int]" = field(default_factory=lambda: array("i"))
    sizes: "array[int]" = field(default_factory=lambda: array("i"))

    def add(self, clip: str, cell: Cell, size: int) -> None:
        bit = self.bits.setdefault(cell, len(self.bits))
        number, done = self.finished.get(clip) or (len(self.finished), 0)
        self.finished[clip] = (number, done | 1 << bit)
        self.clips.append(number)
        self.cells.append(bit)
        self.sizes.append(size)

    def has(self, clip: str, cell: Cell) -> bool:
        bit = self.bits.get(cell)
        return bit is not None and clip in self.finished and bool(self.finished[clip][1] >> bit & 1)

    def spans(self, clips: Iterable[str], cells: Sequence[Cell]) -> list[tuple[int, int]]:
        """Start and end in bytes of the stretches of the file that, one after the other, are in the order of the run.

        Lines of other clips or cells are left out, and of two lines for one cell the last counts.
        """
        clip_starts = {clip: n * len(cells) for n, clip in enumerate(clips)}
        cell_numbers = {cell: n for n, cell in enumerate(cells)}
        outside = -(len(clip_starts) + 1) * (len(cells) + 1)  # makes every sum with it negative
        of_clip = np.array([clip_starts.get(clip, outside) for clip in self.finished], dtype=np.int64)
        of_cell = np.array([cell_numbers.get(cell, outside) for cell in self.bits], dtype=np.int64)
        place = of_clip[np.asarray(self.clips)] + of_cell[np.asarray(self.cells)]
        order = np.argsort(place, kind="stable")
        order = order[np.searchsorted(place, 0, sorter=order) :]
        if not len(order):
            return []
        order = order[np.append(np.diff(place[order]) != 0, True)]
        breaks = np.flatnonzero(np.diff(order) != 1)
        firsts, lasts = order[np.append(0, breaks + 1)], order[np.append(breaks, len(order) - 1)]
        sizes = np.asarray(self.sizes)
        ends = np.cumsum(sizes, dtype=np.int64)
        return list(zip((ends[firsts] - sizes[firsts]).tolist(), ends[lasts].tolist(), strict=True))
