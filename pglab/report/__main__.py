"""`python -m pglab.report STUDY`: one page about a study, answer first."""

from pglab.start import run

if __name__ == "__main__":
    run("pglab.report.command")
