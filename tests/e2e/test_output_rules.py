"""What a job may do with its output: be silent for so long, keep so much, be slower than its reader."""
import pytest

from support import processes
from support.running import Running

MIB = 1 << 20


def test_a_silent_job_is_ended_as_a_timeout_with_reason_idle(cli):
    done = cli.run("--idle-timeout", "400ms", "n1", "--", "sleep", "60")
    assert done.code == 124
    assert (done.status["outcome"], done.status["reason"]) == ("timeout", "idle")


def test_output_and_stdin_keep_a_job_from_being_idle(cli):
    script = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.2; done"
    assert cli.run("--idle-timeout", "1s", "n1", "--", "sh", "-c", script).code == 0
    with Running(cli, "-i", "--idle-timeout", "2s", "n1", "--", "sh", "-c",
                 "echo ready; while read x; do [ $x = end ] && exit 0; done", stdin=-1) as run:
        run.line()
        job_is_alive = run.process.poll() is None
        run.type(b"x\n" * 10)
        assert job_is_alive
        run.type(b"end\n")
        assert run.finish().code == 0


def test_without_a_reader_the_quota_is_kept_and_the_loss_is_counted(cli):
    # FAULTS J2: a quota's policy is applied visibly.
    job = cli.submit("--output-quota", "1M", "n1", "--", "sh", "-c", "head -c 8388608 /dev/zero")
    done = cli("wait", job)
    record = cli.job(job)["record"]
    assert record["outcome"] == "exited" and not record["complete"]
    assert record["bytes"]["out"] == 8 * MIB
    kept = record["bytes"]["out"] - record["dropped"]["out"]
    assert 0 < kept <= MIB
    logs = cli("logs", job)
    assert len(logs.out) == kept
    assert f"bytes 0 to {8 * MIB - kept} of stdout are gone" in logs.errors
    assert done.code == 0 and "were dropped" in done.errors


def written(path):
    return path.stat().st_size if path.exists() else 0


# Writes half a mebibyte at a time and says on the side how far it is.
WRITER = 'for i in $(seq 64); do head -c 524288 /dev/zero; printf x >>"$1"; done; echo >>"$1"'


@pytest.mark.parametrize("policy", ["spill", "block", "drop"])
def test_a_reader_that_stands_still(cli, tmp_path, policy):
    # 32 MiB towards a reader that takes nothing; the quota is 4 MiB.
    path = tmp_path / "progress"
    with Running(cli, "--overflow", policy, "--output-quota", "4M", "n1", "--", "sh", "-c", WRITER,
                 "sh", str(path), keep=False) as run:
        run.out.wait_count(1)
        run.out.pause()
        if policy == "drop":
            processes.wait_until(lambda: written(path) == 65, "the job does not wait")
        run.out.resume()
        done = run.finish()
        count = run.out.count
    assert written(path) == 65
    if policy == "drop":
        assert done.code == 122 and not done.status["complete"]
        assert done.status["dropped"]["out"] > 0 and count < 32 * MIB
        assert "are gone" in done.errors
    else:
        assert done.code == 0 and count == 32 * MIB


# 3 MB on each stream that is named, as quickly as it goes, and a last word.
FLOOD = "(head -c 3000000 /dev/zero | tr '\\0' x >&2) & head -c 3000000 /dev/zero | tr '\\0' x; " \
        "wait; echo END"
ONE_FLOOD = "head -c 3000000 /dev/zero | tr '\\0' x; echo END"


@pytest.mark.parametrize("policy", ["spill", "block"])
@pytest.mark.parametrize("quota", ["1M", "2M", "2500K", "4M"])
@pytest.mark.parametrize("script, err_bytes", [(ONE_FLOOD, 0), (FLOOD, 3000000)],
                         ids=["stdout", "both streams"])
def test_a_quota_of_less_than_a_window_holds_nobody_for_ever(cli, policy, quota, script, err_bytes):
    done = cli.run("--overflow", policy, "--output-quota", quota, "n1", "--", "sh", "-c", script)
    assert (done.code, len(done.out), done.out[-4:]) == (0, 3000004, b"END\n")
    assert len(done.err) == err_bytes


