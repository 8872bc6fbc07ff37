"""Loss balancer (paper, section 3.4): weights that say which share of the gradient each loss gets."""

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor


class Balancer:
    """Replaces weighted sums of losses.

    Each loss's gradient with respect to the model's output is divided by a running mean of its norm and multiplied by
    its weight's share: with equal norms at every step, the norm of the part of loss i is `total_norm * w_i / sum(w)`.

    Args:
        weights: share of each loss; only the losses given to a call share its gradient.
        decay: of the exponential moving average of the norms (0.999 in the paper).
        total_norm: the norm of the whole gradient if all parts pointed one way (1 in the paper).
    """

    def __init__(self, weights: Mapping[str, float], decay: float = 0.999, total_norm: float = 1.0) -> None:
        if any(weight <= 0 for weight in weights.values()):
            raise ValueError(f"weights of losses must be positive, got {dict(weights)}")
        self.weights = dict(weights)
        self.decay = decay
        self.total_norm = total_norm
        self.norms: dict[str, Tensor] = {}  # decayed sum of norms, and of ones

    def gradient(self, losses: Mapping[str, Tensor], output: Tensor) -> Tensor:
        """The balanced gradient of the losses with respect to `output`, of its shape, for `output.backward(...)`.

        Norms are per item of the batch and averaged, also over the processes of a distributed run. Raises `ValueError`
        for a loss without a weight.
        """
        unknown = losses.keys() - self.weights.keys()
        if unknown or not losses:
            raise ValueError(f"losses must be some of {sorted(self.weights)}, got {sorted(losses)}")
        gradients = {name: torch.autograd.grad(loss, output, retain_graph=True)[0] for name, loss in losses.items()}
        # The loss is a mean over the batch: times B, the gradient of an item does not depend on the batch size.
        norms = torch.stack([len(g) * g.flatten(1).norm(dim=1).mean() for g in gradients.values()])
        if dist.is_initialized():
            dist.all_reduce(norms)
            norms /= dist.get_world_size()
        whole = sum(self.weights[name] for name in losses)
        balanced = torch.zeros_like(output)
        for (name, gradient), norm in zip(gradients.items(), norms, strict=True):
            sums = self.norms.setdefault(name, norms.new_zeros(2))
            sums.mul_(self.decay).add_(torch.stack([norm, torch.ones_like(norm)]))
            balanced += gradient * (self.total_norm * self.weights[name] / whole / (sums[0] / sums[1] + 1e-12))
        return balanced

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self.norms)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.norms = dict(state)
