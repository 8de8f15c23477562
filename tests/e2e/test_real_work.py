"""Real work: a C project shipped, compiled and tested on nodes, with the result a local run has."""
import os
import subprocess

import pytest

from support import project
from support.cli import BINARY, REPOSITORY

CI_BUILD = REPOSITORY / "tests" / "support" / "ci_build.sh"


def path_with_rexec(cli):
    return {**cli.env, "PATH": f"{BINARY.parent}:{os.environ['PATH']}"}


def ship(cli, source, node, target):
    target.mkdir(exist_ok=True)
    script = f"set -o pipefail; tar c -C '{source}' . | rexec run -i {node} -- tar x -C '{target}'"
    subprocess.run(["bash", "-c", script], env=path_with_rexec(cli), check=True, timeout=60)


def local(cli, directory, *command):
    env = {**path_with_rexec(cli), "LC_ALL": "C"}
    return subprocess.run(command, cwd=directory, env=env, capture_output=True, timeout=100,
                          check=False)


@pytest.mark.parametrize("change,command", [
    (None, ["make"]), (None, ["make", "test"]), (project.break_compilation, ["make"]),
    (project.break_behaviour, ["make", "test"]), (None, ["make", "no-such-target"]),
], ids=["builds", "tests pass", "does not compile", "a test fails", "no such target"])
def test_a_project_builds_on_a_node_as_it_does_here(cli, tmp_path, change, command):
    here = project.write(tmp_path / "here")
    if change:
        change(here)
    there = tmp_path / "there"
    ship(cli, here, "n1", there)
    expected = local(cli, here, *command)
    done = cli.run("-e", "LC_ALL=C", "-w", str(there), "n1", *command)
    assert (done.code, done.out, done.err) == \
        (expected.returncode, expected.stdout, expected.stderr), done
    assert done.status["outcome"] == "exited"


def test_what_was_built_comes_back_and_runs(cli, tmp_path):
    there = tmp_path / "there"
    ship(cli, project.write(tmp_path / "here"), "n2", there)
    cli.run("-w", str(there), "n2", "make").ok()
    binary = tmp_path / "count"
    binary.write_bytes(cli.run("n2", "cat", str(there / "build" / "count")).ok().out)
    binary.chmod(0o755)
    result = subprocess.run([binary], input=b"a b c\n", capture_output=True, check=True)
    assert result.stdout == b"3\n"


def test_a_ci_build_on_three_nodes_succeeds(cli, tmp_path):
    here = project.write(tmp_path / "here")
    result = subprocess.run([CI_BUILD, "n1", "n2", "n3"], cwd=here, env=path_with_rexec(cli),
                            capture_output=True, timeout=100, check=False)
    text = result.stdout.decode()
    assert result.returncode == 0, text
    for node in ("n1", "n2", "n3"):
        assert f"== {node}: exit 0" in text
    assert text.count("ok: 3 words") == 3


def test_a_ci_build_fails_when_the_tests_do(cli, tmp_path):
    here = project.write(tmp_path / "here")
    project.break_behaviour(here)
    result = subprocess.run([CI_BUILD, "n1", "n2", "n3"], cwd=here, env=path_with_rexec(cli),
                            capture_output=True, timeout=100, check=False)
    assert result.returncode == 1, result.stdout
    assert result.stdout.count(b"exit 2\n") == 3
