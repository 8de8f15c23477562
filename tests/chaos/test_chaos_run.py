"""A minute of chaos (FAULTS K14): zero lost, doubled or contradictory outcomes, zero missing bytes.

`make chaos` runs ten minutes. The seed is printed; REXEC_SEED repeats its sequence of kills and jobs.
"""
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 15 if os.environ.get("REXEC_QUICK") == "1" else 60


@pytest.mark.limit(600)
def test_a_minute_of_chaos_leaves_no_contradiction():
    binary = os.environ.get("REXEC_BIN", HERE.parents[1] / "build" / "rexec")
    done = subprocess.run([sys.executable, HERE / "run.py", "--binary", binary,
                           "--seconds", str(SECONDS)], capture_output=True, text=True, check=False)
    print(done.stdout[-6000:], done.stderr[-3000:])
    assert done.returncode == 0, done.stdout[-3000:]
    assert "chaos: seed" in done.stdout
