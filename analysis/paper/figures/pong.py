"""Pong from pixels: scores against games and against frames, beside those that were published."""

import matplotlib.pyplot as plt

from analysis.paper.checks import above, measured
from analysis.paper.figure import Figure, Frames, Made, Study
from analysis.paper.marks import by_seed, every_run, in_blocks, mean_and_band, point, reference
from pglab.results import scores
from pglab.results.plots.style import PAGE_WIDTH, colours, finished, legend_above, paper

GAMES, BLOCK = 10, 5  # games of an update, and updates of a point
RANDOM = -20.4  # by an untrained policy
FRAMES = 3.0  # for each action: two, three or four
PUBLISHED = 27_065, -1.96  # games and the score after them, by L. Kondrackis

STUDY = Study("pong", [["experiment=pong_from_pixels", "evaluation.episodes=0"]], 3, 1, 5000, workers=2)


def make(frames: Frames) -> Made:
    """The mean score of every 50 games, run by run."""
    rows = frames[STUDY.name]
    table = in_blocks(by_seed(rows), BLOCK)
    shown = in_blocks(by_seed(rows, "env_steps"), BLOCK).mean() * FRAMES / 1e6
    with paper():
        figure, panels = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 2.4), layout="constrained")
        ((colour, _),) = colours(1)
        for axes, x, said in zip(
            panels, (table.columns * GAMES, shown), ("games", "million frames of the console"), strict=True
        ):
            placed = table.set_axis(x, axis="columns")
            every_run(axes, placed, colour)
            mean_and_band(axes, placed, "", color=colour, lw=1.6)
            reference(axes, RANDOM, "untrained: −20.4", above=False)
            axes.set_xlabel(said)
        against_games, against_frames = panels
        point(against_games, PUBLISHED, "published: −1.96 after 27,065")
        against_games.set(xscale="log", xlim=(GAMES * BLOCK, 40_000), ylim=(-22.5, 0), ylabel="score of a game to 21")
        against_frames.margins(x=0)
        legend_above(figure, f"mean over {len(table)} seeds, 95 % t interval (pointwise), every run")
    untrained = by_seed(rows)[1].to_numpy()
    trained = scores(rows, how="last_tenth")["score"].to_numpy()
    return Made(
        finished(figure),
        [
            measured("the score of the first ten games, untrained", RANDOM, untrained),
            above("the mean score of the last tenth of the games leaves that of an untrained policy", RANDOM, trained),
        ],
    )


FIGURE = Figure(
    "pong_from_pixels",
    "Pong from pixels",
    "Karpathy (2016), whose program was near 0 after three nights; by L. Kondrackis it had −1.96 after 27,065 games",
    "One layer of 200 units sees the difference of two pictures, and learns after every ten games, for 2,000 games. "
    "Needs `pip install 'pglab[atari]'`.",
    [STUDY],
    make,
    full="an hour on two cores",
)
