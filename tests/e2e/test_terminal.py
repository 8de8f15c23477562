"""Terminals: full-screen programs, resize, escape, Ctrl-C and Ctrl-\\, restored on every way out."""
import os
import shutil
import signal

import pytest

from support import processes
from support.running import Running
from support.terminal import SIZES, Terminal, strip_escapes

VIM = shutil.which("vim") or "vim.tiny"  # the name depends on which of its packages is there
# Says what came, so that the next key is pressed only then: two at once may arrive as one signal.
STUBBORN = "trap 'echo int' INT; trap 'echo term' TERM; echo $REXEC_JOB; while :; do sleep 0.05; done"


def final(cli, job):
    """The job's end, however it came."""
    return cli("job", "show", job, "--json").ok().json()


def test_t_gives_the_job_a_terminal_of_the_right_size(cli):
    with Terminal(cli, "run", "-t", "n1", "sh", "-c", "tty; stty size; echo $TERM",
                  size=(30, 100)) as t:
        ended = t.ended()
    assert "/dev/pts/" in ended.screen and "30 100" in ended.screen, ended.screen
    assert "xterm-256color" in ended.screen
    assert (ended.code, ended.restored) == (0, "")


def test_without_t_there_is_none(cli):
    with Terminal(cli, "run", "n1", "sh", "-c", "tty; [ -t 1 ] || echo no terminal") as t:
        ended = t.ended()
    assert "not a tty" in ended.screen and "no terminal" in ended.screen
    assert ended.restored == ""


def test_the_code_of_a_terminal_job_comes_back(cli):
    with Terminal(cli, "run", "-t", "n1", "sh", "-c", "exit 37") as t:
        ended = t.ended()
    assert (ended.code, ended.status["outcome"], ended.restored) == (37, "exited", "")


def test_a_resize_reaches_the_job(cli):
    with Terminal(cli, "run", "-t", "n1", "python3", "-c", SIZES, size=(24, 80)) as t:
        t.expect("size 24 80\r\n")
        for size in ((50, 132), (20, 60), (20, 61), (24, 80)):
            t.setwinsize(*size)
            t.expect("size %d %d\r\n" % size)
        t.send("\x03")
        ended = t.ended()
    assert ended.restored == "" and ended.status["signal"] == signal.SIGINT, ended.status


def test_vim_edits_a_file(cli, tmp_path):
    file = tmp_path / "edited"
    with Terminal(cli, "run", "-t", "n1", VIM, "-u", "NONE", "-N", str(file)) as t:
        t.expect("edited")
        t.send("ihello from vim\r\x1b[A")
        t.send("\x1b")
        t.send(":wq\r")
        ended = t.ended()
    assert (ended.code, ended.restored) == (0, ""), ended.screen
    assert file.read_text().startswith("hello from vim\n")


def test_top_runs_and_quits(cli):
    with Terminal(cli, "run", "-t", "n1", "top", "-d", "0.2") as t:
        t.expect("load average")
        t.expect("PID")
        t.send("q")
        ended = t.ended()
    assert (ended.code, ended.restored) == (0, ""), strip_escapes(ended.screen)


def test_shell_is_a_login_shell_on_a_terminal(cli):
    with Terminal(cli, "shell", "n1", status=False) as t:
        t.send("echo $((40+2)) $0; tty; exit 6\r")
        ended = t.ended()
    assert "42" in ended.screen and "/dev/pts/" in ended.screen, ended.screen
    assert (ended.code, ended.restored) == (6, "")


def test_enter_tilde_dot_leaves_and_the_job_goes_on(cli):
    with Terminal(cli, "run", "-t", "n1", "sh", "-c", "echo $REXEC_JOB; exec cat") as t:
        t.expect(r"(j-\w{12})")
        job = t.match[1].decode()
        t.send("\r~.")
        ended = t.ended()
    assert (ended.code, ended.restored) == (121, ""), ended.screen
    assert f"rexec attach -t {job}" in ended.screen
    assert final(cli, job)["state"] == "running"
    with Terminal(cli, "attach", "-t", job) as t:
        t.send("back again\r")
        t.expect("back again")
        t.send("\x04")
        ended = t.ended()
    assert (ended.code, ended.restored) == (0, ""), ended.screen


def test_leaving_a_full_screen_program_shows_the_way_back_on_the_terminals_own_screen(cli):
    with Terminal(cli, "run", "-t", "n1", "sh", "-c",
                  r"printf '\033[?1049h'; echo $REXEC_JOB; exec cat") as t:
        t.expect(r"(j-\w{12})")
        job = t.match[1].decode()
        t.send("\r~.")
        ended = t.ended()
    assert (ended.code, ended.restored) == (121, ""), ended.screen
    leaves, tells = ended.screen.find("\x1b[?1049l"), ended.screen.find(f"attach -t {job}")
    assert 0 <= leaves < tells, ended.screen
    cli("stop", job).ok()


def test_a_tilde_in_the_middle_of_a_line_is_typed(cli):
    with Terminal(cli, "run", "-t", "n1", "cat") as t:
        t.send("a~.b\r")
        t.expect("a~.b")
        t.send("\r\x04")
        assert t.ended().code == 0


def test_ctrl_c_on_a_terminal_job_is_a_key_of_the_job(cli):
    with Terminal(cli, "run", "-t", "n1", "sh", "-c",
                  "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done") as t:
        t.expect("ready")
        t.send("\x03")
        t.expect("caught")
        ended = t.ended()
    assert (ended.code, ended.restored) == (9, "")