def test_small_pieces_fill_a_quota_with_their_headers_and_hold_nobody_for_ever(cli):
    # A frame of 20 bytes takes 36 in the spool: a quota of 1 MiB keeps half a window of them.
    script = "for (1 .. 40000) { syswrite(STDOUT, 'x' x 20); select(undef, undef, undef, 0.00001) }"
    done = cli.run("--output-quota", "1M", "n1", "--", "perl", "-e", script)
    assert (done.code, len(done.out)) == (0, 800000)


def test_a_second_reader_of_a_small_quota_is_waited_for_too(cli):
    # Both get everything that comes once both are there, the slower one sets the pace.
    with Running(cli, "-i", "--output-quota", "1M", "n1", "--", "sh", "-c",
                 "echo $REXEC_JOB; read go; " + ONE_FLOOD, stdin=-1) as first:
        job = first.line()
        with Running(cli, job, verb="attach") as second:
            assert second.line() == job
            second.out.pause()
            first.type(b"go\n")
            first.out.wait_count(100000)
            assert first.process.poll() is None
            second.out.resume()
            late = second.finish()
        done = first.finish()
    for one in (done, late):
        assert (one.code, len(one.out), one.out[-4:]) == (0, 3000004, b"END\n"), one.errors


def submit_held(cli, script=ONE_FLOOD):
    job = cli.submit("--output-quota", "1M", "--overflow", "block", "n1", "--", "sh", "-c", script)
    processes.wait_until(lambda: "held" in cli.job(job), "it stands still at its quota")
    return job


def test_block_holds_a_job_that_nobody_reads_until_somebody_attaches(cli):  # FAULTS J2
    job = submit_held(cli)
    shown = cli.job(job)
    assert shown["state"] == "running" and f"rexec attach {job}" in shown["held"]
    listed = next(line for line in cli("ps").ok().text.splitlines() if job in line)
    assert " held " in listed
    # Logs look, and change nothing.
    assert 0 < len(cli("logs", job).ok().out) <= MIB
    with Running(cli, "-f", job, verb="logs") as logs:
        assert f"go on: rexec attach {job}" in logs.err.wait_for(b"attach " + job.encode()).decode()
        assert "held" in cli.job(job)
        done = cli.run(job, verb="attach")
        assert logs.finish().code == 0
    assert (done.code, len(done.out), done.out[-4:]) == (0, 3000004, b"END\n")
    ended = cli.job(job)
    assert "held" not in ended and ended["record"]["complete"]
    assert ended["record"]["dropped"] == {"out": 0, "err": 0}


def test_block_holds_a_job_again_when_its_reader_is_gone(cli):
    job = submit_held(cli, "head -c 30000000 /dev/zero")
    with Running(cli, job, verb="attach") as reader:
        reader.out.wait_count(1)
        reader.out.pause()
        processes.wait_until(lambda: "held" not in cli.job(job), "somebody is there")
        reader.process.kill()
    processes.wait_until(lambda: "held" in cli.job(job), "nobody is there")
    assert cli("stop", job).code == 0
    assert cli.job(job)["record"]["dropped"] == {"out": 0, "err": 0}


def test_a_held_job_is_shown_as_held_after_restarts(make_cluster):
    cluster = make_cluster(nodes=1)
    job = submit_held(cluster.cli)
    for daemon in (cluster.controller, cluster.nodes["n1"]):
        daemon.restart()
        processes.wait_until(lambda: "held" in cluster.cli.job(job), "it is reported again")
    assert len(cluster.cli.run(job, verb="attach").out) == 3000004


def test_values_that_cannot_be_are_refused(cli):
    for flags in (("--output-quota", "4k"), ("--output-quota", "x"), ("--overflow", "explode"),
                  ("--idle-timeout", "x")):
        done = cli("run", *flags, "n1", "--", "true")
        assert done.code == 125 and flags[0] in done.errors
