"""Being started by the agent of a W&B sweep: its arguments, and the run of its own that it waits for."""

import os
import subprocess
from collections.abc import Iterable
from multiprocessing.connection import Connection

from pglab.processes import start
from pglab.tracking.client import explained

AGENT = ("WANDB_SWEEP_ID", "WANDB_RUN_ID")  # variables of which each trial has its own values
OBJECTIVE = "objective"
# Options of ours, which Hydra knows, that take a value after an equals sign.
HYDRAS_OWN = frozenset(
    {"cfg", "config-dir", "config-name", "config-path", "experimental-rerun", "hydra-help", "info", "package"}
)


def as_overrides(arguments: Iterable[str]) -> list[str]:
    """The arguments of a command line as Hydra takes them: `--optimizer.lr=0.01` is an override, too.

    So an agent writes them where it says `${args}`, and without hyphens for `${args_no_hyphens}`, Python's None in
    either; options of Hydra stay.
    """
    return [_as_override(argument) for argument in arguments]


def _as_override(argument: str) -> str:
    key, equals, value = argument.partition("=")
    if not equals or key.removeprefix("--") in HYDRAS_OWN or (key.startswith("-") and not key.startswith("--")):
        return argument
    return f"{key.removeprefix('--')}={'null' if value == 'None' else value}"


def report_objective(objective: float, timeout: float) -> str | None:
    """Tells the sweep, where its agent has started us, what this trial came to; returns what went wrong, if anything.

    Args:
        objective: the mean score of all runs of the command, in the trial's summary as `objective`.
        timeout: seconds that the server may take.
    """
    if not all(os.environ.get(name) for name in AGENT):
        return None
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    process, connection = start(__name__, {"WANDB_SILENT": "true"}, **quiet)
    try:
        connection.send(objective)
        problem = connection.recv() if connection.poll(timeout) else "it did not end in time"
    except (EOFError, OSError):
        problem = "its process ended early"
    finally:
        process.kill()
        process.wait()
    if problem:
        return f"warning: the W&B sweep was not told the objective {objective:.6g} of this trial ({problem})"
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
