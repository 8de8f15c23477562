"""The crash matrix for what net, spawner, shim and job pass (FAULTS K1 to K11, K14, K16).

Each case kills -9 the process that passes a point, or another one while it stands there, or makes
a disk fail there (S9, S13 to S15); what died comes back as under systemd, the story goes on, and the
history holds I1 to I6 and I8.
REXEC_CRASH=all (`make crash`) takes every pair, otherwise a fixed few.
"""
import pytest

from crash import matrix

CASES = matrix.cases_of(("net", "spawner", "shim", "job", "file", "spool"))


@pytest.fixture(scope="module")
def crashed():
    """One cluster for all cases: a story may find whatever the ones before left behind."""
    with matrix.resting_cluster() as cluster:
        yield cluster


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_is_lost_doubled_or_contradicted(crashed, tmp_path, case):
    print(f"again: REXEC_CRASH=all python3 -m pytest tests/crash -k '{case.name}'")
    print(f"restarts: {matrix.cross(crashed, tmp_path / 'case', case)}")
