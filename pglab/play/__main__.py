"""`python -m pglab.play STUDY arm=… seed=…`: watch a stored policy in its environment."""

from pglab.start import run

if __name__ == "__main__":
    run("pglab.play.command")
