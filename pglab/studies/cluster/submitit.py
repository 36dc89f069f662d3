"""Workers as tasks of SLURM's array jobs, by way of submitit."""

import contextlib
import io
import subprocess
from collections import Counter
from inspect import signature
from typing import Any

from pglab.errors import InputError
from pglab.studies.cluster.engines import Worker


class Submitit:
    """Options are those of `sbatch`: partition, time (minutes, or as `sbatch` writes it), account, gres, …

    submitit's own, such as `setup` or `signal_delay_s` (seconds before the time limit at which a worker is told
    to go), are taken too. Without `time` the partition's default holds.
    """

    def __init__(self, **options: Any) -> None:
        try:
            from submitit import SlurmExecutor
            from submitit.slurm.slurm import _make_sbatch_string
        except ImportError as error:
            raise InputError("cluster=submitit needs submitit: pip install 'pglab[slurm]'") from error
        if SlurmExecutor.affinity() < 0:
            raise InputError("cluster=submitit: there is no srun here; give the command where jobs are submitted")
        known = signature(_make_sbatch_string).parameters
        taken = {"time": None, **{key: value for key, value in options.items() if key in known}}
        further = {key: value for key, value in options.items() if key not in known}
        self._options = {"job_name": "pglab", **taken, "additional_parameters": further}
        self._executor, self._jobs = SlurmExecutor, list[str]()

    def start(self, worker: Worker, count: int) -> None:
        executor = self._executor(worker.folder / "submitit")
        executor.update_parameters(**{"array_parallelism": count, **self._options})
        with contextlib.redirect_stderr(io.StringIO()):  # what sbatch says of a failure is in the exception, too
            first, *_ = executor.submit_array([worker] * count)
        self._jobs.append(first.job_id.partition("_")[0])

    def stop(self) -> None:
        if self._jobs:
            subprocess.run(["scancel", *self._jobs], check=False, capture_output=True)

    def state(self) -> str:
        asked = ["squeue", "--noheader", "--array", "--format=%T", f"--jobs={','.join(self._jobs)}"]
        states = Counter(subprocess.run(asked, check=False, capture_output=True, text=True).stdout.split())
        told = ", ".join(f"{count} {state.lower()}" for state, count in sorted(states.items()))
        return f"SLURM {'jobs' if len(self._jobs) > 1 else 'job'} {', '.join(self._jobs)}: {told or 'ended'}"
