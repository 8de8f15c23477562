"""What a node keeps of ended jobs' output, for how long, and what is said of what is gone."""
import pytest

from support import processes
from support.kept import LOG, MIB, ended_log, job_of, keep, pull, refusal_of, spools, used
from support.running import Running


def test_pulls_leave_no_output_on_the_node_and_a_small_log_stays(cluster, quick):
    node, cli = keep(cluster, keep_read_output="0s"), cluster.cli
    log = ended_log(cli)
    before = used(node)
    for _ in range(5 if quick else 30):
        pull(cli, 16)
    # Records and notes of the pulls alone, and the directory's own growth.
    processes.wait_until(lambda: used(node) < before + MIB, "the pulls' output is given up")
    assert cli("logs", log).ok().text == LOG


def test_logs_and_attach_of_read_output_say_when_it_was_given_up_and_why(cluster):
    node, cli = keep(cluster, keep_read_output="0s"), cluster.cli
    pull(cli, 1)
    job = job_of(cli, "head")
    processes.wait_until(lambda: not spools(node, job), "it is given up")
    for restart in (False, True):
        if restart:
            node.restart()
            cluster.wait_online("n1")
        for verb, flags in (("logs", ()), ("logs", ("-f",)), ("attach", ())):
            done = refusal_of(cli, verb, job, *flags)
            assert 'node "n1" gave it up at 20' in done.errors, done
            assert "after rexec run had received all of it" in done.errors
            assert "keep_read_output" in done.errors
    status = cli.run(job, verb="attach").status
    assert (status["unreachable"], status["given_up"]["why"]) == ("given_up", "read"), status
    assert status["bytes"]["out"] == MIB and not status["complete"]
    # What the reader has already is not missed.
    assert cli("logs", "--from", f"out={MIB}", job).code == 0
    assert cli("wait", job).code == 0


def test_small_output_of_a_run_is_there_afterwards(cluster):
    node, cli = keep(cluster, keep_read_output="0s"), cluster.cli
    cli("run", "n1", "--", "seq", "1", "5000").ok()  # 24 KiB
    pull(cli, 1)
    small, large = job_of(cli, "seq"), job_of(cli, "head")
    processes.wait_until(lambda: not spools(node, large), "the large one is given up")
    assert len(cli("logs", small).ok().text.splitlines()) == 5000


@pytest.mark.parametrize("how", ["detached", "keyed", "killed", "closed", "attach"])
def test_what_somebody_may_want_again_is_kept(cluster, how):
    node, cli = keep(cluster, keep_read_output="0s"), cluster.cli
    words = ["n1", "--", "head", "-c", str(3 * MIB), "/dev/zero"]
    if how == "detached":
        job = cli.submit(*words)
        assert len(cli.run(job, verb="attach").out) == 3 * MIB
    elif how == "keyed":
        assert len(cli("run", "--idempotency-key", "k", *words).ok().out) == 3 * MIB
        assert len(cli("run", "--idempotency-key", "k", *words).ok().out) == 3 * MIB
        job = job_of(cli, "head")
    elif how == "killed":
        with Running(cli, "--on-disconnect", "keep", *words) as run:
            run.out.pause()
            run.out.wait_count(1)
            run.process.kill()
        job = job_of(cli, "head")
        cli("wait", job).ok()
    elif how == "closed":
        run = cli.popen("run", *words)
        assert run.stdout.read(10) == bytes(10)
        run.stdout.close()
        run.stderr.close()
        run.wait()
        job = job_of(cli, "head")
        cli("wait", job)
    else:
        with Running(cli, "-i", "--on-disconnect", "keep", "n1", "--", "sh", "-c",
                     "read go; head -c 3145728 /dev/zero", stdin=-1) as run:
            job = processes.wait_until(lambda: job_of(cli, "sh"), "it is listed")
            run.process.kill()
        with Running(cli, "-i", job, verb="attach", stdin=-1) as reader:
            reader.type(b"go\n")
            reader.finish()
    pull(cli, 1)  # later, and that one goes
    later = cli("ps", "-a", "--json").ok().json()[0]["job"]
    processes.wait_until(lambda: not spools(node, later), "a pull's output is given up")
    assert spools(node, job)


