"""A figure drawn twice is the same file, letters and all."""

import os
import re
import subprocess
import sys
import zlib

import matplotlib.pyplot as plt
import pytest

from pglab.results.plots import save
from tests.conftest import ROOT
from tests.results.frames import FIGURES


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """Every figure in every format, drawn by two processes at different times, with different hashes of text."""
    folders = []
    for number in ("1", "2"):
        folder = tmp_path_factory.mktemp(f"drawn{number}")
        variables = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
        command = [sys.executable, "-W", "error", "-m", "tests.results.frames", str(folder)]
        subprocess.run(command, cwd=ROOT, check=True, env=variables | {"PYTHONHASHSEED": number})
        folders.append(folder)
    return folders


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["pdf", "svg", "png"])
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_same_bytes_in_another_process(twice, name, ending):
    first, second = ((folder / f"{name}.{ending}").read_bytes() for folder in twice)
    assert len(first) > 1000
    assert first == second


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_fonts_are_embedded_as_truetype_and_no_file_says_when_it_was_drawn(twice, name):
    pdf = (twice[0] / f"{name}.pdf").read_bytes()
    streams = re.findall(rb"stream\r?\n(x.*?)\r?\nendstream", pdf, re.DOTALL)
    objects = pdf + b"".join(zlib.decompressobj().decompress(stream) for stream in streams)
    assert b"/FontFile2" in objects
    assert b"/Type3" not in objects
    assert b"CreationDate" not in objects
    assert b"<dc:date>" not in (twice[0] / f"{name}.svg").read_bytes()
    assert b"Software" not in (twice[0] / f"{name}.png").read_bytes()


@pytest.mark.parametrize("name", ["figure", "figure.jpg", "figure.PDF"])
def test_another_ending_is_refused_and_nothing_is_written(tmp_path, name):
    with pytest.raises(ValueError, match=r"\.pdf, \.svg, \.png"):
        save(FIGURES["effects"](), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_drawing_and_saving_change_no_style_and_leave_no_figure_open(tmp_path):
    before = dict(plt.rcParams)
    for name in ("effects", "learning_curves", "seed_scores", "probability_of_improvement"):
        save(FIGURES[name](), tmp_path / "figure.svg")
    assert dict(plt.rcParams) == before
    assert not plt.get_fignums()
