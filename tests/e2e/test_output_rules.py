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
    assert done.code == 122


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


def test_values_that_cannot_be_are_refused(cli):
    for flags in (("--output-quota", "4k"), ("--output-quota", "x"), ("--overflow", "explode"),
                  ("--idle-timeout", "x")):
        done = cli("run", *flags, "n1", "--", "true")
        assert done.code == 125 and flags[0] in done.errors
