"""Every test gives the same verdict every time: fixed examples, one thread, no clocks."""

import torch
from hypothesis import settings

settings.register_profile("pglab", derandomize=True, deadline=None, database=None)
settings.load_profile("pglab")
torch.set_num_threads(1)
