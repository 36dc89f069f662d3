"""pglab: which choice in a policy gradient matters, by how much, and how sure one can be."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pglab import results as results
    from pglab.cli import run as run


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("pglab")
    # `run` brings Hydra along, which reading results does not need.
    if name == "run":
        from pglab.cli import run

        return run
    if name == "results":
        return import_module("pglab.results")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
