"""Linear networks that integrate, and some that nearly do: each is a `Network` of random size and shape."""

from typing import NamedTuple

import torch
from equations import randn
from torch import Tensor

from lib.model.task import Task
from lib.theory.linear.spectrum import realise


class Network(NamedTuple):
    W: Tensor
    encoders: Tensor
    decoders: Tensor
    task: Task  # what it does, or nearly


def draw(rng, low, high):
    return low + (high - low) * torch.rand((), generator=rng, dtype=torch.float64).item()


def whole(rng, low, high):
    return int(torch.randint(low, high + 1, (), generator=rng))


def task(rng, D=1, T=3):
    decays = [draw(rng, 0.3, 1.0) for _ in range(D)]
    return Task(decays, [draw(rng, 0.2, 3.0) for _ in range(D)], T=T)


def orthogonal(rng, n):
    return torch.linalg.qr(randn(n, n, rng=rng)).Q


def codes(rng, n, D=1):
    return randn(n, D, rng=rng) / n**0.5, randn(n, D, rng=rng) / n**0.5


def built(rng, goal, core, reach, readout, n=None):
    """A network with these modes, and as many with eigenvalue zero as make up for the product of d and e."""
    D, k = goal.D, len(core)
    n = n or k + D + whole(rng, 0, 8)
    e, d = codes(rng, n, D)
    more = randn(n - k, D, rng=rng)  # reach of the zero modes
    rest = torch.linalg.pinv(more).T @ (d.T @ e - readout.T @ reach).T  # readout of the zero modes
    big = torch.zeros(n, n, dtype=torch.float64)
    big[:k, :k] = core
    return Network(realise(big, torch.cat([reach, more]), torch.cat([readout, rest]), e, d), e, d, goal)


def channels(rng, goal):
    """The modes every integrator has: eigenvalues gamma, one driven by and read out to each channel."""
    kappa = torch.diag(torch.tensor([draw(rng, 0.5, 2.0) for _ in goal.decays], dtype=torch.float64))
    s = torch.tensor(goal.scales, dtype=torch.float64)
    return torch.diag(torch.tensor(goal.decays, dtype=torch.float64)), kappa, torch.diag(s) @ torch.linalg.inv(kappa)


def lowest_rank(rng, D=1):
    """Rank D."""
    goal = task(rng, D)
    return built(rng, goal, *channels(rng, goal))


def special(rng):
    """Rank two at the scale d.e: W maps e to gamma e, or its transpose d to gamma d, with any other eigenvalue."""
    goal, n = task(rng), whole(rng, 2, 12)
    gamma, s = goal.decays[0], goal.scales[0]
    core, (first, second) = torch.zeros(n, n, dtype=torch.float64), torch.zeros(2, n, 1, dtype=torch.float64)
    core[0, 0], core[0, 1], core[1, 1] = gamma, draw(rng, -1, 1), draw(rng, -0.9, 0.9)
    first[0], second[0], second[1] = 1.0, s, draw(rng, -1, 1)
    e, d = codes(rng, n)
    d = d * s / (d.T @ e)
    if whole(rng, 0, 1):
        core, first, second = core.T, second, first
    return Network(realise(core, first, second, e, d), e, d, goal)


def cancelling(rng):
    """Equation 12: a repeated eigenvalue, or a repeated complex pair, whose weights add up to zero."""
    goal = task(rng)
    core, reach, readout = channels(rng, goal)
    turn, size = draw(rng, 0, 3), draw(rng, 0.1, 0.95)
    block = size * torch.tensor([[1.0, turn], [-turn, 1.0]], dtype=torch.float64) / (1 + turn**2) ** 0.5
    drive, read = randn(2, 1, rng=rng), randn(2, 1, rng=rng)
    core = torch.block_diag(core, block, block)
    return built(rng, goal, core, torch.cat([reach, drive, 2 * drive]), torch.cat([readout, 2 * read, -read]))


def high_rank(rng, D=1, radius=0.9):
    """Modes that are driven but not read out, and others that are read out but not driven; rank near n."""
    goal = task(rng, D)
    core, reach, readout = channels(rng, goal)
    h = whole(rng, 2, 12)
    hidden = [radius * orthogonal(rng, h) for _ in range(2)]
    core = torch.block_diag(hidden[0], core, hidden[1])
    core[:h, h:] = 0.3 * randn(h, D + h, rng=rng)  # the driven modes listen to everybody, nobody listens to them
    core[h : h + D, h + D :] = 0.3 * randn(D, h, rng=rng)  # the others speak, nobody speaks to them
    none = torch.zeros(h, D, dtype=torch.float64)
    reach = torch.cat([randn(h, D, rng=rng), reach, none])
    return built(rng, goal, core, reach, torch.cat([none, readout, randn(h, D, rng=rng)]))


def defective(rng):
    """A nilpotent block that is driven but not read out, and a Jordan block read out but not driven."""
    goal = task(rng)
    core, reach, readout = channels(rng, goal)
    jordan = torch.tensor([[0.5, 1.0], [0.0, 0.5]], dtype=torch.float64)
    core = torch.block_diag(core, jordan, jordan - 0.5 * torch.eye(2))
    none, some = torch.zeros(2, 1, dtype=torch.float64), randn(2, 1, rng=rng)
    return built(rng, goal, core, torch.cat([reach, none, some]), torch.cat([readout, some, none]))


TRUE = {
    "rank one": lowest_rank,
    "two channels": lambda rng: lowest_rank(rng, 2),
    "special surfaces": special,
    "cancelling": cancelling,
    "high rank": high_rank,
    "high rank, two channels": lambda rng: high_rank(rng, 2),
    "defective": defective,
}


def any_true(rng):
    return list(TRUE.values())[whole(rng, 0, len(TRUE) - 1)](rng)


def perturbed(rng):
    found = any_true(rng)
    n = len(found.W)
    return found._replace(W=found.W + 1e-3 * torch.linalg.matrix_norm(found.W, 2) * randn(n, n, rng=rng) / n**0.5)


def right_until(rng, n=None):
    """Right for the orders 1 to n only: n different eigenvalues, with the weights that solve these n equations."""
    n = n or whole(rng, 2, 5)
    goal = task(rng, T=n)
    gamma, s = goal.decays[0], goal.scales[0]
    values = torch.linspace(-0.8, 1.2, n, dtype=torch.float64) + 0.013
    orders = torch.arange(1, n + 1, dtype=torch.float64)
    weights = torch.linalg.solve(values ** orders[:, None], s * gamma**orders)
    e, d = codes(rng, n)
    d = d * weights.sum() / (d.T @ e)
    reach = torch.ones(n, 1, dtype=torch.float64)
    return Network(realise(torch.diag(values), reach, weights[:, None], e, d), e, d, goal)


def growing(rng):
    """With a mode too weak to be seen in the first steps, which grows."""
    goal = task(rng)
    core, reach, readout = channels(rng, goal)
    core = torch.block_diag(core, torch.tensor([[draw(rng, 1.003, 1.1)]], dtype=torch.float64))
    weak = torch.full((1, 1), 1e-5, dtype=torch.float64)
    return built(rng, goal, core, torch.cat([reach, weak]), torch.cat([readout, weak]))


def leaking(rng):
    """With a thousandth of one channel in the other's output."""
    goal = task(rng, 2)
    core, reach, readout = channels(rng, goal)
    readout[0, 1] = 1e-3 * readout[0, 0]
    return built(rng, goal, core, reach, readout)


FALSE = {"perturbed": perturbed, "right for a while": right_until, "growing": growing, "leaking": leaking}
