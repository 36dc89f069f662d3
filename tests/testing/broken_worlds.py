"""A walk that keeps the contract of a world, and worlds that break a rule of it each."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from pglab.envs.gymnasium import GymnasiumWorld
from pglab.envs.world import Box, Discrete, Step


@dataclass(frozen=True)
class Walk:
    """A walk on a line from near 0 until it is 2 away from it, with a little noise."""

    observation: ClassVar = Box(2)
    actions: ClassVar = 2
    horizon: ClassVar = None
    reset_draws: ClassVar = 1
    step_draws: ClassVar = 1

    def reset(self, uniform):
        return (uniform[..., 0] - 0.5, torch.zeros(uniform.shape[:-1]))

    def observe(self, state):
        return torch.stack(state, -1).float()

    def step(self, state, action, uniform):
        position = state[0] + action - 0.5 + 0.1 * uniform[..., 0]
        return Step((position, state[1] + 1), -position.abs().float(), position.abs() > 2)


class WithoutHorizonAttribute:
    observation, actions, reset_draws, step_draws = Box(2), 2, 1, 1


class ObservationAsNumber(Walk):
    observation = 2


class NoActions(Walk):
    actions = 0


class HorizonOfZero(Walk):
    horizon = 0


class MoreProblemThanDraws(Walk):
    problem_draws = 2


class NoStep(Walk):
    step = None


class DoublePrecision(Walk):
    def observe(self, state):
        return torch.stack(state, -1)


class FeaturesFirst(Walk):
    def observe(self, state):
        return torch.stack(state).float()


class Infinite(Walk):
    def observe(self, state):
        return torch.stack((state[0], 1 / (3 - state[1])), -1).float()


class SymbolOutOfRange(Walk):
    observation = Discrete(2)

    def observe(self, state):
        return state[1][..., None]


class StateIsOneTensor(Walk):
    def reset(self, uniform):
        return uniform[..., 0]


class SharedState(Walk):
    def reset(self, uniform):
        return (uniform[..., 0] - 0.5, torch.zeros(()))


class LogOfZero(Walk):
    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        return step._replace(reward=uniform[..., 0].log())


class LogOfOne(Walk):
    def reset(self, uniform):
        return ((1 - uniform[..., 0].float()).log(), torch.zeros(uniform.shape[:-1]))


class InfiniteReward(Walk):
    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        return step._replace(reward=step.reward / (state[1] != 2))


class OneRewardForAll(Walk):
    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        return step._replace(reward=torch.tensor(-1.0))


class WholeReward(Walk):
    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        return step._replace(reward=step.reward.long())


class EndAsNumber(Walk):
    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        return step._replace(terminated=step.terminated.float())


class CutAsNumber(Walk):
    def step(self, state, action, uniform):
        return super().step(state, action, uniform)._replace(truncated=torch.zeros(action.shape))


class PlainTuple(Walk):
    def step(self, state, action, uniform):
        return tuple(super().step(state, action, uniform))


class MixesLanes(Walk):
    def step(self, state, action, uniform):
        return super().step((state[0], state[1]), action, uniform - uniform.mean() + 0.5)


class MixesFirstStates(Walk):
    def reset(self, uniform):
        return super().reset(uniform + 0.01 * uniform.mean())


class MixesWithTheLast(GymnasiumWorld):
    """A stateful world, so that no lane can be played alone."""

    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        return step._replace(reward=step.reward + action.flatten()[-1])


class MixesActions(Walk):
    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        return step._replace(reward=step.reward + action.sum())


class MovesInPlace(Walk):
    def step(self, state, action, uniform):
        state[1].add_(1)
        return super().step(state, action, uniform)


class ObservesInPlace(Walk):
    def observe(self, state):
        state[0].clamp_(-1, 1)
        return super().observe(state)


class OwnRandomness(Walk):
    def reset(self, uniform):
        return super().reset(torch.rand(uniform.shape))


class RaisesAfterTheEnd(Walk):
    def step(self, state, action, uniform):
        if (state[0].abs() > 2).any():
            raise RuntimeError("the episode is over")
        return super().step(state, action, uniform)


class NeverEnds(Walk):
    def step(self, state, action, uniform):
        return super().step(state, action, uniform)._replace(terminated=torch.zeros_like(action, dtype=torch.bool))


class CutAndOn(Walk):
    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        return step._replace(truncated=step.state[1] == 3)


class HiddenState(Walk):
    """Keeps the time to itself."""

    def reset(self, uniform):
        object.__setattr__(self, "time", 0)
        return super().reset(uniform)

    def step(self, state, action, uniform):
        object.__setattr__(self, "time", self.time + 1)
        step = super().step(state, action, uniform)
        return step._replace(reward=step.reward + self.time)


class HiddenPositions(Walk):
    """Keeps the lanes' first states to itself."""

    def reset(self, uniform):
        object.__setattr__(self, "home", super().reset(uniform)[0])
        return super().reset(uniform)

    def step(self, state, action, uniform):
        step = super().step(state, action, uniform)
        home = self.home[: len(action)] if action.dim() else self.home
        return step._replace(reward=step.reward + home.float())


