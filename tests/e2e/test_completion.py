"""Tab in the three real shells: verbs, flags, values, and the nodes and jobs that were listed last.

Each shell is the real one with the script that `rexec completion SHELL` prints, on a terminal where
the shell needs one.
"""
import os
import re
import shlex
import shutil
import subprocess
import time

import pexpect
import pytest

from support.cli import BINARY, REPOSITORY
from support.patience import patient

PATIENCE_S = patient(10)
SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(scope="module")
def account(shared):
    """An account whose cache knows n1, n2, n3 and one job, and a `rexec` on PATH."""
    cli = shared.cli
    cli("node", "ls").ok()
    job = cli.submit("n1", "true")
    cli("wait", job).ok()
    path = cli.home / "bin"
    path.mkdir(exist_ok=True)
    if not (path / "rexec").exists():
        (path / "rexec").symlink_to(BINARY)
    env = {**cli.env, "PATH": f"{path}:{os.environ['PATH']}", "PS1": "", "HISTFILE": ""}
    return cli, env, job


def complete(cli, *words):
    return [line.split("\t")[0] for line in cli("__complete", "--", *words).ok().text.splitlines()]


def test_the_scripts_are_what_the_binary_prints(account):
    cli, _, _ = account
    for shell in SHELLS:
        script = (REPOSITORY / "completions" / f"rexec.{shell}").read_text(encoding="utf-8")
        assert cli("completion", shell).ok().text == script


def test_nodes_and_jobs_come_from_what_was_listed(account):
    cli, _, job = account
    assert complete(cli, "run", "") == ["n1", "n2", "n3", "@all"]
    assert complete(cli, "run", "n1,") == ["n1,n2", "n1,n3", "n1,@all"]
    assert job in complete(cli, "attach", "j-")
    assert complete(cli, "node", "show", "n") == ["n1", "n2", "n3"]


def test_values_verbs_and_flags(account):
    cli, _, _ = account
    assert complete(cli, "ter") == []
    assert complete(cli, "to") == ["token"]
    assert complete(cli, "token", "") == ["new", "ls", "revoke"]
    assert complete(cli, "run", "--on-dis") == ["--on-disconnect"]
    assert complete(cli, "-o", "j") == ["json", "jsonl"]
    assert complete(cli, "explain", "node_") == ["node_offline"]
    assert complete(cli, "run", "n1", "ma") == [":command"]


def test_it_dials_nobody_and_is_quick(account):
    """The budget is 30 ms; the best of many shows what it costs, not what else runs here."""
    cli, _, _ = account
    assert cli("--context", "none", "__complete", "--", "run", "").code == 0
    if "asan" in cli("version", "--json").ok().json()["build"]:
        pytest.skip("not here: a sanitizer build is not quick")
    best = 1.0
    for _ in range(20):
        begun = time.monotonic()
        complete(cli, "run", "n")
        best = min(best, time.monotonic() - begun)
    print(f"completion: {best * 1000:.1f} ms")
    assert best < 0.030


def test_without_an_account_it_is_empty_and_silent(tmp_path):
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    for key in ("run", "attach", "context"):
        words = ["use", ""] if key == "context" else [""]
        done = subprocess.run([BINARY, "__complete", "--", key, *words], env=env,
                              capture_output=True, timeout=20)
        assert (done.returncode, done.stderr) == (0, b"")


def need(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"not here: no {shell}")


def typed_into(shell, argv, setup, env, line, expected):
    """Types `line` and Tab into an interactive shell; what the line became."""
    child = pexpect.spawn(shell, argv, env=env, timeout=PATIENCE_S, encoding="utf-8",
                          dimensions=(40, 200))
    child.delaybeforesend = None
    try:
        child.sendline(f"{setup}; echo rea''dy")
        child.expect("ready\r?\n")
        child.send(f"{line}\t")
        child.expect(re.escape(expected))
        return expected
    finally:
        child.close(force=True)


LINES = [
    ("rexec contr", "rexec controller "),
    ("rexec node sh", "rexec node show "),
    ("rexec run --childr", "rexec run --children "),
    ("rexec run n1,n2,", "rexec run n1,n2,"),
    ("rexec node show n", "rexec node show n"),
]


@pytest.mark.parametrize("line,expected", LINES)
def test_bash_completes_what_is_typed(account, line, expected):
    need("bash")
    typed_into("bash", ["--norc", "--noprofile", "-i"],
               "bind 'set enable-bracketed-paste off'; source <(rexec completion bash)",
               account[1], line, expected)


@pytest.mark.parametrize("line,expected", LINES)
def test_zsh_completes_what_is_typed(account, line, expected, tmp_path):
    need("zsh")
    setup = (f"autoload -U compinit; compinit -u -d {shlex.quote(str(tmp_path / 'dump'))}; "
             "unset zle_bracketed_paste; source <(rexec completion zsh)")
    env = {**account[1], "TERM": "dumb", "ZDOTDIR": str(tmp_path)}
    typed_into("zsh", ["-f", "-i"], setup, env, line, expected)


def in_bash(env, line):
    """What bash offers for a line, by its own completion function."""
    script = f"""
source <(rexec completion bash)
COMP_WORDS=({line}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
compopt() {{ :; }}
_rexec rexec "${{COMP_WORDS[COMP_CWORD]}}" ""
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "--norc", "-c", script], env=env, capture_output=True, text=True,
                          timeout=PATIENCE_S, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def in_fish(env, line):
    done = subprocess.run(
        ["fish", "--no-config", "-c", "rexec completion fish | source; complete -C $argv[1]", line],
        env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    return [row.split("\t")[0] for row in done.stdout.splitlines()]


def test_bash_offers_nodes_jobs_and_files(account):
    need("bash")
    _, env, job = account
    assert in_bash(env, "rexec run ''") == ["n1", "n2", "n3", "@all"]
    assert job in in_bash(env, "rexec attach j-")
    assert in_bash(env, "rexec run --children = w") == ["wait"]
    assert "true" in in_bash(env, "rexec run n1 tru")


def test_fish_offers_verbs_nodes_jobs_and_files(account, tmp_path):
    need("fish")
    _, env, job = account
    (tmp_path / "variables").write_text("A=1\n")
    assert in_fish(env, "rexec contr") == ["controller"]
    assert in_fish(env, "rexec node sh") == ["show"]
    assert set(in_fish(env, "rexec run ")) >= {"n1", "n2", "n3", "@all"}
    assert in_fish(env, "rexec run n1,n") == ["n1,n2", "n1,n3"]
    assert job in in_fish(env, "rexec attach j-")
    assert in_fish(env, "rexec run --childr") == ["--children"]
    assert f"{tmp_path}/variables" in in_fish(env, f"rexec run --env-file {tmp_path}/vari")


def test_zsh_lists_the_nodes(account, tmp_path):
    need("zsh")
    _, env, _ = account
    setup = (f"autoload -U compinit; compinit -u -d {shlex.quote(str(tmp_path / 'dump'))}; "
             "unset zle_bracketed_paste; source <(rexec completion zsh); setopt auto_list")
    env = {**env, "TERM": "dumb", "ZDOTDIR": str(tmp_path)}
    typed_into("zsh", ["-f", "-i"], setup, env, "rexec run n\t", "n3")
