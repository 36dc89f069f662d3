"""Playing whole episodes of many runs at once, taken in order of start."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pglab.envs.world import Heavy, Parking, World
from pglab.models.model import Policy
from pglab.training.episodes import Episodes
from pglab.training.randomness import Streams
from pglab.training.wave import Wave, packed, play

SURPLUS = 1.1  # episodes begun for each one expected to be needed


@dataclass(frozen=True)
class Target:
    """The sizes of complete batches of K runs: both minima reached, `[K]` each; with 0 and 0 a run does not play.

    Episodes p `group`, …, (p + 1) `group` - 1 begin at the prompt of episode p (see `pglab.training.prompts`).
    """

    steps: np.ndarray
    episodes: np.ndarray
    group: int = 1

    def unmet(self, steps: np.ndarray, episodes: np.ndarray) -> np.ndarray:
        """Rows that have not played enough, ascending."""
        return np.flatnonzero((steps < self.steps) | (episodes < self.episodes))


class Player(Protocol):
    """Plays the batches of K runs.

    The batch of a run is the shortest run of its episodes 0, 1, 2, … that meets the target, which
    is what a sequential collector takes: which ones are in it does not go by which end first.
    Episode e of update u is a function of its keys and the policy (`pglab.training.randomness`),
    so it must be the same whoever plays it, beside whatever else; so must its bits.
    """

    def __call__(
        self,
        world: World,
        policy: Policy,
        parameters: Tensor,
        streams: Streams,
        target: Target,
        expected_length: np.ndarray,
    ) -> Episodes:
        """The batches, packed end to end.

        Args:
            parameters: flat policy parameters, `[K, P]`.
            streams: random keys of the runs.
            target: when a run's batch is complete.
            expected_length: guess of each run's mean episode length, `[K]`, NaN where unknown; it
                may decide how many episodes to begin at once, never what is in the batch.
        """
        ...


@dataclass(frozen=True)
class Waves:
    """Plays in *waves*: every episode of a wave begins at step 0 together.

    A run's episodes are laid out in *banks* of C lanes, and a bank is the unit of all batched
    arithmetic: its shape is the same whatever else is in the bundle, so its bits are too. Lanes
    that still play close up along the way, so that few banks are left. Episodes begun beyond the target are
    thrown away; they are the price of playing side by side and are not counted.

    Attributes:
        lanes: C, episodes in a bank.
    """

    lanes: int

    def __call__(
        self,
        world: World,
        policy: Policy,
        parameters: Tensor,
        streams: Streams,
        target: Target,
        expected_length: np.ndarray,
    ) -> Episodes:
        played, begun = np.zeros(len(parameters), dtype=np.int64), np.zeros(len(parameters), dtype=np.int64)
        waves = []
        with torch.inference_mode():
            while len(pending := target.unmet(played, begun)):
                count = self._episodes_to_begin(pending, played, begun, target, expected_length)
                if isinstance(world, Heavy):
                    count = np.minimum(count, world.most_lanes)
                    together = count.cumsum() <= world.most_lanes
                    pending, count = pending[together], count[together]
                banks = -(-count // self.lanes)
                if banks.sum() == 1:  # a matrix product alone in its batch would have other bits
                    banks += 1
                run = np.repeat(pending, banks)
                order = np.arange(len(run)) - np.repeat(np.cumsum(banks) - banks, banks)
                episode = (begun[run] + order * self.lanes)[:, None] + np.arange(self.lanes)
                begins = np.ones(episode.shape, dtype=bool)
                if isinstance(world, Parking):  # elsewhere the rest of a bank costs nothing
                    begins = episode < (begun[pending] + count).repeat(banks)[:, None]
                wave = Wave(run, episode, begins, (target.steps - played)[run], target.episodes[run], target.group)
                play(wave, world, policy, parameters, streams)
                np.add.at(played, wave.run, np.where(wave.alive, wave.length, 0).sum(1))
                np.add.at(begun, wave.run, wave.alive.sum(1))
                waves.append(wave)
        return packed(waves)

    def _episodes_to_begin(
        self,
        pending: np.ndarray,
        played: np.ndarray,
        begun: np.ndarray,
        target: Target,
        expected_length: np.ndarray,
    ) -> np.ndarray:
        """The number of episodes of each pending run to begin at once; where nothing is known a bank or, if these are
        fewer, as many as steps are missing."""
        length = np.where(begun > 0, played / np.maximum(begun, 1), expected_length)[pending]
        missing = np.maximum(target.steps - played, 0)[pending]
        by_steps = np.where(missing > 0, missing / length * SURPLUS, 0.0)
        by_episodes = (target.episodes - begun)[pending]
        count = np.fmax(np.where(np.isnan(by_steps), np.minimum(self.lanes, missing), by_steps), by_episodes)
        return np.maximum(np.ceil(count), 1).astype(np.int64)
