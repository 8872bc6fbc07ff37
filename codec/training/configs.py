"""Named training configurations."""

from dataclasses import dataclass, field, replace
from typing import Any

from codec.config import EncodecConfig
from codec.training.data import Augmentation
from codec.weights import FACEBOOK_CONFIGS


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Of the MS-STFT discriminator and its optimiser. It learns in a share `update_probability` of the steps, from
    step `start_step` on; before that the adversarial losses are not there."""

    filters: int = 32
    windows: tuple[int, ...] = (2048, 1024, 512, 256, 128)
    lr: float = 3e-4
    update_probability: float = 2 / 3
    start_step: int = 0


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that defines a training run but its data.

    Attributes:
        model: of the network.
        steps: of the whole run, over which the learning rate falls as a cosine from `lr` to 0 after `warmup_steps`.
        batch: items per step and process. crop_s: their length in seconds.
        optimizer: "adam" (betas 0.5 and 0.9, as in the paper) or "muon".
        loss_weights: shares of the gradient, by name: time, mel, log_mel, band_noise, long_term, loudness,
            adversarial, feature_matching.
        bandwidths: in kbps, taken by the items in turn, so one that is named more often is trained more. Empty for all
            of the model's, evenly.
        commitment_weight: of the commitment loss, which does not pass through the output and is not balanced.
        start: "random", or "companded": see `codec.training.start`.
        frozen_encoder: train the decoder alone, on an encoder and codebooks that stay.
        encoder_lr: the encoder's learning rate, as a share of the decoder's.
        codebook_decay: of the moving averages that the codebooks are (0.99 in the paper).
        discriminator: None trains without one.
        ema_decay: of the weights that are validated and exported.
    """

    model: EncodecConfig
    steps: int
    batch: int = 8
    crop_s: float = 1.0
    optimizer: str = "adam"
    lr: float = 3e-4
    warmup_steps: int = 100
    loss_weights: dict[str, float] = field(
        default_factory=lambda: {"time": 0.1, "mel": 1.0, "adversarial": 3.0, "feature_matching": 3.0}
    )
    bandwidths: tuple[float, ...] = ()
    commitment_weight: float = 1.0
    start: str = "random"
    frozen_encoder: bool = False
    encoder_lr: float = 1.0
    codebook_decay: float = 0.99
    discriminator: DiscriminatorConfig | None = None
    ema_decay: float = 0.999
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for bandwidth in self.bandwidths:
            self.model.codebooks_for(bandwidth)  # raises for one that the model does not have


_TINY: dict[str, Any] = {
    "num_filters": 8,
    "num_lstm_layers": 1,
    "upsampling_ratios": (2, 4, 5, 8),  # the encoder strides by 8 first: most of the work at the lowest rate
    "use_conv_shortcut": False,
}
_TINY_TRAINING: dict[str, Any] = {
    "steps": 40_000,
    "batch": 8,
    "optimizer": "muon",
    "lr": 1.2e-3,
    "warmup_steps": 60,
    "loss_weights": {"time": 0.7, "log_mel": 1.2, "band_noise": 1.2},
    "start": "companded",
    "frozen_encoder": True,
    "ema_decay": 0.99,
    "augmentation": Augmentation(gain_db=(-7.0, 5.0), mix_probability=0.0, silence_rms=0.012),
}
# A causal network with weight norm, which a closed-form start can be written for; segments, scale and overlap-add are
# those of the 48 kHz model.
_TINY_48KHZ = replace(
    FACEBOOK_CONFIGS["facebook/encodec_48khz"], norm_type="weight_norm", use_causal_conv=True, **_TINY
)

CONFIGS: dict[str, TrainingConfig] = {
    # Batch, steps, rates and weights of the paper: 64 items of 1 s, 300 epochs of 2,000 steps, on 8 GPUs.
    "encodec_24khz": TrainingConfig(
        FACEBOOK_CONFIGS["facebook/encodec_24khz"], steps=600_000, discriminator=DiscriminatorConfig()
    ),
    "encodec_48khz": TrainingConfig(
        FACEBOOK_CONFIGS["facebook/encodec_48khz"],
        steps=600_000,
        loss_weights={"time": 0.1, "mel": 1.0, "adversarial": 4.0, "feature_matching": 4.0},
        discriminator=DiscriminatorConfig(windows=(4096, 2048, 1024, 512, 256), update_probability=0.5),
    ),
    "encodec_24khz_tiny": TrainingConfig(EncodecConfig(**_TINY), crop_s=0.4, **_TINY_TRAINING),
    # All parts together, from the model that the configuration above leaves (or a later one), made wider, its latents
    # narrowed to the 88 dimensions along which its codewords reach furthest.
    "encodec_24khz_tiny_joint": TrainingConfig(
        EncodecConfig(**_TINY | {"num_filters": 20, "hidden_size": 88}),
        **_TINY_TRAINING
        | {
            "crop_s": 1.0,
            "lr": 5e-4,
            "loss_weights": {"time": 0.3, "log_mel": 3.0, "band_noise": 1.2, "long_term": 4.0, "loudness": 30.0},
            "frozen_encoder": False,
            "codebook_decay": 0.998,
            "bandwidths": (1.5, 3.0, 1.5, 6.0, 3.0, 12.0, 1.5, 24.0),
            # Straight through the quantiser, the losses push latents away from their codewords: at the start the cosine
            # of the two gradients was -0.4. At 100 the pull back was a third as strong, at 1 next to none.
            "commitment_weight": 30.0,
            "augmentation": Augmentation((-25.0, 5.0), mix_probability=0.0, silence_rms=0.012, loud_probability=0.1),
        },
    ),
    "encodec_48khz_tiny": TrainingConfig(
        _TINY_48KHZ,
        crop_s=0.2,
        **_TINY_TRAINING,
    ),
    # All parts together, from the model that the configuration above leaves, made wider.
    "encodec_48khz_tiny_joint": TrainingConfig(
        replace(_TINY_48KHZ, num_filters=16),
        **_TINY_TRAINING
        | {
            "crop_s": 1.0,
            "batch": 16,
            "lr": 5e-4,
            "loss_weights": {"time": 0.3, "log_mel": 4.0, "band_noise": 0.8, "long_term": 2.0},
            "frozen_encoder": False,
            "encoder_lr": 0.2,
            "codebook_decay": 0.996,
            # Audio of a root mean square of 1 makes the losses push latents nine times as hard as at 24 kHz: with a
            # weight of 30, the perplexity of the first codebook fell from 178 to 42 in 200 steps.
            "commitment_weight": 1000.0,
            "augmentation": Augmentation(mix_probability=0.0, silence_rms=0.012, speeds=(0.9, 1.0, 1.1)),
        },
    ),
}
