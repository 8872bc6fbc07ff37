"""The training loop: one step, what surrounds it, and state that survives being killed."""

import logging
import math
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import DataLoader

from codec.files import replacing
from codec.model import EncodecModel
from codec.training import losses
from codec.training.balancer import Balancer
from codec.training.configs import TrainingConfig
from codec.training.curves import append
from codec.training.data import Crops
from codec.training.graph import Replayed
from codec.training.loudness import LoudnessLoss
from codec.training.networks import Adversary, Generator, distributed
from codec.training.optimizer import ADAM_BETAS, Muon, warmed_cosine
from codec.training.quantizer import QuantizerTrainer

logger = logging.getLogger(__name__)

STATE_NAME = "state.pt"
CURVES_NAME = "curves.csv"
Validate = Callable[[EncodecModel], dict[str, float]]


class Trainer:
    """Trains `model` in place on batches that are a function of seed, process and step alone.

    A run that is killed and resumed from its folder takes the same steps as one that is not. In a distributed run
    (an initialised process group) gradients, codebook statistics and balancer norms are averaged over the processes.

    Args:
        config: of the run. model: of `config.model`; at its start (see `codec.training.start`).
        data: training batches; its rank must be this process's.
        folder: of the run's state, curves and exported model.
        fitted: the model has trained codebooks; otherwise they start from the first batch's latents.
    """

    def __init__(
        self,
        config: TrainingConfig,
        model: EncodecModel,
        data: Crops,
        folder: Path,
        device: str | torch.device = "cpu",
        seed: int = 0,
        fitted: bool = False,
    ) -> None:
        self.config, self.data, self.folder, self.seed = config, data, folder, seed
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self.step = 0
        self.seconds = 0.0  # of audio, over all processes
        self.hours = 0.0  # of wall clock
        quantizer = QuantizerTrainer(model.quantizer, config.codebook_decay, seed=seed).to(self.device)
        quantizer.started = fitted
        self.generator = Generator(model, quantizer.train(not config.frozen_encoder), config.frozen_encoder)
        self.optimizer = _optimizer(config, model)
        self.average = deepcopy({k: v.detach() for k, v in model.state_dict().items()})
        rate = config.model.sampling_rate
        self.mel = losses.MelLoss(rate).to(self.device)
        self.log_mel = losses.LogMelLoss(rate).to(self.device)
        self.band_noise = losses.BandNoiseLoss(rate).to(self.device)
        self.long_term = losses.LongTermSpectrumLoss(rate).to(self.device)
        self.loudness = LoudnessLoss(rate).to(self.device)
        self.balancer = Balancer(config.loss_weights)
        self.adversary = None
        if config.discriminator is not None:
            self.adversary = Adversary(config.discriminator, config.model.audio_channels, self.device, seed)
        self.parallel = distributed(self.generator)
        self.bandwidths = config.bandwidths or config.model.target_bandwidths
        self.reported: list[str] = []
        # Every step is the same for the GPU if bandwidths come out even in every batch and no network takes turns.
        same = self.adversary is None and not dist.is_initialized() and data.batch % len(self.bandwidths) == 0
        self.replayed = Replayed(self._learn) if same and self.device.type == "cuda" else None

    @property
    def lead(self) -> bool:
        """Whether this process is the one that writes files."""
        return not dist.is_initialized() or dist.get_rank() == 0

    def train_step(self, wav: Tensor) -> dict[str, float]:
        """Learn from one batch `[B, C, T]`. Returns the losses, and the perplexity of the first codebook used."""
        for group in self.optimizer.param_groups:
            group["lr"].fill_(group["peak"] * warmed_cosine(self.step, self.config.steps, self.config.warmup_steps))
        values = self._learn(wav) if self.replayed is None else self.replayed(wav)
        self._update_average()
        report = dict(zip(self.reported, values.tolist(), strict=True))
        bad = [name for name, value in report.items() if not math.isfinite(value)]
        if bad:
            raise FloatingPointError(
                f"step {self.step}: {', '.join(bad)} not finite; the last state is in {self.folder}"
            )
        self.step += 1
        self.seconds += self._world() * wav.shape[0] * wav.shape[-1] / self.config.model.sampling_rate
        return report

    def _learn(self, wav: Tensor) -> Tensor:
        """The step itself, on the device alone. Returns the values of the report; their names are in `reported`."""
        estimate, commitment, codes = self.parallel(wav, self._codebooks(len(wav)))
        report = {"perplexity_1": _perplexity(codes[0], self.config.model.codebook_size)}
        adversary = self.adversary
        if adversary is not None and self.step < adversary.config.start_step:
            adversary = None
        if adversary is not None:
            rng = np.random.default_rng((self.seed, self.step))  # equal in all processes
            if rng.random() < adversary.config.update_probability:
                report["discriminator"] = adversary.learn(wav, estimate)
        terms = self._reconstruction(wav, estimate)
        if adversary is not None:
            terms |= adversary.generator_losses(wav, estimate)
        report |= {name: value.detach() for name, value in terms.items()} | {"commitment": commitment.detach()}
        self.optimizer.zero_grad(set_to_none=True)
        outputs, gradients = [estimate], [self.balancer.gradient(terms, estimate)]
        if commitment.requires_grad:
            outputs.append(commitment)
            gradients.append(torch.full_like(commitment, self.config.commitment_weight))
        torch.autograd.backward(outputs, gradients)
        self.optimizer.step()
        self.reported = list(report)
        return torch.stack(list(report.values()))

    def _codebooks(self, batch: int) -> list[int]:
        """Of each item: the bandwidths in turn, over items, processes and steps."""
        rates = self.bandwidths
        first = (self.step * self._world() + self._rank()) * batch
        return [self.config.model.codebooks_for(rates[(first + item) % len(rates)]) for item in range(batch)]

    def run(
        self,
        hours: float | None = None,
        save_every: int = 500,
        validate: Validate | None = None,
        validate_every: int = 5000,
        workers: int = 0,
    ) -> None:
        """Train until `config.steps`, or for `hours` of wall clock in this call, writing state and curves on the way.

        Args:
            save_every, validate_every: steps. validate: called with the averaged model.
            workers: processes that read audio.
        """
        started, hours_before = time.monotonic(), self.hours
        loader = DataLoader(
            self.data,
            batch_size=None,
            sampler=range(self.step, self.config.steps),
            num_workers=workers,
        )
        reports: list[dict[str, float]] = []
        for wav in loader:
            reports.append(self.train_step(wav.to(self.device, non_blocking=True)))
            self.hours = hours_before + (time.monotonic() - started) / 3600
            finished = self.step == self.config.steps or self._everywhere(
                hours is not None and self.hours - hours_before >= hours
            )
            if finished or self.step % save_every == 0:
                row = _mean(reports)
                reports = []
                if validate is not None and (finished or self.step % validate_every == 0) and self.lead:
                    row |= validate(self.averaged())
                self.save(row)
            if finished:
                break
        if self.lead:
            self.export()

    def averaged(self) -> EncodecModel:
        """A copy of the model with averaged weights, on the CPU."""
        model = EncodecModel(self.config.model)
        model.load_state_dict(self.average)
        return model.eval().requires_grad_(False)

    def export(self) -> Path:
        """Write the averaged model in transformers' format. Returns its folder."""
        self.averaged().save_pretrained(self.folder / "model")
        return self.folder / "model"

    def save(self, row: dict[str, float] | None = None) -> None:
        """Write the state, replacing the old one only when it is whole, and add a row to the curves."""
        if not self.lead:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / STATE_NAME) as part:
            torch.save(self.state_dict(), part)
        if row:
            state = {"step": self.step, "hours": round(self.hours, 4), "audio_seconds": round(self.seconds)}
            append(self.folder / CURVES_NAME, state | row)
            logger.info(" ".join(f"{name}={value:.4g}" for name, value in (state | row).items()))

    def resume(self) -> None:
        """Resume from the folder's state. Raises `FileNotFoundError` if there is none."""
        self.load_state_dict(torch.load(self.folder / STATE_NAME, map_location=self.device, weights_only=True))

    def state_dict(self) -> dict[str, Any]:
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "hours": self.hours,
            "model": self.model.state_dict(),
            "average": self.average,
            "quantizer": self.generator.quantizer.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "balancer": self.balancer.state_dict(),
        }
        if self.adversary is not None:
            state["adversary"] = self.adversary.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.seconds, self.hours = state["step"], state["seconds"], state["hours"]
        self.model.load_state_dict(state["model"])
        self.average = state["average"]
        self.generator.quantizer.load_state_dict(state["quantizer"])
        peaks = [group["peak"] for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer"])
        for group, peak in zip(self.optimizer.param_groups, peaks, strict=True):
            group["peak"] = peak  # the configuration's, which may be another than that of the run so far
        self.balancer.load_state_dict(state["balancer"])
        if self.adversary is not None:
            self.adversary.load_state_dict(state["adversary"])

    def _reconstruction(self, wav: Tensor, estimate: Tensor) -> dict[str, Tensor]:
        named: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
            "time": losses.time_loss,
            "mel": self.mel,
            "log_mel": self.log_mel,
            "band_noise": self.band_noise,
            "long_term": self.long_term,
            "loudness": self.loudness,
        }
        return {name: loss(wav, estimate) for name, loss in named.items() if name in self.config.loss_weights}

    @torch.no_grad()
    def _update_average(self) -> None:
        # A young average forgets faster, or it would keep the start for thousands of steps.
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        parameters = dict(self.model.named_parameters())
        for name, value in self.model.state_dict().items():
            if name in parameters:
                self.average[name].lerp_(value, 1 - decay)
            else:
                self.average[name].copy_(value)

    def _world(self) -> int:
        return dist.get_world_size() if dist.is_initialized() else 1

    def _rank(self) -> int:
        return dist.get_rank() if dist.is_initialized() else 0

    def _everywhere(self, flag: bool) -> bool:
        """Whether any process says so: all must stop at the same step."""
        if not dist.is_initialized():
            return flag
        votes = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(votes)
        return bool(votes > 0)


