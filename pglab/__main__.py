"""`python -m pglab`: train a study."""

from pglab.start import run

if __name__ == "__main__":
    run("pglab.cli")
