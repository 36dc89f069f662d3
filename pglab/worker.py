"""`python -m pglab.worker`: a worker for a study that trains on a cluster."""

from pglab.start import run

if __name__ == "__main__":  # before anything that takes long to import
    run("pglab.worker")

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from pglab.errors import InputError
from pglab.shell import Parser, ended
from pglab.store.sessions import KEY, sessions
from pglab.studies.cluster.address import Address
from pglab.studies.cluster.agent import work

VARIABLE = "PGLAB_KEY"


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains what a study gives out until it ends; returns the exit status."""
    return ended(lambda: _worked(arguments))


def _worked(arguments: Sequence[str] | None) -> int:
    asked = _parser().parse_args(arguments)
    if Path(asked.address).is_dir():
        address, key = _of_study(Path(asked.address))
    else:
        address, key = Address.read(asked.address), None
        if not address.port:
            raise InputError(f"{asked.address} is neither the folder of a study nor HOST:PORT")
    key = asked.key or key or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if key is None:
        raise InputError(f"{address} needs the key of its study: --key FILE, or the study's folder in its place")
    return work(address, key, asked.hired)


def _of_study(study: Path) -> tuple[Address, Path]:
    """Address and key of the command that trains a study now; of several the latest."""
    found = list(sessions(study))
    if not found:
        raise InputError(f"no command trains {study} on a cluster now (cluster=local cluster.address=HOST is one)")
    folder, record = found[-1]
    return Address.read(record.address), folder / KEY


def _parser() -> Parser:
    parser = Parser(
        prog="python -m pglab.worker",
        description="A worker for a study that trains on a cluster, started by hand or by a script of one's own. It "
        "takes shards until the study ends. SIGTERM or SIGUSR2 have it store a checkpoint and go; others go on.",
        epilog="Example of a SLURM script: `sbatch --wrap 'python -m pglab.worker results/weighting'`.",
        allow_abbrev=False,
    )
    parser.add_argument("address", metavar="ADDRESS", help="folder of the study; or HOST:PORT, as the study says")
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help=f"the study's key, with HOST:PORT; default: ${VARIABLE}"
    )
    parser.add_argument("--hired", action="store_true", help=argparse.SUPPRESS)
    return parser
