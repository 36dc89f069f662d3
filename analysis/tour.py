"""`python -m analysis.tour`: draws README's pictures from the studies of its commands, training what is missing."""

from pglab.start import run

if __name__ == "__main__":  # before anything that takes long to import
    run("analysis.tour")

import io
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

import pglab
from pglab.errors import InputError
from pglab.report.command import main as report
from pglab.results import load, load_evaluation, scores
from pglab.results.plots import learning_curves, save, sensitivity
from pglab.results.plots.style import COLUMN_WIDTH, GREY, PAGE_WIDTH, colours_of, finished, paper
from pglab.results.sequential import levels, look_at, looks
from pglab.shell import Parser, ended

FIGURES = Path(__file__).parent / "figures"
DIFFERENCE = 20.0
WEIGHTINGS = ["weighting=total,rtg", "seeds=24"]
RATES = ["weighting=total,rtg", "optimizer.lr=0.003,0.01,0.03,0.1", "seeds=6"]
VERIFIED = ["-m", "weighting=total,rtg"]
COLOURS = 64  # of the screenshot
SCREEN = {"width": 900, "height": 760}


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws all pictures; returns the exit status."""
    return ended(lambda: _drawn(arguments))


def _drawn(arguments: Sequence[str] | None) -> int:
    description = "README's pictures, from the studies of its commands; a few minutes where these are not there yet."
    Parser("python -m analysis.tour", description=description).parse_args(arguments)
    pglab.run([*WEIGHTINGS, "logger.mode=disabled"])
    pglab.run([*RATES, "logger.mode=disabled"])
    study, rates = Path("results/weighting"), Path("results/optimizer.lr,weighting")
    runs = scores(load(study), load_evaluation(study))
    pictures = {
        "weighting": learning_curves(load(study), PAGE_WIDTH),
        "tour_decided": decided(runs),
        "tour_scale": sensitivity(scores(load(rates), load_evaluation(rates)), "optimizer.lr", "final return"),
    }
    for name, figure in pictures.items():
        print(save(figure, FIGURES / f"{name}.svg"))
    subprocess.run([sys.executable, "-m", "pglab.verify", *VERIFIED], check=True, stdout=subprocess.DEVNULL)
    print(shutil.copyfile("results/verify/weighting/bias_and_variance.png", FIGURES / "tour_verify.png"))
    report([str(study)])
    print(screenshot(study / "report" / "index.html", FIGURES / "tour_report.png"))
    return 0


def decided(runs: pd.DataFrame) -> Figure:
    """The difference of two arms with its repeated confidence interval, look by look until it is decided."""
    by_seed = runs.pivot(index="seed", columns="weighting", values="score")
    differences = (by_seed["rtg"] - by_seed["total"]).to_numpy()
    numbers, taken = looks(len(differences)), []
    for number, level in zip(numbers, levels(numbers, 0.05), strict=True):
        taken.append(look_at(differences[:number], number, level))
        if taken[-1].outcome(DIFFERENCE) != "open":
            break
    ((colour, _),) = colours_of(["rtg"])
    with paper():
        figure, axes = plt.subplots(figsize=(COLUMN_WIDTH, 1.6), layout="constrained")
        axes.axvspan(-DIFFERENCE, DIFFERENCE, color=GREY, alpha=0.25, lw=0)
        axes.axvline(0, color="0.3", lw=0.8)
        for place, look in enumerate(taken):
            axes.plot([look.low, look.high], [place, place], color=colour, lw=1.6)
            axes.plot(look.value, place, "o", color=colour, ms=4)
        axes.set(yticks=range(len(taken)), yticklabels=[f"{look.seeds} seeds" for look in taken])
        axes.set(xlabel="final return of rtg − total (interval that holds\nover all looks; grey: differences below 20)")
        axes.set_ylim(len(taken) - 0.5, -0.5)
    return finished(figure)


def screenshot(page: Path, file: Path) -> Path:
    """The first screen of a page, in Chromium.

    Raises:
        InputError: there is no Chromium, or no Playwright to drive it.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError as error:
        raise InputError("a picture of the report needs pip install 'pglab[dev]'") from error
    if chromium is None:
        raise InputError("a picture of the report needs Chromium: sudo apt-get install -y chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        browser.new_page(viewport=SCREEN).goto(page.resolve().as_uri())
        shown = browser.contexts[0].pages[0]
        content = io.BytesIO(shown.screenshot())
        browser.close()
    Image.open(content).convert("RGB").quantize(COLOURS).save(file, optimize=True)
    return file
