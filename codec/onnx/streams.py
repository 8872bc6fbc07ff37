"""Streams over the graphs with a state: any pieces of a clip give the codes and the audio of the whole."""

import numpy as np

from codec.onnx.runner import Array, OnnxCodec, check_codes


class OnnxEncoderStream:
    """Audio in, codes out, frame by frame after a warm-up of `config.onnx["warmup_frames"]["encoder"]` frames."""

    def __init__(self, codec: OnnxCodec, bandwidth: float | None = None) -> None:
        """`bandwidth` in kbps may be set between pushes. Raises `CheckpointError` for a folder without such graphs."""
        codec.new_state("encoder")
        codec.config.codebooks_for(bandwidth)
        self.codec = codec
        self.bandwidth = bandwidth
        self._held = np.zeros((codec.config.audio_channels, 0), np.float32)
        self._state: Array | None = None

    def push(self, samples: Array) -> Array:
        """Codes `[K, F]` that the next samples `[C, T]` complete, F from 0 on."""
        self._held = np.concatenate([self._held, samples.astype(np.float32)], axis=1)
        hop = self.codec.config.hop_length
        ready = self._held.shape[1] // hop * hop
        warmup: int = self.codec.about["warmup_frames"]["encoder"]
        if ready < (hop if self._state is not None else warmup * hop):
            return self._none()
        codes = self._encode(self._held[:, :ready])
        self._held = self._held[:, ready:]
        return codes

    def flush(self) -> Array:
        """Codes `[K, F]` of what is left; the stream is then at the start of a new clip."""
        left, self._held = self._held, self._held[:, :0]
        if left.shape[1] == 0:
            codes = self._none()
        elif self._state is None:
            codes = self.codec.encode(left, self.bandwidth)[0].codes
        else:
            codes = self._encode(left)
        self._state = None
        return codes

    def _encode(self, audio: Array) -> Array:
        if self._state is None:
            self._state = self.codec.new_state("encoder")
        count = np.array([self.codec.config.codebooks_for(self.bandwidth)])
        codes, self._state = self.codec.run("encoder_stream", audio=audio[None], state=self._state, codebooks=count)
        first: Array = codes[0]
        return first

    def _none(self) -> Array:
        return np.zeros((self.codec.config.codebooks_for(self.bandwidth), 0), self.codec.about["codes"])


class OnnxDecoderStream:
    """Codes in, audio out, frame by frame after the warm-up; the number of codebooks stays until the warm-up ends."""

    def __init__(self, codec: OnnxCodec) -> None:
        """Raises `CheckpointError` for a folder without graphs for streams."""
        codec.new_state("decoder")
        self.codec = codec
        self._held: Array | None = None
        self._state: Array | None = None

    def push(self, codes: Array) -> Array:
        """Audio `[C, T]` that the next codes `[K, F]` complete."""
        if codes.shape[1] == 0:
            return self._none()
        check_codes(self.codec, codes)
        held = codes if self._held is None else np.concatenate([self._held, codes], axis=1)
        warmup: int = self.codec.about["warmup_frames"]["decoder"]
        if self._state is None and held.shape[1] < warmup:
            self._held = held
            return self._none()
        self._held = None
        if self._state is None:
            self._state = self.codec.new_state("decoder")
        codes = held[None].astype(self.codec.about["codes"])
        audio, self._state = self.codec.run("decoder_stream", codes=codes, state=self._state)
        first: Array = audio[0]
        return first

    def flush(self) -> Array:
        """The rest of the audio `[C, T]`; the stream is then at the start of a new clip."""
        held, self._held, self._state = self._held, None, None
        return self._none() if held is None else self.codec.decode([(held, None)])

    def _none(self) -> Array:
        return np.zeros((self.codec.config.audio_channels, 0), np.float32)
