"""The atlas: every axis can be trained, a page without its numbers is not built, and pages are read in a browser."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, sync_playwright

from analysis.atlas.axes import AXES
from analysis.atlas.command import QUICK, main
from analysis.atlas.libraries import DEFAULTS, LIBRARIES
from analysis.atlas.measured import Effort, Estimate, Measured, _check, commands_of
from analysis.atlas.pages import heat, typeset, write_site
from analysis.atlas.sentences import interacting, quoted
from pglab.cli import compose_runs
from pglab.errors import InputError
from tests.report.test_browser import CHROMIUM, OVERLAPS, pytestmark  # noqa: F401
from tests.slow import first

AXIS = next(axis for axis in AXES if axis.name == "weighting")
LOOKED_AT = ("index", "weighting")  # for text over text: pages are made alike, and looking takes a while


def made(axis=AXIS, effect: float = 0.4) -> Measured:
    """The numbers of an axis, made by hand."""
    rows = [
        {
            **{"factor": axis.key, "level": level, "control_level": axis.values[0], "n": 12},
            **{"problem": problem.name, "kind": problem.kind, "effect": effect / place},
            **{"low": effect / place - 0.1, "high": effect / place + 0.1},
        }
        for place, problem in enumerate(axis.problems, 1)
        for level in axis.values[1:]
    ]
    interaction = {**rows[0], "level": "rtg × 0.03", "control_level": "total × 0.003"}
    estimates = [Estimate(level, "unbiased", 0.0, 1.0, 2.5 / place, True) for place, level in enumerate(axis.values, 1)]
    scales = {problem.name: "0 is 10 (exact), 1 is 20 (exact optimum)" for problem in axis.problems}
    commands = ["python -m pglab -m weighting=total,rtg"]
    return Measured(axis, pd.DataFrame(rows), scales, interaction, estimates, commands, 12)


@pytest.mark.parametrize(
    "axis",
    [pytest.param(axis, id=axis.name, marks=() if axis.name == "clipping" else pytest.mark.slow) for axis in AXES],
)
def test_every_axis_has_four_problems_of_different_kind_and_composes(axis, tmp_path: Path):
    assert len({problem.kind for problem in axis.problems}) == 4
    last = commands_of(axis, Effort(seeds=2), tmp_path)[-1]
    arms = compose_runs(last)
    assert len(arms) == len(axis.values) * len(axis.crossed.split(","))


def test_every_axis_says_what_each_library_does():
    assert DEFAULTS.keys() == {axis.name for axis in AXES}
    assert {len(defaults) for defaults in DEFAULTS.values()} == {len(LIBRARIES)} == {5}
    for said, where in (default for defaults in DEFAULTS.values() for default in defaults):
        assert said
        assert re.match(r"(Transformers, )?[\w/]+\.(py|yaml)(: \w|$)", where), where


def test_a_page_without_a_number_is_not_built():
    one = made()
    rows = one.effects.assign(factor="a × b")
    _check(AXIS, one.effects, rows, one.estimates)
    for effects, interactions, estimates in (
        (one.effects.assign(effect=float("nan")), rows, one.estimates),
        (one.effects.assign(low=float("-inf"), high=float("inf")), rows, one.estimates),  # values that are one program
        (one.effects, rows[:0], one.estimates),
        (one.effects, rows, one.estimates[1:]),
        (one.effects, rows, [replace(one.estimates[0], variance=float("nan")), *one.estimates[1:]]),
    ):
        with pytest.raises(InputError, match="the page weighting lacks numbers of"):
            _check(AXIS, effects, interactions, estimates)


def test_the_quoted_sentence_says_what_is_seen_and_no_more():
    assert quoted(made()) == (
        "weighting=rtg instead of total raises the mean return over training on cartpole by 40 ± 10 % of the distance "
        "from random play to the best known return, and weighting makes a difference on 3 of 4 problems "
        "(12 seeds each, averaged over optimizer.lr, 95 % intervals)."
    )
    assert "on 4 of 4 problems" in quoted(made(effect=0.8))
    assert "lowers the mean return over training on cartpole by 40 ± 10 %" in quoted(made(effect=-0.4))
    assert "is seen to change" in quoted(made(effect=0.05))
    assert "effects above 15 % of the distance" in quoted(made(effect=0.05))


def test_an_interaction_says_which_way_it_goes_and_whether_it_is_seen():
    assert interacting(made()) == (
        "On cartpole, rtg instead of total gains 0.40 (0.30 to 0.50) more with optimizer.lr=0.03 than with "
        "optimizer.lr=0.003."
    )
    assert "gains 0.40 (0.30 to 0.50) less" in interacting(made(effect=-0.4))
    assert interacting(made(effect=0.05)).startswith("None is seen: all intervals hold 0. The strongest: on cartpole")


def test_the_map_has_the_largest_effect_of_each_axis_on_each_problem():
    (row,) = heat([made()])["rows"]
    assert [cell["effect"] for cell in row["cells"]] == ["0.40", "0.20", "0.13", "0.10"]
    assert [cell["classes"] for cell in row["cells"]] == ["gain seen", "gain seen", "gain seen", "gain"]
    assert {cell["level"] for cell in row["cells"]} == {"rtg"}
    assert heat([made(effect=-0.4)])["rows"][0]["cells"][0]["classes"] == "loss seen"


def test_formulas_are_typeset_and_what_is_no_formula_is_escaped():
    assert typeset("G_t < Σ_{k≥t} γ^{k−t}") == "G<sub>t</sub> &lt; Σ<sub>k≥t</sub> γ<sup>k−t</sup>"


def test_a_wrong_page_is_named_with_all_there_are(capsys: pytest.CaptureFixture[str]):
    assert main(["--only", "nonsense"]) == 2
    assert "choose from weighting, baseline" in capsys.readouterr().err


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_site([made(axis) for axis in AXES], tmp_path_factory.mktemp("atlas")).parent


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM or "chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize(("width", "scheme"), first(1, [(380, "dark"), (1300, "light")]))
def test_every_page_is_whole_at_any_width_and_asks_nobody_for_anything(
    browser: Browser, site: Path, width: int, scheme: str
):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    for file in sorted(site.glob("*.html")):
        page.goto(file.as_uri())
        if file.stem in LOOKED_AT:
            texts, overlapping = page.evaluate(OVERLAPS)
            assert texts > 20
            assert overlapping == [], file.name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, file.name
        if file.stem != "index":
            assert page.evaluate("document.querySelector('svg').getAttribute('width')") == "252pt", "a column"
    assert said == []
    assert [url for url in asked if not url.startswith("file:")] == []
    page.close()


def test_the_search_finds_pages_by_their_words(browser: Browser, site: Path):
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    page.fill("#search", "sigmoid")
    assert page.locator("#entries li:visible h3").all_inner_texts() == ["Head"]
    assert page.locator("#map tbody tr:visible th").all_inner_texts() == ["Head"]
    page.fill("#search", "leave_one_out")  # a value
    assert page.locator("#entries li:visible h3").all_inner_texts() == ["Baseline"]
    page.fill("#search", "no such words")
    assert page.locator("#nothing").is_visible()
    page.fill("#search", "")
    assert page.locator("#entries li:visible").count() == len(AXES)
    page.click("#entries >> text=Weighting")
    assert page.title().startswith("Weighting")
    page.close()


@pytest.mark.slow
def test_a_page_is_built_from_nothing_and_again_from_what_is_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = ["--quick", "--only", "groups", "--problems", "2", "--output", str(tmp_path)]
    assert main(command) == 0
    page = tmp_path / "quick" / "groups.html"
    first, trained = page.read_text(), {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.parquet")}
    assert len(trained) > 4
    assert main(command) == 0
    assert page.read_text() == first
    assert trained == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.parquet")}
    assert "(1 pages in " in capsys.readouterr().out
    assert main([*command[:2], "head", *command[3:]]) == 0
    index = (tmp_path / "quick" / "index.html").read_text()
    assert "head.html" in index
    assert "groups.html" in index  # asked for before
    assert QUICK.seeds == 3
