"""Being started by the agent of a W&B sweep, which waits for the objective in a run of its own."""

import os
import subprocess
from collections.abc import Callable
from multiprocessing.connection import Connection

from pglab.processes import start
from pglab.tracking.client import explained

AGENT = ("WANDB_SWEEP_ID", "WANDB_RUN_ID")  # variables of which each trial has its own values
OBJECTIVE = "objective"


def report_objective(objective: Callable[[], float], timeout: float) -> str | None:
    """Tells the sweep, where its agent has started us, what this trial came to; returns what went wrong, if anything.

    Args:
        objective: gives the mean score of all runs of the command, which is `objective` in the trial's summary.
        timeout: seconds that the server may take.
    """
    if not all(os.environ.get(name) for name in AGENT):
        return None
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    process, connection = start(__name__, {"WANDB_SILENT": "true"}, **quiet)
    try:
        connection.send(objective())
        problem = connection.recv() if connection.poll(timeout) else "it did not end in time"
    except (EOFError, OSError):
        problem = "its process ended early"
    finally:
        process.kill()
        process.wait()
    if problem:
        return f"warning: the W&B sweep was not told the objective of this trial ({problem})"
    return None


def serve(connection: Connection) -> None:
    """Puts the objective into the run that the agent has given this process."""
    objective = connection.recv()
    try:
        import wandb

        quiet = wandb.Settings(console="off", disable_git=True, save_code=False, x_disable_stats=True)
        run = wandb.init(mode="online", settings=quiet)
        run.summary[OBJECTIVE] = objective
        run.finish(exit_code=0)
    except BaseException as error:
        connection.send(explained(error))
    else:
        connection.send("")
