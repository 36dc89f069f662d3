"""Workers that train nothing and report all the same; arguments: address, key, how many, updates of each run."""

import json
import pickle
import ssl
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from pglab.store.states import Saved
from pglab.studies.cluster.address import Address
from pglab.studies.cluster.agent import BEAT, _dialled
from pglab.studies.cluster.announcement import Announcement
from pglab.studies.cluster.channel import Channel, Kind
from pglab.studies.cluster.key import context
from pglab.studies.messages import Checkpoint, Done, Job, Result, Slice, Updated

RATE = 10  # updates a second, of each worker; sent together, as by a real one
MEASURES = ("return_mean", "return_std", "length_mean", "loss", "entropy", "grad_norm")
PARAMETERS = np.random.default_rng(0).normal(size=(1000, 4610)).astype(np.float32)  # of a network of 64 and 64 units


class Simulated:
    """One worker: ten updates each time that it is asked."""

    def __init__(self, channel: Channel, number: int, updates: int) -> None:
        self.channel, self._number, self._updates = channel, number, updates
        self._job: Job | None = None
        self._update, self._beaten = 0, time.monotonic()

    def turn(self) -> None:
        for kind, content in self.channel.received():
            if kind is Kind.QUESTION:
                who = Announcement.of_here(json.loads(content), hired=False)
                self.channel.send(Kind.ANNOUNCEMENT, replace(who, process=self._number).written())
                self.channel.known = True
            elif kind is Kind.JOB:
                self._job, self._update = pickle.loads(content), 0
        if self._job:
            self._train(self._job)
        if time.monotonic() - self._beaten > BEAT:
            self.channel.send(Kind.BEAT)
            self._beaten = time.monotonic()
        self.channel.flush()

    def _train(self, job: Job) -> None:
        made = np.arange(self._update + 1, self._update + RATE + 1)
        self._send(Updated([(part.number, measures(part.saved.seeds, made)) for part in job.slices]))
        self._update += RATE
        saved = [(part, self._saved(part)) for part in job.slices]
        if self._update < self._updates:
            if self._update % (self._updates // 10) == 0:
                self._send(Checkpoint([(part.number, state) for part, state in saved]))
            return
        self._job = None
        self._send(Done([Result(part.number, state, played(state), {"w": state.state["w"]}) for part, state in saved]))

    def _saved(self, part: Slice) -> Saved:
        own = PARAMETERS[: len(part.saved.seeds)]
        return Saved(self._update, part.saved.seeds, {"counters/update": np.array(self._update), "w": own, "m": own})

    def _send(self, event: object) -> None:
        self.channel.send(Kind.EVENT, pickle.dumps(event))


def measures(seeds: list[int], made: np.ndarray) -> dict[str, np.ndarray]:
    rows = {"seed": np.tile(seeds, len(made)), "update": np.repeat(made, len(seeds))}
    rows |= {"env_steps": 1000 * rows["update"], "episodes": 10 * rows["update"]}
    rows |= {name: np.sin(rows["seed"] + rows["update"]) for name in MEASURES}
    return rows | {"diverged": np.zeros(len(rows["seed"]), dtype=bool)}


def played(state: Saved) -> dict[str, np.ndarray]:
    return {name: np.ones((len(state.seeds), 100)) for name in ("returns", "length")}


if __name__ == "__main__":
    address, key, workers, updates = Address.read(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    tls = context(key, ssl.PROTOCOL_TLS_CLIENT)
    simulated = [Simulated(_dialled(address, tls, key), number, updates) for number in range(workers)]
    while not any(worker.channel.closed for worker in simulated):
        began = time.monotonic()
        for worker in simulated:
            worker.turn()
        time.sleep(max(0.0, 1.0 + began - time.monotonic()))
