"""`python -m pglab.verify`: hold gradient estimators against exact gradients."""

from pglab.start import run

if __name__ == "__main__":
    run("pglab.verify.command")