def test_one_ctrl_c_interrupts_the_job_and_its_answer_counts(cli):  # FAULTS C6
    with Terminal(cli, "run", "n1", "sh", "-c",
                  "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.05; done") as t:
        t.expect("ready")
        t.send("\x03")
        t.expect("caught")
        ended = t.ended()
    assert (ended.code, ended.status["outcome"], ended.status["code"]) == (3, "exited", 3)


def test_a_job_that_dies_of_ctrl_c_takes_the_client_and_its_loop_along(cli):
    # No shell: dash forgets a signal that comes while it starts a command.
    with Terminal(cli, "run", "n1", "perl", "-e", '$| = 1; print "ready\\n"; sleep 1000') as t:
        t.expect("ready")
        t.send("\x03")
        ended = t.ended()
    assert ended.code == -signal.SIGINT and ended.restored == "", ended.screen
    assert ended.status["outcome"] == "signaled" and ended.status["signal"] == signal.SIGINT


def test_a_second_ctrl_c_stops_the_whole_tree(cli):
    with Terminal(cli, "run", "--grace", "300ms", "n1", "sh", "-c", STUBBORN) as t:
        t.expect(r"(j-\w{12})")
        job = t.match[1].decode()
        t.send("\x03")
        t.expect("int")
        t.send("\x03")
        t.expect("term")
        ended = t.ended()
    assert ended.code == -signal.SIGINT, ended.screen
    assert ended.status["outcome"] == "stopped" and ended.restored == ""
    assert processes.with_environment("REXEC_JOB", job) == []


def test_a_third_ctrl_c_leaves_at_once_and_the_stop_goes_on(cli):
    with Terminal(cli, "run", "--grace", "2s", "n1", "sh", "-c", STUBBORN) as t:
        t.expect(r"(j-\w{12})")
        job = t.match[1].decode()
        for answer in ("int", "term"):
            t.send("\x03")
            t.expect(answer)
        t.send("\x03")
        ended = t.ended()
    assert ended.code == -signal.SIGINT and ended.restored == "", ended.screen
    processes.wait_until(lambda: not processes.with_environment("REXEC_JOB", job),
                         "the stop reached its end without the client")
    cli("wait", job)
    assert final(cli, job)["record"]["outcome"] == "stopped"


@pytest.mark.parametrize("flags", [[], ["-i"]], ids=["plain", "with -i"])
def test_ctrl_backslash_leaves_the_job_running(cli, flags):
    with Terminal(cli, "run", *flags, "n1", "sh", "-c",
                  "echo $REXEC_JOB; i=0; while [ $i -lt 40 ]; do sleep 0.05; i=$((i+1)); done; "
                  "echo all done; exit 8") as t:
        t.expect(r"(j-\w{12})")
        job = t.match[1].decode()
        t.send("\x1c")
        ended = t.ended()
    assert (ended.code, ended.restored) == (121, ""), ended.screen
    assert f"rexec attach {job}" in ended.screen
    done = cli.run(job, verb="attach")
    assert done.code == 8 and done.text.endswith("all done\n"), done


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_a_client_that_is_killed_with_a_signal(cli, number):
    """TERM is forwarded to the job; after HUP the terminal is restored; KILL cannot be helped."""
    with Terminal(cli, "run", "-t", "--on-disconnect", "stop", "n1", "sh", "-c",
                  "echo $REXEC_JOB; exec cat") as t:
        t.expect(r"(j-\w{12})")
        job = t.match[1].decode()
        client = processes.children(t.pid)[0]
        os.kill(client, number)
        ended = t.ended()
    if number != signal.SIGKILL:
        assert ended.restored == "", ended.screen
    cli("wait", job)
    record = final(cli, job)["record"]
    wanted = "signaled" if number == signal.SIGTERM else "stopped"
    assert record["outcome"] == wanted, record


def test_signals_sent_to_the_client_reach_the_job(cli):
    script = "trap 'echo usr1' USR1; trap 'echo usr2' USR2; trap 'echo term; exit 5' TERM; " \
             "echo ready; while :; do sleep 0.05; done"
    with Running(cli, "n1", "sh", "-c", script) as run:
        assert run.line() == "ready"
        run.signal(signal.SIGUSR1)
        assert run.line() == "usr1"
        run.signal(signal.SIGUSR2)
        assert run.line() == "usr2"
        run.signal(signal.SIGTERM)
        assert run.line() == "term"
        assert run.finish().code == 5


def test_a_terminal_without_term_or_with_dumb_works(cli):  # FAULTS C15
    with Terminal(cli, "run", "-t", "n1", "sh", "-c", "echo TERM=$TERM",
                  env={"TERM": "dumb", "LANG": "C"}) as t:
        ended = t.ended()
    assert "TERM=dumb" in ended.screen and ended.code == 0


def test_t_without_a_local_terminal_still_gives_the_job_one(cli):
    done = cli.run("-t", "n1", "sh", "-c", "tty; exit 2", input=b"")
    assert done.code == 2 and "/dev/pts/" in done.text, done


@pytest.mark.parametrize("argv", [("run", "-t", "n1", "bash"), ("run", "-t", "n1", "python3"),
                                  ("run", "-t", "n1", "sh", "-c", "cat; cat"), ("shell", "n1")],
                         ids=["bash", "python", "two readers", "shell"])
@pytest.mark.parametrize("text", [b"", b"exec true\n"], ids=["empty", "a line"])
def test_a_stdin_that_ends_ends_what_reads_the_terminal(cli, argv, text):
    done = cli(*argv, input=text, timeout=20)
    assert done.code == 0, done


def test_a_terminal_s_last_line_needs_no_newline(cli):
    done = cli("run", "-t", "n1", "cat", input=b"no newline", timeout=20)
    assert done.code == 0 and done.text.count("no newline") == 2, done
