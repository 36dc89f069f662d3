"""`python -m pglab`, or `pglab`: train a study."""

from typing import NoReturn

from pglab.start import run


def main() -> NoReturn:
    """Runs the command line."""
    run("pglab.cli")


if __name__ == "__main__":
    main()
