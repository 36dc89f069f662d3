"""The pictures of an MP4."""

import subprocess
from importlib import import_module
from pathlib import Path

import numpy as np


def decoded_mp4(path: Path, width: int, height: int) -> np.ndarray:
    """All of them, `[pictures, height, width, 3]`."""
    command = [import_module("imageio_ffmpeg").get_ffmpeg_exe(), "-v", "error", "-i", str(path)]
    raw = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
