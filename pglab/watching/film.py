"""Pictures as a film: GIF with what is always there, MP4 with an extra."""

import io
import tempfile
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops
from PIL.GifImagePlugin import getdata, getheader

from pglab.errors import InputError

ENCODER = "imageio_ffmpeg"
MOST_COLOURS = 256  # of a GIF's palette
SHORTEST = 20  # milliseconds: viewers show a GIF's shorter pictures ten times as long


def check_film(path: Path) -> None:
    """Raises InputError where no film could be written to `path`."""
    if path.suffix.lower() not in ENCODE:
        raise InputError(f"{path} cannot be written: a video ends in {' or '.join(ENCODE)}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        lacking = "is a folder" if path.is_dir() else f"has no folder {path.parent} to be in"
        raise InputError(f"{path} {lacking}; name a file in a folder that is there")
    if path.suffix.lower() == ".mp4" and find_spec(ENCODER) is None:
        raise InputError(f"{path} needs the package imageio-ffmpeg (`pip install 'pglab[video]'`); a .gif does without")


def film(pictures: Iterable[np.ndarray], fps: float, ending: str) -> bytes:
    """The content of a video file.

    Args:
        pictures: `[height, width, 3]` bytes each, all of one size.
        fps: pictures a second; a GIF counts in hundredths of a second and shows at most 50.
        ending: `.gif` or `.mp4`.
    """
    return ENCODE[ending](iter(pictures), fps)


def _gif(pictures: Iterator[np.ndarray], fps: float) -> bytes:
    """Each picture as what has changed since the one before; where nothing has, one pixel stands for it.

    Pillow's own `save_all` holds all pictures in memory, and leaves out those that equal the one before.
    """
    shown = {"duration": max(SHORTEST, round(100 / fps) * 10), "include_color_table": True}
    indexed, before, file = _Palettes(), None, io.BytesIO()
    for picture in pictures:
        image = Image.fromarray(picture)
        if before is None:
            box = (0, 0, *image.size)
            file.writelines(getheader(indexed(picture), info={"loop": 0})[0])
        else:
            box = ImageChops.difference(before, image).getbbox() or (0, 0, 1, 1)
        left, top, right, bottom = box
        file.writelines(getdata(indexed(picture[top:bottom, left:right]), (left, top), **shown))
        before = image
    file.write(b";")
    return file.getvalue()


class _Palettes:
    """Pictures with at most 256 colours keep each of them; others get the 256 that come closest."""

    def __init__(self) -> None:
        self._index = np.zeros(2**24, dtype=np.uint8)

    def __call__(self, picture: np.ndarray) -> Image.Image:
        image = Image.fromarray(picture)
        colours = image.getcolors(MOST_COLOURS)
        if colours is None:
            return image.quantize(MOST_COLOURS)
        palette = np.array([colour for _, colour in colours], dtype=np.uint8)
        self._index[_codes(palette)] = np.arange(len(palette))
        indexed = Image.fromarray(self._index[_codes(picture)])
        indexed.putpalette(palette.tobytes())
        return indexed


def _codes(colours: np.ndarray) -> np.ndarray:
    """One number for each colour `[..., 3]`."""
    red, green, blue = np.moveaxis(colours.astype(np.int32), -1, 0)
    return (red << 16) | (green << 8) | blue


def _mp4(pictures: Iterator[np.ndarray], fps: float) -> bytes:
    """H.264; an odd row or column at the edge is repeated, as the format halves its colours."""
    write_frames = import_module(ENCODER).write_frames
    first = _even(next(pictures))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        size = (first.shape[1], first.shape[0])
        writer = write_frames(str(path), size, fps=fps, macro_block_size=2, ffmpeg_log_level="error")
        writer.send(None)
        try:
            for picture in chain([first], map(_even, pictures)):
                writer.send(np.ascontiguousarray(picture))
        finally:
            writer.close()
        return path.read_bytes()


def _even(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


ENCODE: dict[str, Callable[[Iterator[np.ndarray], float], bytes]] = {".gif": _gif, ".mp4": _mp4}
