"""Detached jobs: submitted, looked at, followed from any byte, waited for, stopped; they outlive all."""
import os
import subprocess

import pytest

from support import processes
from support.running import Running


@pytest.fixture
def gate(tmp_path):
    """A FIFO that a job waits at until the test writes."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def test_submit_prints_the_id_alone(cli):
    for words in (["submit"], ["run", "-d"]):
        done = cli(*words, "n1", "sh", "-c", "echo hi; exit 4").ok()
        job = done.text.rstrip("\n")
        assert job.startswith("j-") and len(job) == 14 and done.text == job + "\n"
        assert cli("wait", job).code == 4
        assert cli("logs", job).text == "hi\n"


def test_ps_shows_what_runs_and_all_what_ended(cli, gate):
    job = cli.submit("n2", "cat", str(gate))
    listed = {row["job"]: row for row in cli("ps", "--json").ok().json()}
    assert listed[job]["node"] == "n2" and str(gate) in listed[job]["command"]
    assert job in cli("ps").text and job in cli("ps", "-o", "name").text.split()
    gate.write_text("x")
    assert cli("wait", job).code == 0
    assert job not in cli("ps").text
    assert job in cli("ps", "-a").text and job in cli("job", "ls", "-a").text


def test_job_show_tells_how_it_ended(cli):
    job = cli.submit("n1", "sh", "-c", "echo out; echo err >&2; exit 9")
    cli("wait", job)
    shown = cli.job(job)
    assert shown["node"] == "n1" and shown["record"]["code"] == 9
    assert shown["record"]["bytes"] == {"out": 4, "err": 4}
    assert "ticket" not in shown
    assert job in cli("job", "show", job).text


def test_a_prefix_of_an_id_is_enough(cli):
    job = cli.submit("n1", "sh", "-c", "exit 6")
    assert cli("wait", job[:10]).code == 6
    assert cli("job", "show", job[:10], "-o", "name").text == job + "\n"
    assert cli("job", "show", "j-").code in (2, 3)


def test_attach_follows_from_any_byte(cli, gate):
    job = cli.submit("n1", "sh", "-c", f"seq 1 1000; cat {gate}; exit 5")
    whole = b"".join(b"%d\n" % i for i in range(1, 1001))
    with Running(cli, "--from", "500", job, verb="attach") as late:
        with Running(cli, job, verb="attach") as full:
            full.out.wait_count(len(whole))
            gate.write_bytes(b"the end\n")
            first, second = full.finish(), late.finish()
    assert (first.code, first.out) == (5, whole + b"the end\n")
    assert (second.code, second.out) == (5, (whole + b"the end\n")[500:])
    again = cli.run("--from", "3890", job, verb="attach")
    assert (again.code, again.out) == (5, (whole + b"the end\n")[3890:]), "also when it has ended"


def test_attach_with_i_speaks_to_a_job_that_was_left(cli):
    with Running(cli, "-i", "--on-disconnect", "keep", "n1", "sh", "-c",
                 "echo $REXEC_JOB; cat; exit 2", stdin=subprocess.PIPE) as run:
        job = run.line()
        run.process.kill()
        run.process.wait()
    done = cli.run("-i", job, verb="attach", input=b"from the second client\n")
    assert (done.code, done.text) == (2, f"{job}\nfrom the second client\n"), done


def test_the_same_run_again_gives_its_stdin_once(cli):
    """A script's second try has the same input; what the job has of it already is not doubled."""
    argv = ("-i", "--idempotency-key", "stdin once", "--on-disconnect", "keep", "n1", "cat")
    with Running(cli, *argv, stdin=subprocess.PIPE) as run:
        run.type(b"first\n")
        assert run.line() == "first"
        run.process.kill()
        run.process.wait()
    done = cli.run(*argv, input=b"first\nsecond\n")
    assert (done.code, done.text) == (0, "first\nsecond\n"), done
    assert done.status["complete"]


def test_stdin_that_comes_after_its_end_is_dropped_and_the_reader_stays(cli, gate):
    with Running(cli, "-i", "n1", "sh", "-c", f"echo $REXEC_JOB; cat; cat {gate}; exit 3",
                 stdin=subprocess.PIPE) as run:
        job = run.line()
        run.type(b"all of it\n")
        run.close_stdin()
        assert run.line() == "all of it"
        with Running(cli, "-i", job, verb="attach", stdin=subprocess.PIPE) as late:
            late.type(b"and more\n")
            late.out.wait_for(b"all of it\n")
            gate.write_bytes(b"the end\n")
            assert late.finish().code == 3
        done = run.finish()
    assert (done.code, done.text) == (3, "the end\n") and "link" not in done.errors, done


