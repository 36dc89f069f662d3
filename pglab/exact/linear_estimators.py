"""Exact mean and variance of the estimate of ∇J from one episode of a linear-quadratic problem.

An episode is a linear map of one standard normal vector ξ: the first state's noise, then ε_t and w_t of each step.
So states and actions are linear forms of ξ, returns and weights Ψ_t quadratic ones, and the scores

    ∂log π/∂(k, K)_ij = ε_i φ_j / σ_i,   ∂log π/∂log σ_i = ε_i² - 1   with φ = (1, x)

products of two linear ones. The means of all products of these are known (`pglab.exact.gaussian`): the mean and the
variance here are exact, in any dimension.

Weights are those of `pglab.algorithms.weightings`; baselines are quadratic functions of the state, as a number, a
form `[1+n, 1+n]` or one for each step `[H, 1+n, 1+n]`. Of any other function of the state, from `[q, n]` to `[q]`, the
mean is known (by quadrature under GAE, see `pglab.exact.linear_critics`), and the variance is NaN. Every function
raises a ValueError where γ is outside [0, 1] or shapes do not fit. Vectors `[P]` are in the order of `LinearGaussian`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pglab.envs.lqr import LinearQuadratic
from pglab.exact import linear_quadratic
from pglab.exact.gaussian import Forms
from pglab.exact.linear_critics import Value, later_values
from pglab.exact.linear_quadratic import LinearGaussian, reward_form, transition
from pglab.exact.values import check_gamma

Form = np.ndarray | float  # a quadratic function of the state
Table = Form | Value


@dataclass(frozen=True)
class Spread:
    """Mean and variance of each number of an estimate, `[P]` both."""

    mean: np.ndarray
    each: np.ndarray

    @property
    def variance(self) -> float:
        """Total variance: the sum over all numbers."""
        return float(self.each.sum())


@dataclass(frozen=True)
class LinearEstimators:
    """The estimates that one-episode weightings make of ∇J.

    Attributes:
        problem, policy: what is played, and by whom.
        gamma: γ in [0, 1].
    """

    problem: LinearQuadratic
    policy: LinearGaussian
    gamma: float

    def __post_init__(self) -> None:
        check_gamma(self.gamma)
        self.policy.check(self.problem)

    @property
    def objective(self) -> float:
        """J."""
        return linear_quadratic.objective(self.problem, self.policy, self.gamma)

    @property
    def is_centred(self) -> bool:
        """E[∇log π] = 0 in every state."""
        return True

    def total_return(self, baseline: Table = 0.0) -> Spread:
        """Ψ_t = R(τ) - b(s_t), where R(τ) = Σ_k γ^k r_k."""
        if callable(baseline):
            return self._only_mean(self.total_return().mean)
        return self._spread(self._returns()[:1] - self._along(baseline))

    def reward_to_go(self, baseline: Table = 0.0, discount_states: bool = False) -> Spread:
        """Ψ_t = G_t - b(s_t), where G_t = Σ_{k≥t} γ^{k-t} r_k; times γ^t with `discount_states`."""
        if callable(baseline):
            return self._only_mean(self.reward_to_go(0.0, discount_states).mean)
        return self._spread(self._decayed(self._returns() - self._along(baseline), discount_states))

    def gae(self, lam: float, value: Table, discount_states: bool = False) -> Spread:
        """Ψ_t = Σ_{k≥t} (γλ)^{k-t} δ_k with δ_t = r_t + γ V(s_{t+1}) - V(s_t), V = 0 after the end.

        (Schulman et al. 2016, eq. 16.)
        """
        if not 0.0 <= lam <= 1.0:
            raise ValueError(f"lam={lam} is outside [0, 1]")
        if callable(value):
            without = self._means(self._decayed(_discounted_sum(self._rewards, self.gamma * lam), discount_states))
            return self._only_mean(without + self._bootstrapped(lam, value, discount_states))
        now = self._along(value)
        following = np.concatenate((now[1:], np.zeros_like(now[:1])))
        errors = self._rewards + self.gamma * following - now
        return self._spread(self._decayed(_discounted_sum(errors, self.gamma * lam), discount_states))

    def leave_one_out(self, episodes: int, returns: str = "rtg", discount_states: bool = False) -> Spread:
        """The mean of a *batch* of n episodes, each less the mean return of the others.

        As `pglab.exact.estimators.leave_one_out`, number by number.
        """
        if episodes < 2:
            raise ValueError(f"episodes={episodes} must be at least 2: a single episode has no others")
        decays = discount_states and returns == "rtg"
        own = self._returns()[:1] if returns == "total" else self._returns()
        psi = self._decayed(np.broadcast_to(own, self._rewards.shape), decays)
        ones = self._decayed(self._constant(1.0), decays)
        mean, (hh, hz, zz) = self._means(psi), self._seconds(psi, ones)
        rho, level = self.return_times_score(decays), self.objective
        one = hh - mean**2 - 2 * level * hz + (level**2 + self.return_variance() / (episodes - 1)) * zz
        return Spread(mean, (one + rho**2 / (episodes - 1)) / episodes)

    def return_times_score(self, discount_states: bool = False) -> np.ndarray:
        """ρ = E[R(τ) Σ_t d^t ∇log π(a_t|s_t)], `[P]`, with d = γ for `discount_states`, else 1."""
        psi = np.broadcast_to(self._returns()[:1], self._rewards.shape)
        return self._means(self._decayed(psi, discount_states))

    def exponent_slip(self) -> None:
        """γ^r r is no polynomial of the noise."""

    def return_variance(self) -> float:
        """Variance of an episode's return R(τ)."""
        whole = self._returns()[0]
        return float(Forms(np.zeros((0, len(whole))), whole, whole).closed["MN"])

    def _bootstrapped(self, lam: float, value: Value, discount_states: bool) -> np.ndarray:
        """The share of V in the mean of GAE: V(x_k) stands in Ψ_t with γ (1 - λ) (γλ)^{k-1-t} for each k > t."""
        steps = np.arange(len(self._rewards))
        after = np.maximum(steps - steps[:, None] - 1, 0)
        weights = self.gamma * (1 - lam) * (self.gamma * lam) ** after * (steps[:, None] < steps)
        if discount_states:
            weights = weights * self.gamma ** steps[:, None]
        m, width = self.policy.gain.shape
        found = later_values(self._rows, m, value, weights)
        of_gain = found[: m * width].reshape(m, width) / self._deviation
        return np.concatenate((of_gain.ravel(), found[m * width :]))

    def _only_mean(self, mean: np.ndarray) -> Spread:
        return Spread(mean, np.full(len(mean), np.nan))

    def _spread(self, psi: np.ndarray) -> Spread:
        """Of Σ_t Ψ_t ∇log π for Ψ `[H, 1+N, 1+N]`."""
        psi = np.broadcast_to(psi, self._rewards.shape)
        mean = self._means(psi)
        return Spread(mean, self._seconds(psi)[0] - mean**2)

    def _means(self, psi: np.ndarray) -> np.ndarray:
        """E[Σ_t Ψ_t ∇log π], `[P]`."""
        forms, i, j = Forms(self._rows, psi, psi), *self._places(0)
        of_gain = forms.mean(i, j, "M").sum(0) / self._deviation
        of_deviation = (forms.mean(i, i, "M") - forms.mean("M")).sum(0)
        return np.concatenate((of_gain.ravel(), of_deviation.ravel()))

    def _seconds(self, psi: np.ndarray, other: np.ndarray | None = None) -> list[np.ndarray]:
        """E[h²], and with other weights also E[h z] and E[z²], number by number, `[P]`.

        Args:
            psi: the weights of h = Σ_t Ψ_t ∇log π.
            other: those of z.
        """
        pairs = [(psi, psi)] if other is None else [(psi, psi), (psi, other), (other, other)]
        return [np.sum(list(self._products(one, two)), axis=0) for one, two in pairs]

    def _products(self, one: np.ndarray, two: np.ndarray) -> Iterator[np.ndarray]:
        """For each step t, E[Ψ_t s_t Σ_k Ψ'_k s_k] number by number, `[P]`."""
        (i, j), (later_i, later_j) = self._places(0), self._places(self._rows.shape[1])
        for t in range(len(one)):
            rows = np.concatenate((np.broadcast_to(self._rows[t], self._rows.shape), self._rows), 1)
            forms = Forms(rows, np.broadcast_to(one[t], two.shape), two)
            of_gain = forms.mean(i, j, later_i, later_j, "M", "N").sum(0) / self._deviation**2
            squares = (
                forms.mean(i, i, later_i, later_i, "M", "N")
                - forms.mean(i, i, "M", "N")
                - forms.mean(later_i, later_i, "M", "N")
            )
            of_deviation = (squares + forms.mean("M", "N")).sum(0)
            yield np.concatenate((of_gain.ravel(), of_deviation.ravel()))

    def _places(self, first: int) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the rows of ε `[m, 1]` and of φ `[1, 1+n]` in `_rows`, from `first` on."""
        m, width = self.policy.gain.shape
        return first + np.arange(m)[:, None], first + m + np.arange(width)[None]

    @property
    def _deviation(self) -> np.ndarray:
        return np.exp(self.policy.log_deviation)[:, None]

    @cached_property
    def _rows(self) -> np.ndarray:
        """ε_t and φ_t of every step as linear forms of ξ̃, `[H, m + 1 + n, 1+N]`."""
        (m, width), n = self.policy.gain.shape, len(self.problem.dynamics)
        size = 1 + n + self.problem.horizon * (m + n)
        state = np.zeros((width, size))
        state[0, 0] = 1.0
        state[1:, 0], state[1:, 1 : 1 + n] = self.problem.start_mean, self.problem.start_spread
        rows, move = [], transition(self.problem)
        for t in range(self.problem.horizon):
            begin = 1 + n + t * (m + n)
            noise = np.zeros((m, size))
            noise[:, begin : begin + m] = np.eye(m)
            rows.append(np.concatenate((noise, state)))
            state = move @ self._acting(rows[-1])
            state[1:, begin + m : begin + m + n] += self.problem.noise
        return np.array(rows)

    def _acting(self, rows: np.ndarray) -> np.ndarray:
        """z = (1, x, u) as linear forms, `[..., 1+n+m, 1+N]`, from the rows of a step."""
        noise, state = np.split(rows, [len(self.policy.gain)], -2)
        return np.concatenate((state, self.policy.gain @ state + self._deviation * noise), -2)

    @cached_property
    def _rewards(self) -> np.ndarray:
        """r_t as quadratic forms of ξ̃, `[H, 1+N, 1+N]`."""
        acting = self._acting(self._rows)
        return acting.swapaxes(-1, -2) @ reward_form(self.problem) @ acting

    def _returns(self) -> np.ndarray:
        """G_t as quadratic forms of ξ̃, `[H, 1+N, 1+N]`; the first one is R(τ)."""
        return _discounted_sum(self._rewards, self.gamma)

    def _along(self, table: Form) -> np.ndarray:
        """A quadratic function of the state along the episode, `[H, 1+N, 1+N]`."""
        if np.ndim(table) == 0:
            return self._constant(float(table))
        forms, state = np.asarray(table), self._rows[:, len(self.policy.gain) :]
        size = state.shape[1]
        if forms.shape not in ((size, size), (len(state), size, size)):
            raise ValueError(
                f"a form of shape {forms.shape} must be {(size, size)}, or {(len(state), size, size)} by step"
            )
        return state.swapaxes(-1, -2) @ forms @ state

    def _constant(self, value: float) -> np.ndarray:
        forms = np.zeros_like(self._rewards)
        forms[:, 0, 0] = value
        return forms

    def _decayed(self, psi: np.ndarray, discount_states: bool) -> np.ndarray:
        return psi * self.gamma ** np.arange(len(psi))[:, None, None] if discount_states else psi


def _discounted_sum(forms: np.ndarray, factor: float) -> np.ndarray:
    """x_t = f_t + factor · x_{t+1} along the first axis."""
    total = np.array(forms)
    for t in reversed(range(len(forms) - 1)):
        total[t] += factor * total[t + 1]
    return total