class CountsLanesFromTheFront(Walk):
    def reset(self, uniform):
        position, time = super().reset(uniform)
        return (position + (0.1 if uniform.dim() > 1 else 0.0), time)


BROKEN = {
    WithoutHorizonAttribute: "has no attribute `horizon`",
    ObservationAsNumber: r"observation is 2, which must be Box\(D\) or Discrete\(D\)",
    NoActions: r"actions is 0, which must be Discrete\(A\), Box\(D\) or an int of at least 1",
    MoreProblemThanDraws: "problem_draws is 2, which must be an int from 0 to reset_draws=1",
    HorizonOfZero: "horizon is 0, which must be None or an int of at least 1",
    NoStep: "has no method `step`",
    DoublePrecision: r"observe returned shape \[3, 4, 2\] of torch.float64 .*: torch.float32 of shape \[3, 4, 2\] is",
    FeaturesFirst: r"observe returned shape \[2, 3, 4\] of torch.float32",
    Infinite: r"observe returned a number that is not finite after 3 steps at \[..., D\] = \[0, \d, 1\]",
    SymbolOutOfRange: r"observe returned 2.0 after 2 steps .*: an index from 0 to 1 is expected",
    StateIsOneTensor: "returned a state that is shape .*: a tuple of tensors is expected",
    SharedState: r"returned state\[1\] of shape \[\]: its first axes must be the lanes, \[3, 4\]",
    LogOfZero: r"step 0 of lanes \[3, 4\] returned a reward that is not finite at lane = \[0, 0\]",
    LogOfOne: "observe returned a number that is not finite after 0 steps",
    InfiniteReward: r"step 2 of lanes \[3, 4\].* returned a reward that is not finite",
    OneRewardForAll: r"returned shape \[\] of torch.float32 as reward: a floating-point number for each lane",
    WholeReward: r"returned shape \[3, 4\] of torch.int64 as reward",
    EndAsNumber: "of torch.float32 as terminated: a boolean for each lane is expected",
    CutAsNumber: "of torch.float32 as truncated: a boolean for each lane is expected",
    PlainTuple: "returned a tuple without state, reward, terminated, truncated: return a Step",
    MixesLanes: r"mixes lanes: with another step uniforms in lane \[0, 0\], another lane changed",
    MixesFirstStates: r"mixes lanes: with another reset uniforms in lane \[0, 0\], another lane changed",
    MixesActions: r"mixes lanes: with another action in lane \[0, 0\], another lane .*in its reward",
    MovesInPlace: r"step changed its input state\[1\] in place",
    ObservesInPlace: r"observe changed its input state\[0\] in place",
    OwnRandomness: "played another episode from the same uniforms and actions",
    RaisesAfterTheEnd: r"step \d+ of lanes .* \(some lanes after their episode's end.* raised RuntimeError: the",
    NeverEnds: r"had not ended after 1,000 steps with random actions, the longest tried: .* a horizon",
    CutAndOn: r"moved on after it had truncated an episode itself, at lane = .*: its last observation must stay",
    HiddenState: "went elsewhere when step 0 was taken again",
    HiddenPositions: r"plays a lane on otherwise once others are dropped",
    CountsLanesFromTheFront: r"depends on the lane axes: lane \[1, 2\] of \[3, 4\] plays otherwise without",
}
