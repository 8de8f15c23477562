"""Crash tests run build/rexec-faulty in the place of the shipped binary; limits and clusters are
those of tests/e2e/conftest.py."""
import importlib.util
import os
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
from support import faults  # noqa: E402

# A worker of pytest-xdist inherits what its parent wrote here.
SHIPPED = os.environ.setdefault("REXEC_SHIPPED", os.environ.get(
    "REXEC_BIN", str(TESTS.parent / "build" / "rexec")))
os.environ["REXEC_BIN"] = str(faults.find_binary())  # support.cli reads it once

_spec = importlib.util.spec_from_file_location("e2e_conftest", TESTS / "e2e" / "conftest.py")
_e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_e2e)
globals().update({name: value for name, value in vars(_e2e).items() if not name.startswith("__")})
