"""Transformer language model over codes (section 3.3 of the paper): codes so far -> logits of the next frame's codes.

All codebooks of a frame are predicted in parallel. Parameter names are those of facebook's `encodec_lm_*.th`.
This file holds the float model, to train it and to measure rates; coding uses `codec.lm.exact` or `codec.lm.facebook`.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from codec import hub, weights
from codec.errors import CheckpointError

SCALE = ".scale"
FILE_NAME = "language_model.safetensors"  # beside the codec's weights
RELEASED = {"encodec_24khz": "encodec_lm_24khz-1608e3c0.th", "encodec_48khz": "encodec_lm_48khz-7add9fc3.th"}
RELEASED_URL = "https://dl.fbaipublicfiles.com/encodec/v0/"


@dataclass(frozen=True)
class LanguageModelConfig:
    """Sizes of a language model. `context` is how many frames of the past a frame sees (3.5 s: 262 at 75 frames/s)."""

    codebooks: int = 32
    codebook_size: int = 1024
    dim: int = 200
    heads: int = 8
    layers: int = 5
    feed_forward: int = 800
    context: int = 262
    max_period: float = 10000.0

    def __post_init__(self) -> None:
        sizes = {name: value for name, value in asdict(self).items() if name != "max_period"}
        for name, value in sizes.items():
            if not isinstance(value, int) or not 1 <= value <= 1 << 16:
                raise CheckpointError(f"language model {name} must be an integer from 1 to 65536, not {value!r}")
        if self.dim % self.heads or self.dim % 2 or self.dim < 4:
            raise CheckpointError(
                f"language model dim {self.dim} must be even, at least 4 and a multiple of {self.heads} heads"
            )


class TransformerLayer(nn.Module):
    """Post-norm transformer layer with causal attention over a sliding window."""

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(config.dim, config.heads, batch_first=True)
        self.linear1 = nn.Linear(config.dim, config.feed_forward)
        self.linear2 = nn.Linear(config.feed_forward, config.dim)
        self.norm1 = nn.LayerNorm(config.dim)
        self.norm2 = nn.LayerNorm(config.dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """`x [B, F, D]`, `mask [F, 1 + F]` (True: may look) -> `[B, F, D]`."""
        B, frames, _ = x.shape
        attention = self.self_attn
        # The released model was trained with one all-zero key before the first frame.
        past = F.pad(x, (0, 0, 1, 0))
        query, key, value = (
            torch.unflatten(part, -1, (attention.num_heads, -1)).transpose(1, 2)
            for part in F.linear(past, attention.in_proj_weight, attention.in_proj_bias).chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(query[:, :, 1:], key, value, attn_mask=mask)
        x = self.norm1(x + attention.out_proj(mixed.transpose(1, 2).reshape(B, frames, -1)))
        out: Tensor = self.norm2(x + self.linear2(F.gelu(self.linear1(x))))
        return out


class Transformer(nn.Module):
    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.norm_in = nn.LayerNorm(config.dim)
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.layers))


class LanguageModel(nn.Module):
    """Predicts the codes of a frame from those of up to `config.context` frames before it.

    `name` and `codec_sha256` (of the codec checkpoint it was trained on, "" if unknown) travel with the weights.
    """

    def __init__(self, config: LanguageModelConfig, name: str = "unnamed", codec_sha256: str = "") -> None:
        super().__init__()
        self.config, self.name, self.codec_sha256 = config, name, codec_sha256
        self.transformer = Transformer(config)
        size = config.codebook_size
        self.emb = nn.ModuleList(nn.Embedding(size + 1, config.dim) for _ in range(config.codebooks))
        self.linears = nn.ModuleList(nn.Linear(config.dim, size) for _ in range(config.codebooks))

    def embedding(self, k: int) -> nn.Embedding:
        return cast(nn.Embedding, self.emb[k])

    def head(self, k: int) -> nn.Linear:
        return cast(nn.Linear, self.linears[k])

    def layers(self) -> list[TransformerLayer]:
        return [cast(TransformerLayer, layer) for layer in self.transformer.layers]

    def hidden(self, codes: Tensor, offset: int = 0) -> Tensor:
        """`codes [B, K, F]` -> features `[B, F, D]`; those of frame `f` depend on the codes of frames before `f` only.

        `offset` is the position of the first frame: training shows late positions without their past.
        """
        config = self.config
        _, K, frames = codes.shape
        if not 1 <= K <= config.codebooks:
            raise CheckpointError(f"language model {self.name} takes 1 to {config.codebooks} codebooks, not {K}")
        # Index 0 of an embedding stands for "no frame yet".
        previous = F.pad(codes + 1, (1, 0))[..., :-1]
        x = torch.stack([self.embedding(k)(previous[:, k]) for k in range(K)]).sum(0)
        positions = torch.arange(frames, device=codes.device)
        x = self.transformer.norm_in(x) + sinusoids(positions + offset, config).to(x)
        delta = positions[:, None] - torch.arange(-1, frames, device=codes.device)
        mask = (delta >= 0) & (delta <= config.context)
        for layer in self.layers():
            x = layer(x, mask)
        return x

    def forward(self, codes: Tensor) -> Tensor:
        """`codes [B, K, F]` -> logits `[B, K, F, codebook_size]` of those codes, each given the frames before it."""
        x = self.hidden(codes)
        return torch.stack([self.head(k)(x) for k in range(codes.shape[1])], dim=1)

    @torch.no_grad()
    def bits(self, codes: Tensor) -> Tensor:
        """Ideal cost in bits of each code of `codes [B, K, F]`, `[B, K, F]`: the rate an arithmetic coder tends to."""
        logits = self(codes)
        return F.cross_entropy(logits.movedim(-1, 1), codes, reduction="none") / torch.log(torch.tensor(2.0))

    def save(self, path: str | PathLike[str]) -> None:
        """Write a `.safetensors` file: matrices as int8 with a scale a row, the rest as float16.

        That rounds the weights: load the file to get the model, and the sha256, that it stands for.
        """
        state = {}
        for key, value in self.state_dict().items():
            if value.ndim == 2:
                scale = value.abs().amax(dim=1).clamp(min=1e-12) / 127
                state[key] = (value / scale[:, None]).round().to(torch.int8)
                state[key + SCALE] = scale
            else:
                state[key] = value.half()
        about = {"name": self.name, "codec_sha256": self.codec_sha256, "config": json.dumps(asdict(self.config))}
        save_file(state, path, metadata=about)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "LanguageModel":
        """Read a file of `save` or facebook's `encodec_lm_*.th`, for inference.

        Raises `CheckpointError` for a file that is missing, damaged, or no language model.
        """
        path = Path(path)
        try:
            lm = _read_safetensors(path) if path.suffix == ".safetensors" else _read_facebook(path)
        except CheckpointError:
            raise
        except Exception as error:  # what unpickling or parsing garbage raises is not limited to a list
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise CheckpointError(f"{path} is not a readable language model: {reason}") from error
        if not all(bool(value.isfinite().all()) for value in lm.state_dict().values()):
            raise CheckpointError(f"{path} holds NaN or infinite weights")
        return lm.eval().requires_grad_(False)

    @cached_property
    def sha256(self) -> str:
        """Hex digest of configuration and weights (as little-endian float32), whatever file they came from."""
        digest = hashlib.sha256(json.dumps(asdict(self.config), sort_keys=True).encode())
        for key, value in sorted(self.state_dict().items()):
            digest.update(key.encode() + value.detach().cpu().float().numpy().astype("<f4").tobytes())
        return digest.hexdigest()


def sinusoids(positions: Tensor, config: LanguageModelConfig) -> Tensor:
    """Position embedding `[F, D]`: cosines, then sines, of periods from 2 pi to 2 pi * max_period frames."""
    half = config.dim // 2
    exponents = torch.arange(half, device=positions.device) / (half - 1)
    phase = positions[:, None] / config.max_period**exponents
    return torch.cat([torch.cos(phase), torch.sin(phase)], dim=-1)


def _read_safetensors(path: Path) -> LanguageModel:
    with safe_open(path, framework="pt") as file:
        about = file.metadata() or {}
        stored = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dictionary)
    if "config" not in about:
        raise CheckpointError(f"{path} is not a language model: it has no configuration")
    state = {key: value.float() for key, value in stored.items() if not key.endswith(SCALE)}
    for key in state:
        if key + SCALE in stored:
            state[key] *= stored[key + SCALE][:, None]
    lm = LanguageModel(LanguageModelConfig(**json.loads(about["config"])), about["name"], about["codec_sha256"])
    lm.load_state_dict(state)
    return lm


def _read_facebook(path: Path) -> LanguageModel:
    """Sizes come from the weights; the released models differ in context: 3.5 s at 75 or 150 frames a second."""
    weights.check_name_digest(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or "linears.0.weight" not in state:
        raise CheckpointError(f"{path} is not a language model")
    size, dim = state["linears.0.weight"].shape
    config = LanguageModelConfig(
        codebooks=sum(key.startswith("linears.") and key.endswith(".weight") for key in state),
        codebook_size=size,
        dim=dim,
        layers=sum(key.endswith("self_attn.in_proj_weight") for key in state),
        feed_forward=len(state["transformer.layers.0.linear1.bias"]),
        context=525 if "48khz" in path.name else 262,
    )
    lm = LanguageModel(config, path.stem)
    lm.load_state_dict(state)
    return lm


def language_model_for(codec_name: str) -> LanguageModel:
    """The language model of a codec by the codec's name: bundled, in its folder, or facebook's, downloaded if need be.

    Raises `CheckpointError` if there is none or it cannot be downloaded.
    """
    released = RELEASED.get(Path(codec_name).name)
    if released is None:
        path = hub.find_file(codec_name, FILE_NAME)
        if path is None:
            raise CheckpointError(f"{codec_name} has no {FILE_NAME}: give a language model, or train one for it")
        return LanguageModel.load(path)
    path = Path(torch.hub.get_dir()) / "checkpoints" / released
    if not path.is_file():
        if not hub.hub_reachable():
            raise CheckpointError(f"{released} is not in {path.parent} and cannot be downloaded here")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            digest = path.stem.split("-")[-1]
            torch.hub.download_url_to_file(RELEASED_URL + released, str(path), digest, progress=False)
        except (OSError, RuntimeError) as error:
            raise CheckpointError(f"cannot download {released}: {error}") from error
    return LanguageModel.load(path)
