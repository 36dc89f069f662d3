"""Linear-quadratic problems under linear-Gaussian policies: J, ∇J and the optimum in closed form.

A quadratic function of the state is one symmetric matrix M, as φᵀ M φ with φ = (1, x): `[1+n, 1+n]`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pglab.envs.lqr import LinearQuadratic
from pglab.exact.values import check_gamma


@dataclass(frozen=True)
class LinearGaussian:
    """u = k + K x + σ ∘ ε with ε ~ N(0, I).

    Its parameters are, in the order of every vector `[P]` here: the rows (k_i, K_i) of `gain`, then log σ.

    Attributes:
        gain: (k, K), `[m, 1+n]`.
        log_deviation: log σ, `[m]`.
    """

    gain: np.ndarray
    log_deviation: np.ndarray

    @property
    def variance(self) -> np.ndarray:
        """σ², `[m]`."""
        return np.exp(2 * self.log_deviation)

    def check(self, problem: LinearQuadratic) -> None:
        """Raises ValueError where the shapes are not those of the problem."""
        n, m = problem.control.shape
        if self.gain.shape != (m, 1 + n) or self.log_deviation.shape != (m,):
            raise ValueError(
                f"gain {self.gain.shape} and log_deviation {self.log_deviation.shape} must be {(m, 1 + n)} and {(m,)} "
                f"for {n} numbers of a state and {m} of an action"
            )


def objective(problem: LinearQuadratic, policy: LinearGaussian, gamma: float) -> float:
    """J = E[Σ_t γ^t r_t].

    Raises:
        ValueError: γ is outside [0, 1], or shapes do not fit.
    """
    return float((value_forms(problem, policy, gamma)[0] * start_moment(problem)).sum())


def gradient(problem: LinearQuadratic, policy: LinearGaussian, gamma: float) -> np.ndarray:
    """∇J, `[P]`, by the policy-gradient theorem.

    With Q_t(x, u) = zᵀ M_t z for z = (1, x, u), its mean over ε has the slope 2 M_t[u, :] z̄ in the mean action, at
    z̄ = (φ, k + K x), and 2 σ_i² M_t[u_i, u_i] in log σ_i:

        ∂J/∂(k, K)  = Σ_t γ^t 2 M_t[u, :] (I; k K) E[φ φᵀ]
        ∂J/∂log σ_i = Σ_t γ^t 2 σ_i² M_t[u_i, u_i]

    Raises:
        ValueError: as `objective`.
    """
    of_gain, of_deviation = np.zeros_like(policy.gain), np.zeros_like(policy.log_deviation)
    n = len(problem.dynamics)
    moments = second_moments(problem, policy)
    for t, form in _action_forms(problem, value_forms(problem, policy, gamma), gamma):
        to_action = form[1 + n :]
        of_gain += gamma**t * 2 * to_action @ _closed_loop(policy) @ moments[t]
        of_deviation += gamma**t * 2 * policy.variance * np.diag(to_action[:, 1 + n :])
    return np.concatenate((of_gain.ravel(), of_deviation))


def value_forms(problem: LinearQuadratic, policy: LinearGaussian, gamma: float) -> np.ndarray:
    """V_t(x) = E[Σ_{k≥t} γ^{k-t} r_k | x_t = x] as φᵀ M_t φ, `[H+1, 1+n, 1+n]`, with V_H = 0.

    Raises:
        ValueError: as `objective`.
    """
    check_gamma(gamma)
    policy.check(problem)
    size = 1 + len(problem.dynamics)
    forms = np.zeros((problem.horizon + 1, size, size))
    loop = _closed_loop(policy)
    for t, form in _action_forms(problem, forms, gamma):
        forms[t] = loop.T @ form @ loop
        forms[t, 0, 0] += policy.variance @ np.diag(form)[size:]
    return forms


def second_moments(problem: LinearQuadratic, policy: LinearGaussian) -> np.ndarray:
    """E[φ_t φ_tᵀ] for every step t < H, `[H, 1+n, 1+n]`."""
    policy.check(problem)
    move, loop, size = transition(problem), _closed_loop(policy), 1 + len(problem.dynamics)
    moments = np.empty((problem.horizon, size, size))
    moments[0] = start_moment(problem)
    for t in range(1, problem.horizon):
        acting = loop @ moments[t - 1] @ loop.T
        acting[size:, size:] += np.diag(policy.variance)
        moments[t] = move @ acting @ move.T
        moments[t, 1:, 1:] += problem.noise @ problem.noise.T
    return moments


def start_moment(problem: LinearQuadratic) -> np.ndarray:
    """E[φ_0 φ_0ᵀ], `[1+n, 1+n]`."""
    mean = np.append(1.0, problem.start_mean)
    moment = np.outer(mean, mean)
    moment[1:, 1:] += problem.start_spread @ problem.start_spread.T
    return moment


def transition(problem: LinearQuadratic) -> np.ndarray:
    """From z = (1, x, u) to the mean of the next φ = (1, x'), `[1+n, 1+n+m]`."""
    n, m = problem.control.shape
    move = np.zeros((1 + n, 1 + n + m))
    move[0, 0] = 1.0
    move[1:, 1 : 1 + n], move[1:, 1 + n :] = problem.dynamics, problem.control
    return move


def reward_form(problem: LinearQuadratic) -> np.ndarray:
    """r as a quadratic function of z = (1, x, u), `[1+n+m, 1+n+m]`."""
    n, m = problem.control.shape
    form = np.zeros((1 + n + m, 1 + n + m))
    form[1 : 1 + n, 1 : 1 + n], form[1 + n :, 1 + n :] = -problem.state_cost, -problem.action_cost
    return form


def optimum(problem: LinearQuadratic, gamma: float) -> tuple[np.ndarray, float]:
    """The best feedback at each step, `[H, m, 1+n]`, and the J that it earns without exploring (σ = 0).

    The Riccati recursion: maximise zᵀ M_t z over u at every t, from the last one. (Bertsekas 2017, section 3.1.)

    Raises:
        ValueError: γ is outside [0, 1], or some action is free (R + γ BᵀPB is not positive definite).
    """
    check_gamma(gamma)
    size = 1 + len(problem.dynamics)
    forms = np.zeros((problem.horizon + 1, size, size))
    gains = np.zeros((problem.horizon, problem.control.shape[1], size))
    for t, form in _action_forms(problem, forms, gamma):
        if np.linalg.eigvalsh(form[size:, size:]).max() >= 0:
            raise ValueError("some action costs nothing, now or later, so there is no best one: give it a cost")
        gains[t] = -np.linalg.solve(form[size:, size:], form[size:, :size])
        loop = np.concatenate((np.eye(size), gains[t]))
        forms[t] = loop.T @ form @ loop
    return gains, float((forms[0] * start_moment(problem)).sum())


def _action_forms(problem: LinearQuadratic, forms: np.ndarray, gamma: float) -> Iterator[tuple[int, np.ndarray]]:
    """From the last step to the first: its time and Q_t as a form of z, of the V_{t+1} that `forms` has by then."""
    move, spread, reward = transition(problem), problem.noise @ problem.noise.T, reward_form(problem)
    for t in reversed(range(problem.horizon)):
        following = forms[t + 1]
        form = reward + gamma * move.T @ following @ move
        form[0, 0] += gamma * (following[1:, 1:] * spread).sum()
        yield t, form


def _closed_loop(policy: LinearGaussian) -> np.ndarray:
    """From φ to z̄ = (φ, k + K x), `[1+n+m, 1+n]`."""
    return np.concatenate((np.eye(policy.gain.shape[1]), policy.gain))
