"""The user's terminal: what of it a job gets, and that a shell's job control works around rexec."""
import os
import signal

import pytest

from support import processes
from support.shell import Shell
from support.terminal import SIZES, Terminal


def client_of(shell):
    """The rexec below the shell."""
    def look():
        return [pid for pid in processes.children(shell.pid)
                if processes.cmdline(pid)[:1] == [b"rexec"]]
    return processes.wait_until(look, "the shell has a rexec")[0]


def test_attaching_brings_the_size_of_the_terminal_that_attaches(cli):
    with Terminal(cli, "run", "-t", "n1", "python3", "-c", SIZES, size=(20, 50)) as first:
        first.expect(r"job (j-\w{12})\r\nsize 20 50")
        job = first.match[1].decode()
        with Terminal(cli, "attach", "-t", job, size=(40, 120)) as second:
            second.expect("size 40 120")
            second.setwinsize(30, 100)
            second.expect("size 30 100")
        first.expect("size 40 120")
        cli("stop", job).ok()
        assert first.ended().restored == ""


def test_a_size_that_changes_while_the_link_is_down_is_sent_when_it_is_back(cluster):
    proxy = cluster.proxy()
    cli = cluster.client_through(proxy)
    with Terminal(cli, "run", "-t", "n1", "python3", "-c", SIZES, size=(20, 50)) as t:
        t.expect(r"job (j-\w{12})\r\nsize 20 50")
        job = t.match[1].decode()
        proxy.refuse()
        t.expect("the link is lost")
        for rows in range(60, 100):
            t.setwinsize(rows, 132)
        proxy.allow()
        t.expect("size 99 132")
        cluster.cli("stop", job).ok()
        assert t.ended().status["outcome"] == "stopped"


def test_a_job_s_terminal_has_the_modes_of_the_callers(cli):
    with Shell(cli) as shell:
        shell.ask("stty intr ^G erase ^H susp undef -ixon")
        there = shell.ask("stty -a; echo; rexec run -t n1 -- stty -a")
    here, _, there = there.partition("\n\n")
    wanted = ["intr = ^G", "erase = ^H", "susp = <undef>", "-ixon"]
    assert all(word in here for word in wanted), here
    # All of it, but for the size, which may be of one line only.
    assert there.split() == here.split()


def test_a_job_without_a_caller_s_terminal_has_the_usual_modes(cli):
    done = cli.run("-t", "n1", "stty", "-a", input=b"")
    assert "intr = ^C" in done.text and " iutf8" in done.text and " echo " in done.text, done


def test_a_run_in_the_background_does_not_take_the_terminal(cli):
    with Shell(cli) as shell:
        before = shell.modes()
        pid = shell.begin("rexec run -t n1 -- sh -c 'echo in''side; exec cat'")
        shell.wait_stopped(pid)
        assert shell.modes() == before
        shell.send("fg\r")
        shell.expect("inside")
        shell.send("typed\r")
        shell.expect("typed\r\ntyped")
        shell.send("\x04")
        shell.wait_prompt()
        assert shell.modes() == before


def test_without_t_ctrl_z_suspends_the_client_and_fg_goes_on(cli):
    with Shell(cli) as shell:
        before = shell.modes()
        shell.send("rexec run -i n1 -- sh -c 'echo be''gun; read a; echo got $a; exit 7'\r")
        shell.expect("begun")
        client = client_of(shell)
        shell.send("\x1a")
        shell.wait_stopped(client)
        assert shell.modes() == before
        shell.send("fg\r")
        processes.wait_until(lambda: processes.stat_fields(client)[:1] != [b"T"], "it goes on")
        shell.send("a line\r")
        shell.expect("got a line")
        shell.wait_prompt()
        assert shell.ask("echo code=$?").endswith("code=7")


def test_with_t_ctrl_z_is_a_key_of_the_job(cli):
    with Shell(cli) as shell:
        shell.send("rexec run -t n1 -e PS1='there> ' -- bash --norc -i\r")
        shell.expect("there> ")
        shell.send("sh -c 'echo sle''eps; exec sleep 1000'\r")
        shell.expect("sleeps")
        client = client_of(shell)
        shell.send("\x1a")
        shell.expect("Stopped")
        assert processes.stat_fields(client)[0] != b"T"
        shell.send("disown; exit 5\r")
        shell.wait_prompt()
        assert shell.ask("echo code=$?").endswith("code=5")


@pytest.mark.parametrize("how", ["escape", "signal"])
def test_a_suspended_client_leaves_the_terminal_as_the_shell_knows_it(cli, how):
    with Shell(cli) as shell:
        before = shell.modes()
        shell.send("rexec run -t n1 -- sh -c 'echo in''side; exec cat'\r")
        shell.expect("inside")
        client = client_of(shell)
        for line in ("one", "two"):
            if how == "escape":
                shell.send("\r~\x1a")
            else:
                os.kill(client, signal.SIGTSTP)
            shell.wait_stopped(client)
            assert shell.modes() == before
            shell.send("fg\r")
            shell.expect("fg")
            processes.wait_until(lambda: processes.stat_fields(client)[:1] != [b"T"], "it goes on")
            shell.send(f"{line}\r")
            shell.expect(f"{line}\r\n{line}\r\n")
        shell.send("\x04")
        shell.wait_prompt()
        assert shell.modes() == before


def test_bg_stops_a_terminal_s_client_again(cli):
    with Shell(cli) as shell:
        shell.send("rexec run -t n1 -- sh -c 'echo in''side; exec cat'\r")
        shell.expect("inside")
        client = client_of(shell)
        shell.send("\r~\x1a")
        shell.wait_stopped(client)
        before = shell.modes()
        shell.ask("bg")
        shell.wait_stopped(client)
        assert shell.modes() == before
        shell.send("fg\r")
        shell.send("\r~.")
        shell.expect("come back with")
        shell.wait_prompt()
        assert shell.modes() == before


def test_a_client_that_nobody_could_continue_is_not_suspended(cli):
    with Terminal(cli, "run", "-t", "n1", "sh", "-c", "echo begun; exec cat") as t:
        t.expect("begun")
        t.send("\r~\x1aline\r\x04")  # below the guard its process group is an orphan
        ended = t.ended()
    assert (ended.code, ended.restored) == (0, "") and ended.screen.count("line") >= 1, ended.screen
