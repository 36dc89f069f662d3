"""`python -m analysis.paper`."""

from pglab.start import run

if __name__ == "__main__":
    run("analysis.paper.command")
