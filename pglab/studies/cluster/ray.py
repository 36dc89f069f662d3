"""Workers as tasks of a Ray cluster."""

import os
from collections import Counter
from typing import Any

from pglab.errors import InputError
from pglab.studies.cluster.engines import Worker


class RayTasks:
    """Joins the cluster that `ray` finds (RAY_ADDRESS, or one that runs here), or starts one on this machine.

    Options are those of a task, such as num_cpus, num_gpus, resources, scheduling_strategy, runtime_env; a
    task takes one processor unless they say otherwise.
    """

    def __init__(self, **options: Any) -> None:
        try:
            import ray
        except ImportError as error:
            raise InputError("cluster=ray needs Ray: pip install 'pglab[ray]'") from error
        self._ray, self._tasks = ray, list[Any]()
        # A task that is lost is not for Ray to begin again: the study asks for another worker.
        self._remote = ray.remote(**{"num_cpus": 1, **options, "max_retries": 0})(_be)
        self._joined = ray.is_initialized()

    def start(self, worker: Worker, count: int) -> None:
        if not self._ray.is_initialized():
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a study reports to nobody, unless one asks for it
            self._ray.init(log_to_driver=False, logging_level="error", include_dashboard=False)
        self._tasks += [self._remote.remote(worker) for _ in range(count)]

    def stop(self) -> None:
        for task in self._tasks:
            self._ray.cancel(task, force=True)
        if self._tasks and not self._joined:
            self._ray.shutdown()

    def state(self) -> str:
        ended, _ = self._ray.wait(self._tasks, num_returns=len(self._tasks), timeout=0)
        states = Counter({"ended": len(ended), "running or waiting for room": len(self._tasks) - len(ended)})
        return "Ray tasks: " + ", ".join(f"{count} {state}" for state, count in states.items() if count)


def _be(worker: Worker) -> None:
    worker()