def _optimizer(config: TrainingConfig, model: EncodecModel) -> torch.optim.Optimizer:
    """Of what learns by gradients; each group keeps the `peak` of its learning rate."""
    groups: list[dict[str, Any]] = [{"params": list(model.decoder.parameters()), "lr": config.lr}]
    if not config.frozen_encoder:
        groups.append({"params": list(model.encoder.parameters()), "lr": config.lr * config.encoder_lr})
    if config.optimizer == "muon":
        optimizer: torch.optim.Optimizer = Muon(groups, config.lr)
    elif config.optimizer == "adam":
        optimizer = torch.optim.Adam(groups, betas=ADAM_BETAS, capturable=groups[0]["params"][0].is_cuda)
    else:
        raise ValueError(f"optimizer must be 'adam' or 'muon', got {config.optimizer!r}")
    for group in optimizer.param_groups:
        group["peak"] = group["lr"]
        group["lr"] = torch.tensor(group["lr"], device=group["params"][0].device)  # a CUDA graph reads it anew
    return optimizer


def _perplexity(codes: Tensor, size: int) -> Tensor:
    counts = torch.zeros(size, device=codes.device).index_add_(
        0, codes.flatten(), torch.ones(codes.numel(), device=codes.device)
    )
    return (-torch.special.xlogy(counts / codes.numel(), counts / codes.numel()).sum()).exp()


def _mean(reports: list[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for report in reports for name in report)
    return {name: float(np.mean([report[name] for report in reports if name in report])) for name in names}
