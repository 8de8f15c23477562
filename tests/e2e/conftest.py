"""Fixtures: one shared cluster a file for tests that leave it as it was, private ones for the rest.

A test that hangs ends after its limit (`@pytest.mark.limit(seconds)`, 120 unless it says so, times
the patience of support/patience.py) with a traceback. A failed test shows the ends of its daemons'
logs.
"""
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.cli import BINARY  # noqa: E402
from support.cluster import Cluster  # noqa: E402
from support.patience import limited  # noqa: E402

LIMIT_S = 120
QUICK = os.environ.get("REXEC_QUICK") == "1"
open_clusters = []


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): how long this test may take")
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is not built; REXEC_BIN names another", 3)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    marker = item.get_closest_marker("limit")
    with limited(marker.args[0] if marker else LIMIT_S):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for cluster in open_clusters:
            report.sections.extend(cluster.log_tails())


def _open(**options):
    cluster = Cluster(**options)
    open_clusters.append(cluster)
    return cluster


def _close(cluster):
    open_clusters.remove(cluster)
    cluster.close()


@pytest.fixture(scope="module")
def shared():
    """Three nodes n1 n2 n3. Only for tests that stop no daemon and revoke nobody."""
    cluster = _open(nodes=3)
    yield cluster
    _close(cluster)


@pytest.fixture
def make_cluster():
    """make_cluster(nodes=1): a cluster that the test may break."""
    made = []

    def make(**options):
        made.append(_open(**options))
        return made[-1]

    yield make
    for cluster in reversed(made):
        _close(cluster)


@pytest.fixture
def cluster(make_cluster):
    """A private cluster with the node n1."""
    return make_cluster(nodes=1)


@pytest.fixture
def cli(shared):
    return shared.cli


@pytest.fixture(scope="session")
def quick():
    return QUICK
