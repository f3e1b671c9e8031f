"""The steps that training takes: plain gradient descent and Adam, for one network or for many at rates of their own."""

from collections.abc import Iterable, Sequence

import torch
from torch import nn

OPTIMISERS: dict[str, type[torch.optim.Optimizer]] = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
FUSED = ("cpu", "cuda")  # devices on which Adam makes one pass over memory instead of ten
DECAYS = (0.9, 0.999)  # of Adam's two averages, and what keeps its quotient finite: PyTorch's defaults
SMALL = 1e-8


def optimiser(name: str, weights: Iterable[nn.Parameter], rates: Sequence[float]) -> torch.optim.Optimizer:
    """Optimiser "sgd" or "adam" of one network, or of S side by side, which have an axis of length S in front.

    Args:
        name: "sgd" (a plain gradient step, equation 6) or "adam" (PyTorch's defaults).
        weights: What is trained.
        rates: Learning rates; one serves all.
    """
    weights = list(weights)
    if len(set(rates)) > 1:
        return Rates(name, weights, rates)
    fused = {"fused": True} if name == "adam" and all(p.device.type in FUSED for p in weights) else {}
    return OPTIMISERS[name](weights, lr=rates[0], **fused)  # type: ignore[call-arg]


class Rates(torch.optim.Optimizer):
    """The same steps for S networks side by side, each at its own rate; arguments as for `optimiser`."""

    def __init__(self, name: str, weights: Iterable[nn.Parameter], rates: Sequence[float]):
        super().__init__(weights, {})
        self.adam = name == "adam"
        self.rates = {p: self._column(rates, p) for group in self.param_groups for p in group["params"]}

    @staticmethod
    def _column(rates: Sequence[float], p: nn.Parameter) -> torch.Tensor:
        return torch.tensor(rates, dtype=torch.float64).reshape(-1, *[1] * (p.ndim - 1)).to(p.dtype).to(p.device)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step along the gradients that are there."""
        for p, rate in self.rates.items():
            if p.grad is None:
                continue
            if self.adam:
                p.addcmul_(self._quotient(p, p.grad), rate, value=-1)
            else:
                p.addcmul_(p.grad, rate, value=-1)

    def _quotient(self, p: nn.Parameter, gradient: torch.Tensor) -> torch.Tensor:
        """Adam's direction: average gradient over root of the average square, both without the bias of their start."""
        state = self.state[p]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(p), torch.zeros_like(p)
        state["step"] += 1
        t, (a, b) = state["step"].item(), DECAYS
        state["exp_avg"].lerp_(gradient, 1 - a)
        state["exp_avg_sq"].mul_(b).addcmul_(gradient, gradient, value=1 - b)
        root = state["exp_avg_sq"].sqrt().div_((1 - b**t) ** 0.5).add_(SMALL)
        return torch.div(state["exp_avg"], root, out=root).div_(1 - a**t)
