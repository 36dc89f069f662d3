"""The report in a real browser: nothing from the network, no error, no text over other text, at any width.

It needs Chromium: `sudo apt-get install -y chromium` on Debian and Ubuntu. Without it these tests are skipped,
except where `CI` is set: there they fail.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from pglab.report.command import main
from tests.report.made_study import write_grid
from tests.slow import first

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("CI"), reason="needs Chromium: sudo apt-get install -y chromium"
)

OVERLAPS = """() => {
  const seen = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const node = walker.currentNode
    if (!node.textContent.trim() || !node.parentElement.checkVisibility()) continue
    const range = document.createRange()
    range.selectNodeContents(node)
    for (let {left, right, top, bottom} of range.getClientRects()) {
      for (let box = node.parentElement; box; box = box.parentElement) {
        if (getComputedStyle(box).overflowX == "visible") continue
        const clip = box.getBoundingClientRect()
        left = Math.max(left, clip.left); right = Math.min(right, clip.right)
      }
      if (right - left > 1 && bottom - top > 1) seen.push({left, right, top, bottom, text: node.textContent.trim()})
    }
  }
  const pairs = []
  seen.forEach((a, i) => seen.slice(i + 1).forEach(b => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left)
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)
    if (wide > 1 && high > 3) pairs.push([a.text, b.text])
  }))
  return [seen.length, pairs]
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM or "chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = write_grid(tmp_path_factory.mktemp("browser") / "grid")
    assert main([str(study)]) == 0
    return study / "report" / "index.html"


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Callable[..., tuple[Page, list[str], list[str]]]]:
    """Opens the report; the page, what the console said, and what was asked of any place but the file."""
    pages = []

    def open_page(**options: Any) -> tuple[Page, list[str], list[str]]:
        page = browser.new_page(**options)
        pages.append(page)
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(report.as_uri())
        return page, said, [url for url in asked if not url.startswith("data:") and url != report.as_uri()]

    yield open_page
    for page in pages:
        page.close()


@pytest.mark.parametrize("width", first(1, [400, 1400]))
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overlaps_nothing_fails_and_nothing_is_fetched(opened, width: int, scheme: str):
    page, said, asked = opened(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    texts, overlapping = page.evaluate(OVERLAPS)
    assert texts > 100
    assert overlapping == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert (said, asked) == ([], [])
    assert page.title() == "grid · pglab"  # no script has run that a user's error message holds


def test_the_check_finds_text_over_text(opened):
    page, _, _ = opened(viewport={"width": 1400, "height": 900})
    page.evaluate("document.querySelector('h1').style.marginBottom = '-2rem'")
    _, overlapping = page.evaluate(OVERLAPS)
    assert overlapping


def test_verdicts_and_curves_are_seen(opened):
    page, _, _ = opened(viewport={"width": 1400, "height": 900})
    assert page.locator("#answer li").first.is_visible()
    box = page.locator("#answer li").first.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 900, "the answer has to be on the first screen"
    for picture in page.locator("figure img").all():
        assert picture.is_visible()
        assert picture.evaluate("image => image.complete && image.naturalWidth > 100")
    assert page.locator("#learning_curves img").count() == 1


def test_light_and_dark_have_text_that_can_be_read(opened):
    def contrast(page: Page) -> float:
        colours = page.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        )
        levels = [sum(map(int, colour.strip("rgba()").split(",")[:3])) / 765 for colour in colours]
        return levels[0] - levels[1]

    assert contrast(opened(color_scheme="light")[0]) < -0.6
    assert contrast(opened(color_scheme="dark")[0]) > 0.6


def test_it_prints_on_pages_as_wide_as_they_are(opened):
    page, _, _ = opened(viewport={"width": 718, "height": 1000})  # A4 less its margins
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    assert page.pdf(format="A4").startswith(b"%PDF")
