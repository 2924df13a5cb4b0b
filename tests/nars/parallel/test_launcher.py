"""A process that ends with the one that started it."""

from __future__ import annotations

import subprocess
import sys

CHILD = """
import os, time
from nars.parallel.launcher import end_with
end_with(os.getppid())
print("begun", flush=True)
time.sleep(30)
print("still there")
"""

PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD!r}])"


def test_a_child_ends_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "begun\n"
        parent.kill()
        assert parent.stdout.read() == ""  # it ends when the child has ended
