"""Codes as packets of a few frames for a line that may lose some, and the decoder at its other end.

A packet holds the codes of its frames and, with `copies`, the first codebooks of the packet before it once more: what
is lost then comes again, coarser and one packet later. Nothing else is in it: no header and no checksum, so bits that
flip on the way are heard.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from codec.concealment import ConcealingDecoderStream, Concealment
from codec.ecdc.bitpack import pack, packed_size, unpack
from codec.model import EncodecModel


@dataclass(frozen=True)
class PacketFormat:
    """What both ends agree on: frames in a packet, codebooks, how many of these the next packet repeats, and the bits
    of a code."""

    frames: int
    codebooks: int
    copies: int = 0
    bits: int = 10

    def __post_init__(self) -> None:
        if self.frames < 1 or self.codebooks < 1:
            raise ValueError(f"packets of {self.frames} frames and {self.codebooks} codebooks; expected 1 or more")
        if not 0 <= self.copies <= self.codebooks:
            raise ValueError(f"{self.copies} codebooks to repeat; expected 0 to {self.codebooks}")

    def pack(self, codes: Tensor) -> list[bytes]:
        """Codes `[K, F]` of a clip as packets, the last one shorter if F is no multiple of `frames`."""
        packets, before = [], codes[: self.copies, :0]
        for part in torch.split(codes, self.frames, dim=-1):
            repeated = pack(before.t().numpy(), self.bits) if self.copies else b""
            packets.append(pack(part.t().numpy(), self.bits) + repeated)
            before = part[: self.copies]
        return packets

    def unpack(self, packet: bytes, first: bool) -> tuple[Tensor, Tensor]:
        """Codes `[K, F]` of a packet, and those `[copies, frames]` of the one before it: none in the `first`."""
        extra = 0 if first else self.copies * self.frames
        own = 8 * (len(packet) - packed_size(extra, self.bits)) // (self.bits * self.codebooks) * self.codebooks
        split = packed_size(own, self.bits)
        parts = unpack(packet[:split], own, self.bits), unpack(packet[split:], extra, self.bits)
        own_codes, extra_codes = (torch.from_numpy(part.copy()) for part in parts)
        return own_codes.reshape(-1, self.codebooks).T, extra_codes.reshape(-1, max(1, self.copies)).T


class PacketDecoder:
    """Packets in, audio out. With copies it waits after a loss for the next packet, which may bring what was lost: a
    player must hold one packet more than without."""

    def __init__(self, model: EncodecModel, form: PacketFormat, concealment: Concealment | None = None) -> None:
        self._form = form
        self._size = model.config.codebook_size
        self._stream = ConcealingDecoderStream(model, concealment)
        self._waiting = False
        self._first = True
        self.concealed = 0  # frames that had to be made up

    def receive(self, packet: bytes | None) -> Tensor:
        """The audio `[1, C, T]` that the next packet completes; None for a packet that was lost."""
        form, audio = self._form, []
        if packet is None:
            if self._waiting:
                audio.append(self._lose())
            self._waiting = form.copies > 0
            if not self._waiting:
                audio.append(self._lose())
        else:
            own, extra = (codes % self._size for codes in form.unpack(packet, self._first))
            if self._waiting:
                audio.append(self._stream.push(extra[None]))
            self._waiting = False
            audio.append(self._stream.push(own[None]))
        self._first = False
        return torch.cat([self._stream.lose(0), *audio], dim=-1)

    def finish(self) -> Tensor:
        """The rest of the audio `[1, C, T]`."""
        audio = [self._lose()] if self._waiting else []
        self._waiting = False
        return torch.cat([*audio, self._stream.flush()], dim=-1)

    def _lose(self) -> Tensor:
        self.concealed += self._form.frames
        return self._stream.lose(self._form.frames)
