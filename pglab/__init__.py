"""pglab: which choice in a policy gradient matters, by how much, and how sure one can be."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

__version__ = version("pglab")
__all__ = ["__version__", "run"]

if TYPE_CHECKING:
    from pglab.cli import run


def __getattr__(name: str) -> Any:
    # `run` brings torch along, which reading results must not.
    if name == "run":
        from pglab.cli import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