def test_logs_prints_what_is_there_and_f_follows(cli, gate):
    job = cli.submit("n1", "sh", "-c", f"echo one; echo two >&2; cat {gate}; exit 3")
    with Running(cli, "-f", job, verb="logs") as follow:
        assert follow.line() == "one"
        follow.err.wait_for("two\n")
        now = cli("logs", job)
        assert (now.code, now.out, now.err) == (0, b"one\n", b"two\n"), now
        gate.write_text("three\n")
        done = follow.finish()
    assert (done.code, done.text) == (3, "three\n"), done


def test_wait_of_several_is_123_when_one_fails(cli):
    good, bad = cli.submit("n1", "true"), cli.submit("n2", "false")
    assert cli("wait", good).code == 0
    assert cli("wait", bad).code == 1
    assert cli("wait", good, bad).code == 123
    assert cli("wait", "j-000000000000").code == 125


def test_wait_asks_for_all_at_once_and_says_of_each_what_a_run_would(cluster, gate):
    cli = cluster.cli
    runs = cli.submit("n1", "cat", str(gate))
    failed = cli.submit("n1", "sh", "-c", "exit 7")
    refused = cli.submit("--after", failed, "n1", "true")
    with Running(cli, runs, "j-000000000000", failed, refused, verb="wait") as waiting:
        wanted = (b"j-000000000000", f"{failed}: exit 7".encode(), f"{refused}: ".encode())
        processes.wait_until(lambda: all(words in waiting.err.data for words in wanted),
                             "all that is known is said before the first has ended")
        gate.write_text("x")
        done = waiting.finish()
    assert done.code == 123 and runs not in done.errors, done
    alone = cli("wait", refused)
    assert alone.code == 125 and "explain dependency" in alone.errors, alone
    assert cli("wait", failed).errors == ""



def test_stop_ends_a_detached_job(cli):
    job = cli.submit("n1", "sh", "-c", "sleep 1000 & setsid sleep 1000 & wait")
    cli("stop", job).ok()
    assert cli.job(job)["record"]["outcome"] == "stopped"
    assert cli("wait", job).code == 143
    assert processes.with_environment("REXEC_JOB", job) == []
    cli("stop", job).ok()  # ended already: no error


def test_job_rm_forgets_ended_jobs_only(cli, gate):
    job = cli.submit("n1", "cat", str(gate))
    assert cli("job", "rm", job).code == 6
    gate.write_text("")
    cli("wait", job)
    cli("job", "rm", job).ok()
    assert cli("job", "show", job).code == 3


def test_an_idempotency_key_starts_once(cli, tmp_path):
    file = tmp_path / "starts"
    argv = ["submit", "--idempotency-key", f"key {tmp_path}", "n1", "sh", "-c", f"echo x >> {file}"]
    first, second = cli(*argv).ok().text, cli(*argv).ok().text
    assert first == second
    cli("wait", first.strip())
    assert cli(*argv).ok().text == first
    assert file.read_text() == "x\n"
    other = cli(*argv[:-1], "echo another command")
    assert other.code == 125 and "key" in other.errors, other


def test_the_key_of_a_removed_job_starts_no_second_one(make_cluster, tmp_path):
    cluster = make_cluster(nodes=2)
    cli, file = cluster.cli, tmp_path / "starts"

    def run(verb, target, key="IK9"):
        return cli(verb, "--idempotency-key", key, target, "--", "sh", "-c", f"echo once >> {file}")

    def refused(done, jobs):
        assert done.code == 125 and "was removed" in done.errors, done
        assert any(job in done.errors for job in jobs), done
        assert "use another --idempotency-key" in done.errors, done

    run("run", "n1").ok()
    [job] = [job["job"] for job in cli("ps", "-a", "--json").ok().json()]
    cli("job", "rm", job).ok()
    for verb in ("run", "submit"):
        refused(run(verb, "n1"), [job])
    several = run("submit", "n1,n2", "several").ok().text.split()
    several = [word for word in several if word.startswith("j-")]
    cli("wait", *several).ok()
    cli("job", "rm", several[0]).ok()
    refused(run("run", "n1,n2", "several"), several)
    file_of_backup = cluster.root / "backup"
    data = str(cluster.controller.data)
    cli("controller", "backup", "--data", data, str(file_of_backup)).ok()
    cluster.controller.stop()
    cli("controller", "restore", "--data", data, str(file_of_backup)).ok()
    cluster.controller.start()
    cluster.wait_online("n1")
    refused(run("run", "n1"), [job])
    assert file.read_text() == "once\n" * 3
    run("run", "n1", "another").ok()


