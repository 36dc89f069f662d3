"""One episode of one policy, moment by moment."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pglab.envs.drawing import Action
from pglab.envs.finite import FiniteMDP
from pglab.envs.spaces import Discrete, Space, as_space
from pglab.envs.world import State, World
from pglab.models.model import Policy
from pglab.training.randomness import Streams, fold_in, reset_uniforms, uniforms
from pglab.training.wave import action_uniforms

QUANTILES = 4096  # of the uniform behind an action, to see which action is the most probable


@dataclass(frozen=True)
class Moment:
    """A state of an episode, and how it came about.

    Attributes:
        t: steps made before it.
        state: of the world, one lane `[1, 1]`.
        obs: as the policy sees it, `[D]`.
        action: that the world was given to come here, a number, of a Box a list of them; None in the first state.
        reward: earned on the way here.
        ended: `terminated` or `truncated` in the last one of an episode, else empty.
    """

    t: int
    state: State
    obs: np.ndarray
    action: Action = None
    reward: float = 0.0
    ended: str = ""


@dataclass(frozen=True)
class WatchedPolicy:
    """One policy in its world, whose episodes are watched one by one.

    Its randomness comes of streams of the seed that nothing else uses, so that watching changes nothing.
    The same episode number begins in the same state, and has the same uniforms behind its actions, for
    whatever policy of this seed.

    Attributes:
        parameters: of the policy, flat, `[P]`.
        seed: of the run.
        greedy: takes the most probable action (of several the first), of numbers their medians, not a sampled one.
    """

    world: World
    policy: Policy
    parameters: Tensor
    seed: int
    greedy: bool = False

    def episode(self, number: int = 0, world: World | None = None) -> Iterator[Moment]:
        """An episode's first moment, and one more after each step.

        Args:
            number: which episode, from 0.
            world: an equal of its own, to be played in its place.
        """
        world = world or self.world
        device = self.parameters.device
        keys = Streams.of([self.seed], "watched_", device)  # its problem is the one that the run was trained on
        episode = torch.tensor([[number]], device=device)
        first, transitions, actions = (
            fold_in(key[:, None], episode) for key in (keys.first_states, keys.transitions, keys.actions)
        )
        weights = self.policy.model.layout.unflatten(self.parameters[None])
        state = world.reset(reset_uniforms(world, keys.problems[:, None], first))
        t, action, reward, ended = 0, None, 0.0, ""
        while True:
            obs = world.observe(state)
            yield Moment(t, state, obs[0, 0].cpu().numpy(), action, reward, ended)
            if ended:
                return
            time = torch.tensor(t, device=device)
            with torch.inference_mode():
                if self.greedy:
                    chosen = _most_probable(self.policy, weights, obs, as_space(world.actions))
                else:
                    chosen = self.policy.act(weights, obs, action_uniforms(self.policy, fold_in(actions, time)))
                taken = self.policy.taken(chosen)
                draws = uniforms(fold_in(transitions, time), world.step_draws, torch.float32)
                step = world.step(state, taken, draws)
            state, t, action, reward = step.state, t + 1, taken[0, 0].tolist(), float(step.reward)
            if step.terminated.item():
                ended = "terminated"
            elif t == world.horizon or (step.truncated is not None and step.truncated.item()):
                ended = "truncated"


def line_of(moment: Moment, world: World) -> str:
    """`step 3: action 1, reward -1, state 2`: of a finite MDP the state, else what is seen of it."""
    if isinstance(world, FiniteMDP):
        state, seen = int(moment.state[0]), int(moment.obs[0])
        now = f"state {state}" + (f" (seen as {seen})" if seen != state else "")
    elif isinstance(world.observation, Discrete):
        now = f"sees {int(moment.obs[0])}"
    else:
        now = f"sees {' '.join(f'{x:.4g}' for x in moment.obs)}"
    if moment.action is None:
        return f"start: {now}"
    return f"step {moment.t}: action {moment.action}, reward {moment.reward:.6g}, {now}"


def _most_probable(policy: Policy, weights: dict[str, Tensor], obs: Tensor, actions: Space) -> Tensor:
    """The action that most uniforms lead to; where actions are numbers, the one in the middle (all uniforms ½).

    A head's `sample`, unlike its `log_prob`, is never wrong on purpose.
    """
    if not isinstance(actions, Discrete):
        return policy.act(weights, obs, torch.full((1, 1, policy.draws or 1), 0.5, device=obs.device))
    uniform = (torch.arange(QUANTILES, device=obs.device) + 0.5) / QUANTILES
    chosen = policy.act(weights, obs.expand(1, QUANTILES, -1), uniform[None])
    return chosen.flatten().bincount(minlength=actions.size).argmax().reshape(1, 1)
