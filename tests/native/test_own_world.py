"""The world of one's own that the folder's README shows."""

import re

from pglab.testing import check_env, check_native
from tests.conftest import ROOT


def test_the_world_that_is_shown_keeps_both_contracts(tmp_path, monkeypatch):
    (shown,) = re.findall("```python\n(.*?)```", (ROOT / "pglab/native/README.md").read_text(), re.DOTALL)
    (tmp_path / "near_goal.py").write_text(shown)
    monkeypatch.syspath_prepend(tmp_path)
    from near_goal import NearGoal

    check_env(NearGoal())
    check_native(NearGoal())
