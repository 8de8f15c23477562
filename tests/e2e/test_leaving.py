"""How a client ends before its job: who is told what, and that a reader never ends a job."""
import os
import signal
import subprocess

import pytest

from support import processes
from support.running import Running
from support.terminal import Terminal

SPEAKS = "echo $REXEC_JOB; while :; do echo x; echo y >&2; sleep 0.05; done"
STUBBORN = "trap 'echo int' INT; trap 'echo term' TERM; echo $REXEC_JOB; exec 2>/dev/null; " \
           "while :; do sleep 0.05; done"


def state(cli, job):
    return cli.job(job)["state"]


def lives_on(cli, job):
    """It still writes: what was there is followed by more."""
    def size():
        return len(cli("logs", job).ok().out)
    before = size()
    processes.wait_until(lambda: size() > before, "the job writes on")
    assert state(cli, job) == "running"
    cli("stop", job).ok()


def shell(cli, script):
    env = {**cli.env, "PATH": f"{cli.binary.parent}:{os.environ['PATH']}"}
    return subprocess.run(["bash", "-c", script], env=env, capture_output=True, timeout=100)


# ---- readers

@pytest.mark.parametrize("reader", [
    "attach {} | head -n 1", "attach {} 2>&1 | head -n 1",
    "attach {} > /dev/full", "attach {} 2>&1 > /dev/full", "attach -o jsonl {} | head -n 3",
    "logs -f {} | head -n 1", "logs -f {} > /dev/full",
])
def test_a_reader_that_reads_no_more_ends_its_reading_and_not_the_job(cli, reader):
    job = cli.submit("n1", "sh", "-c", SPEAKS)
    done = shell(cli, f"rexec {reader.format(job)}")
    lives_on(cli, job)
    assert b"internal" not in done.stderr, done


def test_a_log_whose_stderr_is_closed_does_not_close_the_jobs(cli):
    job = cli.submit("n1", "sh", "-c", SPEAKS)
    read, write = os.pipe()
    with Running(cli, "-f", job, verb="logs", stderr=write) as logs:
        os.close(write)
        os.close(read)
        for _ in range(20):
            logs.line()
        logs.signal(signal.SIGTERM)
        logs.finish()
    lives_on(cli, job)


