"""The Markov chain that a policy makes of a finite MDP, and the linear recursions on it."""

from functools import cached_property

import numpy as np

from pglab.envs.finite import FiniteMDP

TINY = 1e-12


class Chain:
    """The states where a policy π(a|s) acts, and how it moves between them.

    Only *live* states are kept: non-terminal, and reached with positive probability. Arrays of
    the recursions have a leading time axis T: the horizon H, or 1 where there is none and
    nothing depends on the time. `n` is the number of live states.

    Attributes:
        is_live: whether a state is live, `[S]`; `live`: their indices, ascending, `[n]`.
        times: T.
        pi: π(a|s) of the live states, `[n, A]`.
        reach: π(a|s) P(s'|s, a), all successors, `[n, A, S]`.

    Raises:
        ValueError: π is not `[S, A]`, or a row is not a distribution; the MDP may start in a
            terminal state.
    """

    def __init__(self, mdp: FiniteMDP, pi: np.ndarray) -> None:
        pi = check_policy(mdp, pi)
        if (mdp.start[mdp.terminal] > 0).any():
            state = int(np.flatnonzero(mdp.terminal & (mdp.start > 0))[0])
            raise ValueError(f"the episode may start in state {state}, which is terminal: start it elsewhere")
        self.mdp = mdp
        self.is_live = _reachable(mdp, pi)
        self.live = np.flatnonzero(self.is_live)
        self.times = 1 if mdp.horizon is None else mdp.horizon
        self.pi = pi[self.live]
        self.reach = self.pi[..., None] * mdp.transition[self.live]
        self.start = mdp.start[self.live]
        self._move = self.reach[..., self.live].sum(1)

    @cached_property
    def radius(self) -> float:
        """Spectral radius of the moves between live states: 1 where an episode may never end."""
        return float(np.abs(np.linalg.eigvals(self._move)).max())

    def solve(self, source: np.ndarray, factor: float) -> np.ndarray:
        """x with x_t(s) = source_t(s) + factor · E[x_{t+1}(s') | s], zero after the end.

        Without a horizon this is one linear system; with one, a backward recursion from x_H = 0.

        Args:
            source: `[T or 1, n, ...]`.
            factor: in [0, 1].

        Returns:
            `[T, n, ...]`.

        Raises:
            ValueError: no horizon, and `factor` does not discount an episode that never ends.
        """
        if self.mdp.horizon is None:
            self.check_summable(factor)
            flat = source[0].reshape(len(self.live), -1)
            solved = np.linalg.solve(np.eye(len(self.live)) - factor * self._move, flat)
            return solved.reshape(source[:1].shape)
        x = np.broadcast_to(source, (self.times, *source.shape[1:])).reshape(self.times, len(self.live), -1).copy()
        for t in range(self.times - 2, -1, -1):
            x[t] += factor * (self._move @ x[t + 1])
        return x.reshape(self.times, *source.shape[1:])

    def check_summable(self, factor: float) -> None:
        """A ValueError where a sum over an episode without horizon, discounted by `factor`, has no value."""
        if factor * self.radius >= 1.0 - TINY:
            raise ValueError(
                f"an undiscounted sum over an episode that never ends: spectral radius {self.radius:.15g} of the "
                f"policy's moves times factor {factor} is not below 1; give the MDP a horizon, discount "
                "(gamma < 1), or let the policy reach a terminal state from every state it visits"
            )

    def before(self, source: np.ndarray, factor: float, later: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One step of `solve`, for recursions that keep no more than one time.

        Args:
            source: of time t, `[n, ...]`.
            factor: in [0, 1].
            later: x_{t+1}, `[n, ...]`, zeros at the horizon; without a horizon it is not used.

        Returns:
            x_t, and x one step ahead of t: x_{t+1}, or x_t itself where nothing depends on the time.
        """
        if self.mdp.horizon is None:
            x = self.solve(source[None], factor)[0]
            return x, x
        return source + factor * (self._move @ later), later

    def ahead(self, x: np.ndarray) -> np.ndarray:
        """The same quantity one step later, zero after the horizon: `[T, n, ...]` to `[T, n, ...]`."""
        if self.mdp.horizon is None:
            return x
        return np.concatenate((x[1:], np.zeros_like(x[:1])))

    def behind(self, x: np.ndarray) -> np.ndarray:
        """The same quantity one step earlier, zero before the start: `[T, n]` to `[T, n]`."""
        if self.mdp.horizon is None:
            return x
        return np.concatenate((np.zeros_like(x[:1]), x[:-1]))

    def visits(self, gamma: float) -> np.ndarray:
        """γ^t P(s_t = s) of the live states, `[H, n]`; summed over t without a horizon, `[1, n]`."""
        return self.flow(self.from_start(), gamma)

    def from_start(self) -> np.ndarray:
        """P(s_0 = s) at time 0 and 0 later, `[T, n]`."""
        begin = np.zeros((self.times, len(self.live)))
        begin[0] = self.start
        return begin

    def flow(self, source: np.ndarray, factor: float) -> np.ndarray:
        """x with x_t(s') = source_t(s') + factor · Σ_s x_{t-1}(s) P_π(s'|s), `[T, n]`: forward in time.

        Raises:
            ValueError: as `solve`.
        """
        if self.mdp.horizon is None:
            self.check_summable(factor)
            return np.linalg.solve(np.eye(len(self.live)) - factor * self._move.T, source[0])[None]
        x = source.copy()
        for t in range(1, self.times):
            x[t] += factor * (x[t - 1] @ self._move)
        return x

    def at_live(self, table: np.ndarray | float) -> np.ndarray:
        """A number, a table `[S]` or `[H, S]` as `[T or 1, n]`.

        Raises:
            ValueError: another shape, or a value that is not finite in a live state.
        """
        table = np.asarray(table, dtype=float)
        states = len(self.mdp.transition)
        if table.ndim == 0:
            table = np.full((1, states), float(table))
        table = np.atleast_2d(table)
        if table.shape not in ((1, states), (self.times, states)):
            allowed = f"a number or [{states}]" + ("" if self.times == 1 else f" or [{self.times}, {states}]")
            raise ValueError(f"a table of shape {table.shape} must be {allowed}")
        table = table[:, self.live]
        if not np.isfinite(table).all():
            raise ValueError("the table is not finite in every state that the policy visits")
        return table

    def everywhere(self, x: np.ndarray, dead: float) -> np.ndarray:
        """`[T, n, ...]` as `[T, S, ...]`, `dead` in all other states; no time axis without a horizon."""
        full = np.full((len(x), len(self.mdp.transition), *x.shape[2:]), dead)
        full[:, self.live] = x
        return full[0] if self.mdp.horizon is None else full


def check_policy(mdp: FiniteMDP, pi: np.ndarray) -> np.ndarray:
    """π as a float array `[S, A]`; a ValueError where a row is no distribution."""
    pi = np.asarray(pi, dtype=float)
    expected = mdp.transition.shape[:2]
    if pi.shape != expected:
        raise ValueError(f"the policy's table is {pi.shape}, this MDP needs [S, A] = {expected}")
    bad = ~((pi >= 0).all(-1) & (np.abs(pi.sum(-1) - 1.0) < 1e-9))
    if bad.any():
        state = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"π(·|{state}) = {pi[state]} is not a distribution: it must be non-negative and sum to 1 "
            "(a head whose log_prob is not a log-probability has no exact J)"
        )
    return pi


def _reachable(mdp: FiniteMDP, pi: np.ndarray) -> np.ndarray:
    """Non-terminal states that π reaches from the start in any number of steps, `[S]`, boolean."""
    link = ((pi[..., None] * mdp.transition).sum(1) > 0) & ~mdp.terminal
    reached = frontier = mdp.start > 0
    while frontier.any():
        frontier = link[frontier].any(0) & ~reached
        reached = reached | frontier
    return reached
