"""A project that is edited within one second is judged as it is now."""

from __future__ import annotations

import os

import pytest

from tests.bite import project

pytest_plugins = ["pytester", "tests.lab"]


@pytest.mark.parametrize("how", ["in this process", "a child", "a fork"])
def test_a_chapter_of_the_same_size_and_second_is_read_again(lab, how):
    """What Python and pytest keep compiled goes by nothing else."""

    def judged(number: int) -> int:
        lab.chapter(f"@pytest.mark.clause('numerics.x')\ndef test_x(): assert 1 == {number}\n")
        os.utime(lab.root / "conformance/test_outputs.py", (1e9, 1e9))
        if how == "a fork":
            return project.run(lab, closed=False).code
        return lab.run(child=how == "a child").ret

    assert judged(1) == 0
    assert judged(2) == 1