@pytest.mark.parametrize("verb", [["attach"], ["logs", "-f"]], ids=["attach", "logs -f"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_a_reader_ends_the_reading_and_not_the_job(cli, verb, number):
    job = cli.submit("n1", "sh", "-c", SPEAKS)
    with Running(cli, *verb[1:], job, verb=verb[0]) as reader:
        assert reader.line() == job
        reader.signal(number)
        done = reader.finish()
    assert done.code == 121, done
    if verb == ["attach"]:
        assert (done.status["outcome"], done.status["reason"]) == ("lost", "left"), done
    lives_on(cli, job)


def test_a_reader_of_a_foreground_job_does_not_end_it_either(cli):
    with Running(cli, "n1", "sh", "-c", SPEAKS) as run:
        job = run.line()
        done = shell(cli, f"rexec attach {job} | head -n 1")
        assert done.stdout.decode() == job + "\n", done
        with Running(cli, job, verb="attach") as reader:
            reader.line()
            reader.signal(signal.SIGTERM)
            reader.finish()
        lives_on(cli, job)
        assert run.finish().status["outcome"] == "stopped"


def test_a_reader_whose_disk_is_full_says_so_and_how_to_come_back(cli):
    job = cli.submit("n1", "sh", "-c", SPEAKS)
    with open("/dev/full", "wb") as full:
        done = cli("attach", job, stdout=full)
    assert done.code == 121, done
    assert "No space left" in done.errors and f"rexec attach {job}" in done.errors, done
    lives_on(cli, job)


def test_logs_that_a_signal_cut_short_are_no_success(cluster):
    cli = cluster.cli
    job = cli.submit("n1", "sh", "-c", "echo begun; exec sleep 1000")
    processes.wait_until(lambda: cli("logs", job).ok().text == "begun\n", "it has begun")
    cluster.nodes["n1"].kill()
    with Running(cli, job, verb="logs") as logs:
        logs.err.wait_for("the link is lost")
        logs.signal(signal.SIGTERM)
        assert logs.finish().code == 121


# ---- who left, and what is said

@pytest.mark.parametrize("number,word", [(signal.SIGHUP, "HUP"), (signal.SIGQUIT, "the user")])
def test_the_status_says_who_left(cli, number, word):
    with Running(cli, "n1", "sh", "-c", SPEAKS) as run:
        job = run.line()
        run.signal(number)
        done = run.finish()
    assert done.code == 121, done
    assert (done.status["outcome"], done.status["reason"]) == ("lost", "left"), done
    assert word in done.status["message"] and done.status["job"] == job, done
    assert f"rexec attach {job}" in done.errors, done
    cli("stop", job)


def test_a_third_ctrl_c_is_told_as_such(cli):
    with Running(cli, "--grace", "1h", "n1", "sh", "-c", STUBBORN) as run:
        job = run.line()
        for answer in ("int", "term"):
            run.signal(signal.SIGINT)
            assert run.line() == answer
        run.signal(signal.SIGINT)
        done = run.finish()
    assert done.code == -signal.SIGINT, done
    assert done.status["reason"] == "left" and "stop goes on" in done.status["message"], done
    cli("stop", "--grace", "0", job).ok()


def test_each_ctrl_c_says_once_what_it_did_and_what_the_next_one_does(cli):
    with Running(cli, "--grace", "1h", "n1", "sh", "-c", STUBBORN) as run:
        job = run.line()
        run.signal(signal.SIGINT)
        first = run.err.line()
        assert "INT was sent" in first and "again within 2s stops it" in first, first
        assert run.line() == "int"
        run.signal(signal.SIGINT)
        # A slow machine may have taken longer than the 2 s: then it was a first one again.
        answer = run.line()
        while answer == "int":
            run.signal(signal.SIGINT)
            answer = run.line()
        second = run.err.line()
        assert answer == "term" and "TERM" in second and "once more leaves" in second, second
        run.signal(signal.SIGINT)
        done = run.finish()
    assert done.errors.count("rexec: ") == 1 and "stop goes on" in done.errors, done
    cli("stop", "--grace", "0", job).ok()


def test_term_to_a_client_whose_controller_is_silent_is_answered_and_a_third_leaves(cluster):
    proxy = cluster.proxy()
    cli = cluster.client_through(proxy)
    with Running(cli, "n1", "sh", "-c", SPEAKS) as run:
        job = run.line()
        proxy.hold()
        run.signal(signal.SIGTERM)
        run.err.wait_for("does not answer: TERM reaches the job when it is back")
        for _ in range(2):
            run.signal(signal.SIGTERM)
            processes.wait_until(lambda: not processes.is_pending(run.pid, signal.SIGTERM), "it was taken")
        done = run.finish()
    assert done.code == 121 and done.status["reason"] == "left", done
    assert "TERM" in done.status["message"] and f"rexec attach {job}" in done.errors, done
    proxy.release()
    cluster.cli("stop", job)


def test_term_to_a_client_whose_link_is_down_is_answered_and_a_third_leaves(cluster):
    proxy = cluster.proxy()
    cli = cluster.client_through(proxy)
    with Running(cli, "n1", "sh", "-c", SPEAKS) as run:
        job = run.line()
        proxy.refuse()
        run.err.wait_for("the link is lost")
        run.signal(signal.SIGTERM)
        run.err.wait_for("the link is down: TERM reaches the job when it is back")
        for _ in range(2):
            run.signal(signal.SIGTERM)
            processes.wait_until(lambda: not processes.is_pending(run.pid, signal.SIGTERM), "it was taken")
        done = run.finish()
    assert done.code == 121 and done.status["reason"] == "left", done
    cluster.cli("stop", job)


def test_terms_that_are_answered_all_reach_the_job(cli):
    script = "trap 'echo term' TERM; echo $REXEC_JOB; while :; do sleep 0.05; done"
    with Running(cli, "n1", "sh", "-c", script) as run:
        job = run.line()
        for _ in range(5):
            run.signal(signal.SIGTERM)
            assert run.line() == "term"
        cli("stop", "--grace", "0", job).ok()
        assert run.finish().status["outcome"] == "stopped"


@pytest.mark.parametrize("verb", ["attach", "logs"])
def test_a_job_that_has_ended_is_not_said_to_go_on(cluster, verb):
    cli = cluster.cli
    job = cli.submit("n1", "sh", "-c", "echo out; exit 3")
    assert cli("wait", job).code == 3
    cluster.nodes["n1"].kill()
    follow = ["--reconnect", "4s"] if verb == "attach" else ["-f"]
    with Running(cli, *follow, job, verb=verb) as reader:
        reader.err.wait_for("the link is lost")
        if verb == "logs":
            reader.signal(signal.SIGTERM)
        done = reader.finish()
    assert done.code == 121, done
    said = done.errors.lower()
    assert "goes on" not in said and "may still run" not in said, done


# ---- input that cannot be read

@pytest.mark.parametrize("path,why", [("/proc/self/mem", "Input/output error"),
                                      ("/", "Is a directory")])
def test_an_error_on_reading_stdin_is_an_error_and_not_the_end_of_it(cli, tmp_path, path, why):
    mark = tmp_path / "counted"
    fd = os.open(path, os.O_RDONLY)
    try:
        done = cli.run("-i", "n1", "sh", "-c", f"wc -c && echo done > {mark}", stdin=fd)
    finally:
        os.close(fd)
    assert done.code == 1 and f"standard input: {why}" in done.errors, done
    assert (done.status["outcome"], done.status["reason"]) == ("stopped", "input_not_read"), done
    assert done.out == b"" and not mark.exists(), "the job took a part for the whole"


def test_an_attached_reader_s_broken_stdin_does_not_end_the_job(cli):
    with Running(cli, "-i", "n1", "sh", "-c", SPEAKS, stdin=subprocess.PIPE) as run:
        job = run.line()
        fd = os.open("/", os.O_RDONLY)
        done = cli.run("-i", job, verb="attach", stdin=fd)
        os.close(fd)
        assert done.code == 1 and "Is a directory" in done.errors, done
        lives_on(cli, job)
        run.finish()


# ---- the screen

def screen_of(cli, sequences, how, *flags):
    """What the terminal got behind the last byte of the job, and the end."""
    script = f"printf '{sequences}'; echo $REXEC_JOB; exec cat"
    with Terminal(cli, "run", "-t", *flags, "n1", "sh", "-c", script) as t:
        t.expect(r"(j-\w{12})\r\n")
        job = t.match[1].decode()
        how(t, job)
        ended = t.ended()
    cli("stop", "--grace", "0", job)
    assert ended.restored == "", ended.screen
    return ended


@pytest.fixture
def ways(cli):
    """How a job that did not ask for it is ended, or left, by name."""
    return {"leave": (lambda t, job: t.send("\r~."), []),
            "stop": (lambda t, job: cli("stop", job).ok(), []),
            "limit": (lambda t, job: None, ["--timeout", "1s"]),
            "kill": (lambda t, job: kill_job(job), [])}


def kill_job(job):
    for pid in processes.with_environment("REXEC_JOB", job):
        processes.kill(pid)


WAYS = ["leave", "stop", "limit", "kill"]


@pytest.mark.parametrize("way", WAYS)
def test_what_a_job_changed_of_the_screen_is_taken_back_however_it_is_left(cli, ways, way):
    how, flags = ways[way]
    ended = screen_of(cli, r"\033[?1049h\033[?25l\033[?1002h", how, *flags)
    assert "\x1b[?1002l\x1b[?25h\x1b[?1049l" in ended.screen, repr(ended.screen)


@pytest.mark.parametrize("way", WAYS)
def test_a_screen_that_a_job_did_not_change_is_not_touched(cli, ways, way):
    how, flags = ways[way]
    ended = screen_of(cli, r"\033[31mred\033[m\033[?1049h\033[?1049l", how, *flags)
    assert "\x1b" not in ended.screen, repr(ended.screen)


def test_a_full_screen_program_whose_link_is_lost_leaves_a_usable_terminal(cluster):
    proxy = cluster.proxy()
    cli = cluster.client_through(proxy)
    with Terminal(cli, "run", "-t", "--reconnect", "1s", "n1", "sh", "-c",
                  r"printf '\033[?1049h\033[?25l'; echo $REXEC_JOB; exec cat") as t:
        t.expect(r"(j-\w{12})\r\n")
        job = t.match[1].decode()
        proxy.refuse()
        ended = t.ended()
    back = ended.screen.find("\x1b[?25h\x1b[?1049l")
    assert 0 <= back < ended.screen.find(f"attach -t {job}"), repr(ended.screen)
    cluster.cli("stop", job).ok()


def test_what_a_command_does_to_the_screen_before_it_exits_stays(cli):
    with Terminal(cli, "run", "-t", "n1", "printf", r"\033[?25lhidden") as t:
        ended = t.ended()
    assert ended.screen.rstrip("\r\n").endswith("hidden"), repr(ended.screen)
