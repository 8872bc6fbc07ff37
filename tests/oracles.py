"""The reference implementations with random weights, and the same weights in this project's model."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import encodec
import torch
import transformers

from codec import EncodecModel

FACEBOOK = {
    "24khz": {
        "target_bandwidths": [1.5, 3.0, 6.0, 12.0, 24.0],
        "sample_rate": 24_000,
        "channels": 1,
        "causal": True,
        "model_norm": "weight_norm",
        "audio_normalize": False,
        "segment": None,
    },
    "48khz": {
        "target_bandwidths": [3.0, 6.0, 12.0, 24.0],
        "sample_rate": 48_000,
        "channels": 2,
        "causal": False,
        "model_norm": "time_group_norm",
        "audio_normalize": True,
        "segment": 1.0,
    },
}


@dataclass
class Trio:
    """One set of weights in three implementations."""

    ours: EncodecModel
    facebook: encodec.EncodecModel
    transformers: transformers.EncodecModel
    folder: Path
    th: Path


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Noise whose level moves, so that scales and codes do too."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, generator=generator, dtype=torch.float64)
    level = torch.linspace(0, 20, shape[-1], dtype=torch.float64).sin().abs() * 0.3 + 0.02
    return (x * level).to(dtype)


def random_facebook(kind: str, seed: int = 0) -> encodec.EncodecModel:
    """A facebook model whose latents vary and whose codebooks match them stage by stage."""
    torch.manual_seed(seed)
    model = encodec.EncodecModel._get_model(**FACEBOOK[kind], name=f"encodec_{kind}").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("weight_g", "norm.weight")):
                parameter.mul_(1.7)  # the default initialisation shrinks the signal by about this, layer by layer
        probe = noise(1, model.channels, model.sample_rate, seed=1, dtype=torch.float32)
        latents = model.encoder(probe / probe.pow(2).mean().sqrt())[0].T
        residual = latents
        for layer in model.quantizer.vq.layers:
            layer._codebook.embed.copy_(residual.mean(0) + 0.5 * residual.std(0) * torch.randn(1024, residual.shape[1]))
            residual = residual - layer._codebook.decode(layer._codebook.encode(residual))
    return model


def save_th(model: encodec.EncodecModel, folder: Path) -> Path:
    """Write a checkpoint as facebook releases them, the start of its sha256 in its name."""
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    path = folder / f"{model.name}-{hashlib.sha256(buffer.getvalue()).hexdigest()[:8]}.th"
    path.write_bytes(buffer.getvalue())
    return path


def make_trio(kind: str, folder: Path, dtype: torch.dtype) -> Trio:
    """From facebook's file to this project's model, and from the folder that saves to transformers."""
    facebook = random_facebook(kind)
    th = save_th(facebook, folder)
    ours = EncodecModel.from_pretrained(th, dtype=dtype)
    ours.save_pretrained(folder / "saved")
    theirs = transformers.EncodecModel.from_pretrained(folder / "saved", dtype=dtype).eval()
    return Trio(ours, facebook.to(dtype), theirs, folder / "saved", th)


def assert_same_codes(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Equal in shape and in every code; names the first that differs."""
    assert ours.shape == theirs.shape
    wrong = (ours != theirs).nonzero()
    assert len(wrong) == 0, f"{len(wrong)} of {ours.numel()} codes differ, the first at {wrong[0].tolist()}"
