"""What tests of MuJoCo need."""

import os
from ctypes.util import find_library
from importlib.util import find_spec

import pytest

needs_mujoco = pytest.mark.skipif(
    find_spec("mujoco") is None and "CI" not in os.environ,
    reason='MuJoCo is not installed: pip install "pglab[mujoco]"',
)
needs_pictures = pytest.mark.skipif(
    not (find_library("EGL") or find_library("OSMesa")),
    reason="neither EGL nor OSMesa is here: apt-get install libegl1",
)
needs_envpool = pytest.mark.skipif(
    find_spec("envpool") is None,  # too large for those who only want to run the tests
    reason='EnvPool is not installed: pip install "pglab[envpool]"',
)
