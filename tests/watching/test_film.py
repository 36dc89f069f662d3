"""A film has every picture, pixel for pixel where its format allows; what cannot be written is refused before."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from pglab.errors import InputError
from pglab.watching.film import check_film, film
from tests.watching.mp4 import decoded_mp4


def pictures(count=7, height=21, width=33):
    """A square that moves over a ground of few colours, and once stands still."""
    ground = np.zeros((height, width, 3), dtype=np.uint8)
    ground[height // 2 :] = (12, 34, 56)
    for number in range(count):
        picture = ground.copy()
        at = min(number, max(count - 2, 0))
        picture[2 + at : 6 + at, 3 * at : 3 * at + 5] = (250, 200 - at, 10 * at)
        yield picture


def decoded(content: bytes) -> list[np.ndarray]:
    with Image.open(io.BytesIO(content)) as image:
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]


def test_a_gif_has_every_picture_pixel_for_pixel_also_one_that_stands_still():
    frames = decoded(film(pictures(), 10, ".gif"))
    np.testing.assert_array_equal(frames, list(pictures()))
    assert (frames[-1] == frames[-2]).all()


def test_a_film_of_one_picture_is_a_film():
    assert len(decoded(film(pictures(1), 10, ".gif"))) == 1


def test_more_colours_than_a_palette_has_come_close():
    ramp = np.linspace(0, 255, 40, dtype=np.uint8)
    shaded = [np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], np.uint8(50 * n)), -1) for n in range(3)]
    for frame, wanted in zip(decoded(film(iter(shaded), 10, ".gif")), shaded, strict=True):
        assert 0 < np.abs(frame.astype(int) - wanted).max() < 30


@pytest.mark.parametrize(("fps", "milliseconds"), [(4, 250), (15, 70), (30, 30), (50, 20), (100, 20)])
def test_a_gif_runs_for_ever_at_the_environments_pace(fps: float, milliseconds: int):
    with Image.open(io.BytesIO(film(pictures(), fps, ".gif"))) as image:
        assert image.info["loop"] == 0
        assert {frame.info["duration"] for frame in ImageSequence.Iterator(image)} == {milliseconds}


def test_the_same_pictures_are_the_same_bytes():
    assert film(pictures(), 10, ".gif") == film(pictures(), 10, ".gif")


def test_an_mp4_has_every_picture(tmp_path: Path):
    pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "film.mp4"
    path.write_bytes(film(pictures(12, 121, 161), 10, ".mp4"))
    frames = decoded_mp4(path, width=162, height=122)[:, :121, :161].astype(int)
    wanted = list(pictures(12, 121, 161))
    assert len(frames) == len(wanted)
    for frame, picture in zip(frames, wanted, strict=True):
        assert np.abs(frame - picture).mean() < 4


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("film.avi", "film.avi cannot be written: a video ends in .gif or .mp4"),
        ("film", "a video ends in .gif or .mp4"),
        ("nowhere/film.gif", "nowhere"),
        ("folder.gif", "is a folder"),
        ("film.mp4", "pip install 'pglab[video]'"),
    ],
)
def test_what_could_not_be_written_is_refused(name, said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    (tmp_path / "folder.gif").mkdir()
    with pytest.raises(InputError, match=said.replace("[", r"\[")):
        check_film(tmp_path / name)


@pytest.mark.parametrize("name", ["film.gif", "FILM.GIF", "film.mp4"])
def test_what_can_be_written_is_not(name, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pglab.watching.film.find_spec", lambda name: name)
    check_film(tmp_path / name)
