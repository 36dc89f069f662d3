"""`python -m pglab.mirror STUDY`: upload a study to W&B, or what is missing of it there."""

from pglab.start import run

if __name__ == "__main__":
    run("pglab.tracking.command")