def test_the_limit_acts_when_it_is_passed_and_takes_large_output_before_small(cluster):
    node, cli = keep(cluster, keep_bytes="40M"), cluster.cli
    log = ended_log(cli)
    large = [cli.submit("n1", "--", "head", "-c", str(30 * MIB), "/dev/zero") for _ in range(2)]
    for job in large:
        cli("wait", job).ok()
    # The files of one job go one after another.
    gone = processes.wait_until(lambda: [job for job in large if not spools(node, job)], "one job's output goes")
    processes.wait_until(lambda: used(node) < 40 * MIB, "what is too much goes")
    for job in gone:
        done = refusal_of(cli, "logs", job)
        assert "for want of room" in done.errors and "keep_bytes" in done.errors, done
        assert 'gave it up at 20' in done.errors
    assert cli("logs", log).ok().text == LOG


def test_why_output_went_is_said_as_long_as_large_output_makes_the_room(cluster):
    node, cli = keep(cluster, keep_bytes="40M", keep_read_output="0s"), cluster.cli
    pull(cli, 1)
    pulled = job_of(cli, "head")
    processes.wait_until(lambda: not spools(node, pulled), "it is given up")
    large = []
    for _ in range(4):
        large.append(cli.submit("n1", "--", "head", "-c", str(30 * MIB), "/dev/zero"))
        cli("wait", large[-1]).ok()
        processes.wait_until(lambda: used(node) < 40 * MIB, "what is too much goes")
    assert "had received all of it" in refusal_of(cli, "logs", pulled).errors
    for job in large[:3]:
        assert "for want of room" in refusal_of(cli, "logs", job).errors


def test_what_was_read_goes_before_what_was_not(cluster):
    node, cli = keep(cluster, keep_bytes="40M", keep_read_output="1h"), cluster.cli
    unread = cli.submit("n1", "--", "head", "-c", str(20 * MIB), "/dev/zero")
    cli("wait", unread).ok()
    pull(cli, 30)
    processes.wait_until(lambda: used(node) < 40 * MIB, "what is too much goes")
    assert len(cli("logs", unread).ok().out) == 20 * MIB


def test_output_that_is_missing_without_a_note_holds_no_reader(cluster):
    node, cli = cluster.nodes["n1"], cluster.cli
    job = cli.submit("n1", "--", "head", "-c", "3000", "/dev/zero")
    cli("wait", job).ok()
    for segment in spools(node, job):
        segment.unlink()
    done = cli.run(job, verb="attach")
    assert "bytes 0 to 3000 of stdout are gone" in done.errors, done


@pytest.mark.parametrize("line", ['keep_read_output = "soon"', "keep_read_output = 5",
                                  'keep_bytes = "much"', "keep_bytes = 0", "keep_bytes = 1.5",
                                  'keep_bytes = "10"', 'keep_bytes = "1023K"'])
def test_a_setting_that_cannot_be_is_refused_with_its_place(cluster, line):
    node = cluster.nodes["n1"]
    node.stop()
    node.config_file.write_text(node.config_file.read_text() + line + "\n")
    done = cluster.cli("agent", "run", "--data", str(node.data))
    key, value = line.split(" = ")
    assert done.code != 0 and key in done.errors and value.strip('"') in done.errors, done


# Syntax; a string, a list, a duration and a size of another type.
WRONG = {"agent": ["x = [", "run_as = 5", 'allow_users = "ann"', "allow_users = [5]",
                   "privileges = true", "keep_read_output = 30", "keep_bytes = ['1M']"],
         "controller": ["x = [", "cluster = 5", 'addresses = "h:1"', "keep_jobs = 30",
                        "keep_bytes = true", 'keep_bytes = "10"']}


@pytest.mark.parametrize("daemon,line", [(d, line) for d in WRONG for line in WRONG[d]])
def test_what_is_wrong_in_a_configuration_has_its_line_and_a_next_step(cli, tmp_path, daemon, line):
    config = tmp_path / f"{daemon}.toml"
    config.write_text(f"# one line before it\n{line}\n")
    done = cli(daemon, "run", "--data", str(tmp_path))
    assert done.code == 2 and f"{config}:2" in done.errors, done
    assert 'next=""' not in done.errors and "write" in done.errors, done
