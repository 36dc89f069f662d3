"""Linear dynamics with a quadratic cost, as a batched tensor world."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pglab.envs.bandit import standard_normal
from pglab.envs.spaces import Box
from pglab.envs.world import State, Step

SPECTRAL_RADIUS = 0.9  # of drawn dynamics: left alone they come to rest


@dataclass(frozen=True, eq=False)
class LinearQuadratic:
    """x_{t+1} = A x_t + B u_t + L w_t with w_t ~ N(0, I); r_t = -(x_tᵀ Q x_t + u_tᵀ R u_t).

    The state is observed as it is, in single precision; only the horizon ends an episode.

    Attributes:
        dynamics: A, `[n, n]`.
        control: B, `[n, m]`.
        state_cost, action_cost: Q `[n, n]` and R `[m, m]`, symmetric.
        noise: L, `[n, n]`.
        start_mean, start_spread: the first state is `start_mean + start_spread w` with w ~ N(0, I), `[n]` and `[n, n]`.
        horizon: steps of an episode.

    Raises:
        ValueError: shapes that do not fit, a cost that is not symmetric, a horizon below 1.
    """

    dynamics: np.ndarray
    control: np.ndarray
    state_cost: np.ndarray
    action_cost: np.ndarray
    noise: np.ndarray
    start_mean: np.ndarray
    start_spread: np.ndarray
    horizon: int

    def __post_init__(self) -> None:
        n, m = self.control.shape
        shapes = {
            "dynamics": (n, n), "state_cost": (n, n), "action_cost": (m, m), "noise": (n, n),
            "start_mean": (n,), "start_spread": (n, n),
        }  # fmt: skip
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}; a control of {(n, m)} needs {shape}")
        for name in ("state_cost", "action_cost"):
            if not np.array_equal(getattr(self, name), getattr(self, name).T):
                raise ValueError(f"{name} must be symmetric")
        if self.horizon < 1:
            raise ValueError(f"horizon={self.horizon} must be at least 1")

    @property
    def observation(self) -> Box:
        return Box(self.control.shape[0])

    @property
    def actions(self) -> Box:
        return Box(self.control.shape[1])

    @property
    def reset_draws(self) -> int:
        return 2 * self.control.shape[0]

    @property
    def step_draws(self) -> int:
        return 2 * self.control.shape[0]

    def reset(self, uniform: Tensor) -> State:
        normal = standard_normal(uniform.unflatten(-1, (-1, 2))).float()
        return (self._tables["start_mean"].to(normal) + self._times("start_spread", normal),)

    def observe(self, state: State) -> Tensor:
        return state[0]

    def step(self, state: State, action: Tensor, uniform: Tensor) -> Step:
        (x,) = state
        normal = standard_normal(uniform.unflatten(-1, (-1, 2))).to(x)
        cost = _inner(x, self._times("state_cost", x)) + _inner(action, self._times("action_cost", action))
        following = self._times("dynamics", x) + self._times("control", action) + self._times("noise", normal)
        return Step((following,), -cost, torch.zeros_like(cost, dtype=torch.bool))

    @cached_property
    def _tables(self) -> dict[str, Tensor]:
        names = ("dynamics", "control", "state_cost", "action_cost", "noise", "start_mean", "start_spread")
        return {name: torch.tensor(getattr(self, name), dtype=torch.float32, device="cpu") for name in names}

    def _times(self, name: str, x: Tensor) -> Tensor:
        """M x of vectors `[..., n]`, column by column: bits that do not depend on how many lanes there are."""
        columns = self._tables[name].to(x).unbind(-1)
        total = x[..., 0, None] * columns[0]
        for number, column in enumerate(columns[1:], 1):
            total = total + x[..., number, None] * column
        return total


def lqr(
    seed: int = 0,
    states: int = 2,
    controls: int = 1,
    horizon: int = 10,
    noise: float = 0.1,
    start: float = 1.0,
) -> LinearQuadratic:
    """A random linear-quadratic problem, the same for the same arguments.

    A has normal entries, scaled to the spectral radius 0.9; B has normal entries over √m. Q and R are
    ½ I + ½ G Gᵀ / size with normal G, so both are positive definite with a mean eigenvalue of 1.

    Args:
        seed: of the problem, not of a run.
        states, controls: n and m, how many numbers a state and an action have.
        horizon: steps of an episode.
        noise: deviation of the noise on each number of the state.
        start: deviation of each number of the first state, around a mean that is drawn from N(0, I).

    Raises:
        ValueError: a number outside its range.
    """
    for name, number, least in (
        ("states", states, 1), ("controls", controls, 1), ("horizon", horizon, 1), ("noise", noise, 0),
        ("start", start, 0),
    ):  # fmt: skip
        if not number >= least:
            raise ValueError(f"{name}={number} must be at least {least}")
    generator = np.random.default_rng(seed)
    dynamics = generator.normal(size=(states, states))
    dynamics *= SPECTRAL_RADIUS / np.abs(np.linalg.eigvals(dynamics)).max()
    control = generator.normal(size=(states, controls)) / np.sqrt(controls)
    state_cost, action_cost = (_cost(generator, size) for size in (states, controls))
    return LinearQuadratic(
        dynamics,
        control,
        state_cost,
        action_cost,
        noise * np.eye(states),
        generator.normal(size=states),
        start * np.eye(states),
        horizon,
    )


def _cost(generator: np.random.Generator, size: int) -> np.ndarray:
    factor = generator.normal(size=(size, size))
    cost = (np.eye(size) + factor @ factor.T / size) / 2
    return (cost + cost.T) / 2


def _inner(x: Tensor, y: Tensor) -> Tensor:
    """xᵀ y of vectors `[..., n]`, summed in order."""
    total = x[..., 0] * y[..., 0]
    for number in range(1, x.shape[-1]):
        total = total + x[..., number] * y[..., number]
    return total
