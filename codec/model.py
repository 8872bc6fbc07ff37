"""`EncodecModel`: audio to codes and back, with the calls, outputs and errors of transformers' `EncodecModel`."""

from collections.abc import Sequence
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from codec import batching, weights
from codec.base import PretrainedModel, without_graph_until_trained
from codec.config import EncodecConfig
from codec.outputs import EncodecDecoderOutput, EncodecEncoderOutput, EncodecOutput
from codec.quantizer import ResidualVectorQuantizer
from codec.seanet import Decoder, Encoder


class EncodecModel(PretrainedModel):
    """The EnCodec neural audio codec (arXiv 2210.13438).

    Batches may mix lengths: with a `padding_mask`, every item gets exactly the codes and the audio it gets alone.
    The model holds nothing of a run, so one instance serves any number of callers.

    What differs from transformers' `EncodecModel`:

    ==========================  =====================================================================================
    weights in memory           plain, weight norm folded: `state_dict` has `conv.weight` where theirs has norm and
                                direction, `num_parameters` counts it so; files and `load_state_dict` take both
    gradients                   a model from `from_pretrained` records none until `train()` or `requires_grad_()`
    outputs                     unpack to values, as the tuples of `return_dict=False` do, not to keys
    padding                     enters nothing; in theirs it enters scale, norms and last frame
    absent                      what serves their Trainer, pipelines and text models: `gradient_checkpointing_enable`,
                                `post_init`, `resize_token_embeddings`, `id2label`, `save_pretrained(max_shard_size=)`,
                                sharded files, quantisation, adapters, device maps of more than one device
    ==========================  =====================================================================================

    To tune the decoder (through the codes no gradient reaches the encoder, as in transformers)::

        model = EncodecModel.from_pretrained("facebook/encodec_24khz").train()
        model.encoder.requires_grad_(False)
        optimizer = torch.optim.Adam(model.decoder.parameters(), lr=1e-4)
        for wav in batches:  # [B, 1, T]
            loss = (model(wav, bandwidth=6.0).audio_values - wav).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.save_pretrained("tuned")  # transformers opens it

    All parts together are tuned by `python -m codec.training --config encodec_24khz --init facebook/encodec_24khz`.
    """

    def __init__(self, config: EncodecConfig) -> None:
        super().__init__(config)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quantizer = ResidualVectorQuantizer(config)
        self.bits_per_codebook = config.codebook_nbits

    def get_encoder(self) -> Encoder:
        return self.encoder

    def get_decoder(self) -> Decoder:
        return self.decoder

    @without_graph_until_trained
    def reconstruct(self, wav: Tensor) -> Tensor:
        return self.decode_segment(*self.encode_segment(wav))

    @without_graph_until_trained
    def encode(
        self,
        input_values: Tensor,
        padding_mask: Tensor | None = None,
        bandwidth: float | None = None,
        return_dict: bool | None = None,
    ) -> EncodecEncoderOutput | tuple[Any, ...]:
        """Encode audio at a target bandwidth.

        Args:
            input_values: `[B, C, T]` at the model's rate, full scale at 1.
            padding_mask: `[B, T]` or `[B, C, T]`, or with a B of 1 for all items: non-zero where an item has audio;
                padding stands on the right and enters nothing. Without it nothing depends on the data, as
                `torch.compile` and `torch.export` need it.
            bandwidth: kbps, one of `config.target_bandwidths`; None means the first.
            return_dict: False returns a tuple.

        Returns `EncodecEncoderOutput`. N = ceil(T / chunk_stride) segments, or 1 if the clip is coded whole, of
        F = ceil(segment / hop_length) frames. Where an item has no frame, its codes and scales are 0.
        Raises `ValueError` for other shapes, bandwidths, channels, masks, or an item without samples.
        """
        codebooks = self.config.codebooks_for(bandwidth)
        self._check_audio_shape(input_values)
        batch, _, total = input_values.shape
        if padding_mask is not None and padding_mask.shape[-1] != total:
            raise ValueError(f"padding_mask has {padding_mask.shape[-1]} samples, input_values {total}")
        frames = [self.config.frames(span.stop - span.start) for span in self.config.segments(total)]
        codes = torch.zeros(len(frames), batch, codebooks, frames[0], dtype=torch.int64, device=input_values.device)
        scales = input_values.new_zeros(len(frames), batch, 1) if self.config.normalize else None
        for length, items in batching.groups(padding_mask, batch, total).items():
            spans = list(self.config.segments(length))
            for run in batching.runs([span.stop - span.start for span in spans]):
                wav = torch.cat([input_values[items, :, span] for span in spans[run]])
                run_codes, scale = self.encode_segment(wav, codebooks)
                shape = (run.stop - run.start, -1)
                codes[run, items, :, : run_codes.shape[-1]] = run_codes.reshape(*shape, *run_codes.shape[1:])
                if scales is not None and scale is not None:
                    scales[run, items] = scale.reshape(*shape, 1)
        output = EncodecEncoderOutput(
            codes, list(scales) if scales is not None else [None] * len(frames), frames[0] - frames[-1]
        )
        return output if self._wants_dict(return_dict) else output.to_tuple()

    @without_graph_until_trained
    def encode_segment(self, x: Tensor, codebooks: int | None = None) -> tuple[Tensor, Tensor | None]:
        """Encode one segment (or whole clip) `[B, C, T]` with the first `codebooks` codebooks (default all).

        Returns codes `[B, K, F]` and the loudness scale `[B, 1]`, None without `config.normalize`.
        """
        scale = None
        if self.config.normalize:
            scale = x.mean(dim=1).pow(2).mean(dim=-1, keepdim=True).sqrt() + 1e-8
            x = x / scale.unsqueeze(1)
        return self.quantizer.encode(self.encoder(x), codebooks).transpose(0, 1), scale

    @without_graph_until_trained
    def decode(
        self,
        audio_codes: Tensor,
        audio_scales: Sequence[Tensor | None],
        padding_mask: Tensor | None = None,
        return_dict: bool | None = None,
        last_frame_pad_length: int = 0,
    ) -> EncodecDecoderOutput | tuple[Tensor]:
        """Decode what `encode` returned.

        Args:
            audio_codes: `[N, B, K, F]`. audio_scales: N scales `[B, 1]` or None.
            padding_mask: that of `encode`: audio is cut to its length, and to silence where an item has ended.
            return_dict: False returns a tuple.
            last_frame_pad_length: that of `encode`.

        Returns `EncodecDecoderOutput` with audio `[B, C, T]`; without a mask T is a whole number of frames, so it can
        exceed what was encoded. Raises `ValueError` for codes, scales or lengths that do not fit the model.
        """
        if audio_codes.ndim != 4 or len(audio_codes) == 0 or audio_codes.shape[-1] == 0:
            raise ValueError(
                f"audio_codes must be [N, B, K, F], none of them 0, not of shape {tuple(audio_codes.shape)}"
            )
        segments, batch, _, frames = audio_codes.shape
        if self.config.chunk_length is None and segments != 1:
            raise ValueError(f"Expected one frame, got {segments}")
        if len(audio_scales) != segments:
            raise ValueError(f"{len(audio_scales)} audio_scales given for {segments} segments")
        if not 0 <= last_frame_pad_length < frames:
            raise ValueError(f"last_frame_pad_length must be in [0, {frames}), got {last_frame_pad_length}")
        self.quantizer.check(audio_codes.movedim(2, 0))
        total = (segments - 1) * self.config.segment_stride
        total += (frames - last_frame_pad_length) * self.config.hop_length
        if padding_mask is None:
            counts = [frames] * (segments - 1) + [frames - last_frame_pad_length]
            audio = self._decode_items(audio_codes, audio_scales, slice(None), counts)[..., :total].to(self.dtype)
        else:
            total = min(total, padding_mask.shape[-1])
            audio = torch.zeros(batch, self.config.audio_channels, total, dtype=self.dtype, device=self.device)
            for length, items in batching.groups(padding_mask, batch, total).items():
                spans = list(self.config.segments(length))[:segments]
                counts = [self.config.frames(span.stop - span.start) for span in spans]
                group = self._decode_items(audio_codes, audio_scales, items, counts)
                audio[items, :, :length] = group[..., :length].to(audio.dtype)
        return EncodecDecoderOutput(audio) if self._wants_dict(return_dict) else (audio,)

    def _decode_items(
        self, codes: Tensor, scales: Sequence[Tensor | None], items: batching.Items, counts: list[int]
    ) -> Tensor:
        """Audio `[B, C, T]` of some items, of which the first `counts[n]` frames of segment n are decoded."""
        pieces: list[Tensor] = []
        for run in batching.runs(counts):
            run_codes = codes[run][:, items, :, : counts[run.start]].flatten(0, 1)
            run_scales = [scale[items] for scale in scales[run] if scale is not None]
            run_audio = self.decode_segment(run_codes, torch.cat(run_scales) if run_scales else None)
            pieces += run_audio.reshape(run.stop - run.start, -1, *run_audio.shape[1:])
        return batching.overlap_add(pieces, self.config.segment_stride)

    @without_graph_until_trained
    def decode_segment(self, codes: Tensor, scale: Tensor | None = None) -> Tensor:
        """Decode one segment: codes `[B, K, F]` and scale `[B, 1]` to audio `[B, C, F * hop_length]`."""
        audio = self.decoder(self.quantizer.decode(codes.transpose(0, 1)))
        return audio if scale is None else audio * scale.view(-1, 1, 1)

    @without_graph_until_trained
    def forward(
        self,
        input_values: Tensor,
        padding_mask: Tensor | None = None,
        bandwidth: float | None = None,
        audio_codes: Tensor | None = None,
        audio_scales: Sequence[Tensor | None] | None = None,
        return_dict: bool | None = None,
        last_frame_pad_length: int = 0,
    ) -> EncodecOutput | tuple[Tensor, Tensor]:
        """Encode and decode, or decode `audio_codes` and `audio_scales` if both are given; arguments as in those.

        The audio is as long as `input_values`. Raises `ValueError` if only one of codes and scales is given.
        """
        if audio_codes is not None and audio_scales is None:
            raise ValueError("You specified `audio_codes` but did not specify the `audio_scales`")
        if audio_scales is not None and audio_codes is None:
            raise ValueError("You specified `audio_scales` but did not specify the `audio_codes`")
        if audio_codes is None or audio_scales is None:
            encoded = self.encode(input_values, padding_mask, bandwidth, return_dict=True)
            assert isinstance(encoded, EncodecEncoderOutput)
            audio_codes, audio_scales = encoded.audio_codes, encoded.audio_scales
            last_frame_pad_length = encoded.last_frame_pad_length
        audio = self.decode(audio_codes, audio_scales, padding_mask, last_frame_pad_length=last_frame_pad_length)[0]
        audio = audio[..., : input_values.shape[-1]]
        return EncodecOutput(audio_codes, audio) if self._wants_dict(return_dict) else (audio_codes, audio)

    def _wants_dict(self, return_dict: bool | None) -> bool:
        return self.config.return_dict if return_dict is None else return_dict

    def _check_audio_shape(self, input_values: Tensor) -> None:
        if input_values.ndim != 3 or 0 in input_values.shape:
            raise ValueError(
                f"input_values must be [B, C, T], none of them 0, not of shape {tuple(input_values.shape)}"
            )
        channels = input_values.shape[1]
        if channels not in (1, 2):
            raise ValueError(f"Number of audio channels must be 1 or 2, but got {channels}")
        if channels != self.config.audio_channels:
            raise ValueError(f"This model takes {self.config.audio_channels} audio channels, but got {channels}")


def load_model(name: str | PathLike[str] | None = None, device: str | torch.device = "cpu") -> EncodecModel:
    """Load a model for inference; None means `weights.default_model()`. Raises `CheckpointError`."""
    return EncodecModel.from_pretrained(weights.default_model() if name is None else name).to(device)
