"""`python -m analysis.atlas`: builds the site."""

from pglab.start import run

if __name__ == "__main__":
    run("analysis.atlas.command")
