"""The look of all figures: sizes, colours, labels; set for one figure at a time, never for the program."""

import re
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from pglab.shown import as_typed

COLUMN_WIDTH = 3.5  # inches, one column of a paper
PAGE_WIDTH = 7.0
MOST_TOGETHER = 6  # as many colours can be told apart, and as many bands
LETTER = 0.067  # inches, the mean width of a small letter
LINE = 0.155  # inches, the height of a line of a legend
NAME_WIDTH = 1.3  # of a row's name in a column, and in a page
LONG_NAME_WIDTH = 3.2
GREY = "0.6"
BETWEEN = "\u200b"  # parts of a word that may stand on lines of their own

STEPS = "environment steps"

Colour = tuple[float, float, float]


@contextmanager
def paper() -> Iterator[None]:
    """The style of a paper's figure, for the time of drawing it."""
    with sns.axes_style("ticks"), sns.plotting_context("paper", font_scale=0.85):
        yield


# The colour of a choice in every figure, so that a reader who knows one knows it in all; each group from the first on.
CHOICES = (
    ("total", "rtg", "baseline", "gae", "rtg_exponent_slip"),
    ("group_mean", "rloo", "grpo", "dapo", "reinforce_pp", "remax"),
    ("none", "value", "batch_mean", "leave_one_out", "running_mean", "constant"),
    ("softmax", "sigmoid", "sigmoid_action_blind"),
    ("gaussian", "tanh_gaussian", "beta", "gaussian_state", "gaussian_clipped", "gaussian_clipped_score"),
    ("adam", "sgd", "rmsprop", "adamw"),
    ("pg", "clip", "ratio", "kl", "kl_adaptive", "sequence_ratio"),
    ("a2c", "ppo", "ppo_cleanrl", "ppo_sb3", "trpo", "npg"),
)
PLACES = {choice: place for group in CHOICES for place, choice in enumerate(group)}
PLACES["running_mean_inclusive"] = PLACES["running_mean"]  # a variant of it


def colours_of(names: Iterable[str]) -> list[tuple[Colour, str]]:
    """The colour and line style of each arm, by the choice that its name says: `rtg`, `weighting=rtg (n = 8)`.

    A choice has the same colour in every figure, unless another arm there has it first; an arm that is no choice has
    the first that is left.
    """
    names = [re.sub(r" \(.*", "", name, flags=re.DOTALL).rpartition("=")[2] for name in names]
    taken: dict[int, int] = {}  # place of a colour, and which arm has it
    for arm, name in enumerate(names):
        if name in PLACES:
            taken.setdefault(PLACES[name], arm)
    left = iter(place for place in range(len(names) + MOST_TOGETHER) if place not in taken)
    of_arm = {arm: place for place, arm in taken.items()}
    places = [of_arm[arm] if arm in of_arm else next(left) for arm in range(len(names))]
    every = colours(max(places, default=0) + 1)
    return [every[place] for place in places]


def colours(number: int) -> list[tuple[Colour, str]]:
    """A colour and a line style for each of so many arms.

    Six colours that colour-blind readers can tell apart, then the same ones dashed, dotted, …
    """
    palette = sns.color_palette("colorblind")
    six = [palette[place] for place in (0, 1, 2, 3, 4, 9)]
    return [(six[place % 6], ("-", "--", ":", "-.")[place // 6 % 4]) for place in range(number)]


def finished(figure: Figure, left: bool = True) -> Figure:
    """The figure, out of the hands of pyplot, which would show and keep it; with or without its vertical axes."""
    sns.despine(figure, left=not left)
    plt.close(figure)
    return figure


def in_words(text: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    with paper():
        figure, axes = plt.subplots(figsize=(COLUMN_WIDTH, 0.5), layout="constrained")
        axes.text(0.5, 0.5, as_typed(text), ha="center", va="center")
        axes.set_axis_off()
    return finished(figure)


def wrapped(text: str, inches: float) -> str:
    """Text in lines of about this width, drawn as it was typed; `n = 8` stays together."""
    return _in_lines(as_typed(text), inches)


def row_labels(names: Iterable[str]) -> tuple[list[str], float]:
    """Labels left of rows, and the figure's width: a column, or a page where names need more than two lines."""
    names = list(names)
    labels = [wrapped(name, NAME_WIDTH) for name in names]
    if all(label.count("\n") < 2 for label in labels):
        return labels, COLUMN_WIDTH
    return [wrapped(name, LONG_NAME_WIDTH) for name in names], PAGE_WIDTH


def say_under_rows(axes: Axes, *texts: str) -> None:
    """Texts under axes beside such labels, each in lines of its own; the figure grows by more than two of them."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    lines = [wrapped(text, 2.6 if figure.get_figwidth() == COLUMN_WIDTH else 3.9) for text in texts]
    axes.set_xlabel("\n".join(lines))
    figure.set_figheight(figure.get_figheight() + LINE * max(0, axes.get_xlabel().count("\n") - 1))


def legend_above(figure: Figure, title: str, ncols: int = 1) -> None:
    """A legend of the first axes' labels, over all axes; the title names the marks. The figure grows by its height.

    Labels may hold formulas, so names that others typed have to come through `as_typed`.
    """
    width = figure.get_figwidth() - 0.1
    handles, labels = figure.axes[0].get_legend_handles_labels()
    labels = [_in_lines(label, width / ncols - 0.4) for label in labels]
    title = wrapped(title, width)
    columns = [labels[start :: max(ncols, 1)] for start in range(ncols)]
    lines = max(sum(label.count("\n") + 1 for label in column) for column in columns) + title.count("\n") + 1
    figure.set_figheight(figure.get_figheight() + LINE * lines)
    figure.legend(handles, labels, loc="outside upper left", frameon=False, title=title, alignment="left", ncols=ncols)


def over_steps(axes: Axes, most: int = 4) -> None:
    """Ticks at numbers of environment steps: 20k, 1.5M."""
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_major_locator(MaxNLocator(most))


def counted(name: str, n: int, of: int, censored: int = 0) -> str:
    """`weighting=rtg (n = 7 of 8, 2 censored)`: runs that have a score, all where some have none, and censored ones."""
    scored = f"n = {n}" if n == of else f"n = {n} of {of}"
    return f"{name} ({scored}, {censored} censored)" if censored else f"{name} ({scored})"


def _in_lines(text: str, inches: float) -> str:
    together = text.replace(" = ", "\u00a0=\u00a0")
    letters = max(8, int(inches / LETTER))
    whole = " ".join(_in_parts(word, letters) for word in together.split(" "))
    filled = textwrap.fill(whole, letters, break_on_hyphens=False, break_long_words=False)
    return filled.replace(BETWEEN + " ", BETWEEN).replace(BETWEEN, "").replace("\u00a0", " ")


def _in_parts(word: str, letters: int) -> str:
    """A word that is too long for a line, with places to break it between its parts, never inside one."""
    if len(word) <= letters:
        return word
    return f"{BETWEEN} ".join(part for part in re.split(r"(?<=[=,/])|(?<=\.)(?=[a-z])", word) if part)
