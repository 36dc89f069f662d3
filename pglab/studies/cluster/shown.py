"""The workers of a study in words: who is at work now, and where the output of each run is."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from pglab.results.digits import counted
from pglab.results.incomplete import named_seeds
from pglab.store.sessions import LOGS, WorkerRecord, sessions, shards_of


def at_work(study: Path) -> Iterator[str]:
    """Yields lines about the workers that train a study now, by host, each with its speed."""
    for _, record in sessions(study):
        here = sorted(record.workers, key=lambda worker: worker.host)
        asked = f" ({record.wanted} asked of {record.cluster})" if record.wanted else ""
        yield f"{counted(len(here), 'worker')}{asked} at {record.address}: {_speed(here)}"
        for host, group in groupby(here, key=lambda worker: worker.host):
            workers = list(group)
            idle = sum(not worker.runs for worker in workers)
            yield f"  {host}: {counted(len(workers), 'worker')}{f' ({idle} idle)' if idle else ''}, {_speed(workers)}"


def _speed(workers: Sequence[WorkerRecord]) -> str:
    return f"{sum(worker.env_steps_per_second for worker in workers):,.0f} env steps a second"


def logs(study: Path, names: Mapping[str, str], words: Sequence[str]) -> Iterator[str]:
    """Yields a line for each time that a worker began some runs: which, from where, and its log.

    Args:
        names: of arms by their folders.
        words: parts of an arm's name, or `seed=N`; only what has all of them is told.
    """
    seeds = {int(word[5:]) for word in words if word.startswith("seed=") and word[5:].isdecimal()}
    others = [word for word in words if not (word.startswith("seed=") and word[5:].isdecimal())]
    for shard in shards_of(study):
        runs = {
            arm: [seed for seed in of_arm if not seeds or seed in seeds]
            for arm, of_arm in shard.runs.items()
            if all(word in arm for word in others)
        }
        told = "; ".join(f"{names.get(arm, arm)}: {named_seeds(of_arm)}" for arm, of_arm in runs.items() if of_arm)
        if told:
            yield f"{told}, from update {shard.update}: {study / LOGS / shard.log} ({shard.time}, {shard.worker})"