def test_an_idempotency_key_is_not_used_on_another_node(cli, tmp_path):
    def start(key, target):
        return cli("submit", "--idempotency-key", f"{key} {tmp_path}", target, "true")

    first = start("one", "n1").ok().text.strip()
    elsewhere = start("one", "n2")
    assert elsewhere.code == 125 and first in elsewhere.errors, elsewhere
    assert "n1" in elsewhere.errors and "--idempotency-key" in elsewhere.errors, elsewhere
    assert start("another", "n2").ok().text.strip() != first
    several = start("several", "n1,n2").ok().text
    assert start("several", "n2,n1").ok().text == several  # the same nodes: the same jobs
    assert start("several", "n1").code == 125


def test_a_detached_job_survives_everything(make_cluster, tmp_path):
    cluster = make_cluster(nodes=1)
    cli, node = cluster.cli, cluster.nodes["n1"]
    path = tmp_path / "gate"
    os.mkfifo(path)
    job = cli.submit("n1", "sh", "-c", f"echo begin; cat {path}; echo done; exit 21")
    # Else nobody may ever read the pipe that is written to below.
    processes.wait_until(lambda: cli.job(job)["state"] == "running", "it runs")
    cluster.controller.kill()
    os.kill(node.net_pid(), 9)
    node.kill()
    path.write_text("while nobody watched\n")
    cluster.controller.start()
    node.start()
    assert cli("wait", job).code == 21
    assert cli("logs", job).text == "begin\nwhile nobody watched\ndone\n"
    assert cli.job(job)["attempt"] == 1


def test_an_acknowledged_job_is_there_after_kill_9(make_cluster):  # FAULTS K2, I1
    cluster = make_cluster(nodes=1)
    jobs = []
    for _ in range(5):
        jobs.append(cluster.cli.submit("n1", "sh", "-c", "exit 3"))
        cluster.controller.restart()
        cluster.wait_online("n1")
    for job in jobs:
        assert cluster.cli("wait", job).code == 3
        assert cluster.cli.job(job)["record"]["outcome"] == "exited"


def test_a_job_for_a_node_that_comes_back_is_not_started_twice(make_cluster, tmp_path):  # FAULTS K4
    cluster = make_cluster(nodes=1)
    cli, node = cluster.cli, cluster.nodes["n1"]
    file = tmp_path / "starts"
    jobs = []
    for _ in range(6):
        jobs.append(cli.submit("n1", "sh", "-c", f"echo x >> {file}"))
        node.restart()
        cluster.wait_online("n1")
    codes = [cli("wait", job).code for job in jobs]
    assert codes == [0] * 6
    assert file.read_text() == "x\n" * 6


def test_the_list_of_an_unknown_node_is_not_found(cluster):
    for verb in (("ps",), ("ps", "-a"), ("job", "ls")):
        assert cluster.cli(*verb, "--node", "n1").ok().text == ""
        done = cluster.cli(*verb, "--node", "n11")
        assert (done.code, done.out) == (3, b""), done
        assert "did you mean: n1?" in done.errors and "rexec node ls" in done.errors, done
        assert cluster.cli(*verb, "--node", "zz,n1").code == 3
    job = cluster.cli.submit("n1", "true")
    cluster.cli("wait", job).ok()
    cluster.cli("node", "rm", "-y", "n1").ok()
    assert cluster.cli("ps", "-a", "--node", "n1", "-o", "name").ok().text == job + "\n"
    assert cluster.cli("ps", "--node", "n1").ok().text == ""


def test_somebody_elses_job_is_as_if_it_did_not_exist(make_cluster):  # FAULTS A21
    cluster = make_cluster(nodes=1)
    job = cluster.cli.submit("n1", "echo", "private")
    cluster.cli("wait", job)
    ann = cluster.new_user("ann")
    for verb in (["job", "show"], ["logs"], ["wait"], ["stop"], ["attach"]):
        mine, nothing = ann(*verb, job), ann(*verb, "j-zzzzzzzzzzzz")
        assert mine.code == nothing.code != 0, (mine, nothing)
        assert mine.errors.replace(job, "J") == nothing.errors.replace("j-zzzzzzzzzzzz", "J")
    assert ann("ps", "-a", "--json").json() == []
