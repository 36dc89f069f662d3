"""The atlas: every axis can be trained, a page without its numbers is not built, and pages are read in a browser."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, sync_playwright

from analysis.atlas.axes import AXES
from analysis.atlas.command import QUICK, main
from analysis.atlas.libraries import DEFAULTS, LIBRARIES
from analysis.atlas.measured import Effort, Estimate, Measured, _check, commands_of, quoted
from analysis.atlas.pages import heat, typeset, write_site
from pglab.cli import compose_runs
from pglab.errors import InputError
from tests.report.test_browser import CHROMIUM, OVERLAPS, pytestmark  # noqa: F401

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
    crossed = axis.crossed.partition("=")[0]
    interaction = {**rows[0], "factor": f"{axis.key} × {crossed}", "level": "b × 0.03", "control_level": "a × 0.003"}
    estimates = [Estimate(level, "unbiased", 0.0, 1.0, 2.5 / place, True) for place, level in enumerate(axis.values, 1)]
    return Measured(axis, pd.DataFrame(rows), interaction, estimates, ["python -m pglab -m weighting=total,rtg"], 12)


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


def test_a_page_without_a_number_is_not_built():
    one = made()
    rows = one.effects.assign(factor="a × b")
    _check(AXIS, one.effects, rows, one.estimates, Effort())
    for effects, interactions, estimates in (
        (one.effects[one.effects["problem"] != "corridor"], rows, one.estimates),
        (one.effects.assign(effect=float("nan")), rows, one.estimates),
        (one.effects, rows[:0], one.estimates),
        (one.effects, rows, []),
        (one.effects, rows, [replace(one.estimates[0], variance=float("nan"))]),
    ):
        with pytest.raises(InputError, match="the page weighting lacks numbers of"):
            _check(AXIS, effects, interactions, estimates, Effort())


def test_the_quoted_sentence_says_what_is_sure_and_no_more():
    assert "gains 40 ± 10 % more of what there is to gain on cartpole" in quoted(made())
    assert "on 4 of 4 problems" in quoted(made(effect=0.8))
    assert "40 ± 10 % less" in quoted(made(effect=-0.4))
    assert "by more than chance would" in quoted(made(effect=0.0))


def test_the_map_has_the_largest_effect_of_each_axis_on_each_problem():
    (row,) = heat([made()])["rows"]
    assert [cell["effect"] for cell in row["cells"]] == ["0.40", "0.20", "0.13", "0.10"]
    assert [cell["sure"] for cell in row["cells"]] == [True, True, True, False]


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


@pytest.mark.parametrize(("width", "scheme"), [(380, "dark"), (1300, "light")])
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
    assert said == []
    assert [url for url in asked if not url.startswith("file:")] == []
    page.close()


def test_the_search_finds_pages_by_their_words(browser: Browser, site: Path):
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    page.fill("#search", "sigmoid")
    assert page.locator("#entries li:visible h2").all_inner_texts() == ["Head"]
    page.fill("#search", "no such words")
    assert page.locator("#nothing").is_visible()
    page.fill("#search", "")
    assert page.locator("#entries li:visible").count() == len(AXES)
    page.click("text=Weighting")
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
    assert QUICK.seeds == 3


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
def test_the_problems_of_an_axis_are_trained_for_as_many_updates(axis):
    """Else the study of all of them would be taken for incomplete."""
    updates = {one for problem in axis.problems for one in problem.overrides if one.startswith("updates=")}
    assert len(updates) == 1
