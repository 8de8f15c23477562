"""stdin, stdout and stderr: byte for byte, in order, separate, with half-close and closed pipes."""
import hashlib
import os
import random
import subprocess
import threading

import pytest

from support import processes
from support.cli import BINARY, REPOSITORY
from support.running import Running

MIB = 1 << 20


def shell(cli, script, **options):
    """A local shell with rexec on its PATH, as a person uses it."""
    env = {**cli.env, "PATH": f"{BINARY.parent}:{os.environ['PATH']}"}
    return subprocess.run(["bash", "-c", script], env=env, capture_output=True, timeout=100,
                          **options)


def test_a_while_read_loop_visits_every_line(cli):
    done = shell(cli, "printf 'n1\\nn2\\nn3\\n' | while read h; do "
                      "rexec run $h -- sh -c 'echo $REXEC_NODE; cat'; done")
    assert (done.stdout, done.returncode) == (b"n1\nn2\nn3\n", 0), done


def test_without_i_stdin_is_empty(cli):
    done = cli.run("n1", "cat", input=b"not for the job").ok()
    assert done.out == b"" and done.status["bytes"] == {"out": 0, "err": 0}


def test_a_source_tree_survives_the_round_trip(cli, tmp_path):
    there, back = tmp_path / "there", tmp_path / "back"
    there.mkdir(), back.mkdir()
    local = f"tar c -C {REPOSITORY} src cli tests"
    done = shell(cli, f"set -o pipefail; {local} | rexec run -i n1 -- tar x -C {there} && "
                      f"rexec run n1 -- tar c -C {there} src cli tests | tar x -C {back}")
    assert done.returncode == 0, done
    for folder in ("src", "cli", "tests"):
        differ = subprocess.run(["diff", "-r", REPOSITORY / folder, back / folder],
                                capture_output=True, check=False)
        # Somebody may be editing; an engineer's own change to a file is not the stream's fault.
        assert differ.returncode == 0, differ.stdout[:2000]


@pytest.mark.limit(300)
def test_a_gibibyte_through_cat_comes_back_whole(cli, quick):
    size = 256 * MIB if quick else 1024 * MIB
    sent, got = hashlib.sha256(), hashlib.sha256()
    process = cli.popen("run", "-i", "--sha256", "n1", "--", "cat", stdin=subprocess.PIPE)

    def feed():
        block = bytearray(os.urandom(MIB))
        for number in range(size // MIB):
            block[:8] = number.to_bytes(8, "big")
            sent.update(block)
            process.stdin.write(block)
        process.stdin.close()

    feeder = threading.Thread(target=feed)
    feeder.start()
    count = 0
    while chunk := process.stdout.read1(MIB):
        got.update(chunk)
        count += len(chunk)
    feeder.join()
    errors = process.stderr.read()
    assert (process.wait(), count) == (0, size), errors
    assert got.hexdigest() == sent.hexdigest()


def test_stdout_and_stderr_stay_apart(cli):
    script = "i=0; while [ $i -lt 2000 ]; do echo out$i; echo err$i >&2; i=$((i+1)); done"
    done = cli.run("n1", "sh", "-c", script).ok()
    assert done.out == b"".join(b"out%d\n" % i for i in range(2000))
    assert done.err == b"".join(b"err%d\n" % i for i in range(2000))
    assert done.status["bytes"] == {"out": len(done.out), "err": len(done.err)}


def test_the_status_has_both_digests_when_asked(cli):
    done = cli.run("--sha256", "n1", "sh", "-c", "printf hello; printf world >&2").ok()
    assert done.status["sha256"] == {"out": hashlib.sha256(b"hello").hexdigest(),
                                     "err": hashlib.sha256(b"world").hexdigest()}
    assert len(done.status["xxh128"]["out"]) == 32


def test_order_is_kept_within_a_stream(cli):  # FAULTS J21
    done = cli.run("n1", "seq", "1", "200000").ok()
    assert done.out == b"".join(b"%d\n" % i for i in range(1, 200_001))


def test_lines_arrive_as_they_are_written(cli):
    with Running(cli, "-i", "n1", "cat", stdin=subprocess.PIPE) as run:
        for number in range(50):
            run.type(b"line %d\n" % number)
            assert run.line() == f"line {number}"
        run.close_stdin()
        assert run.finish().code == 0


def test_more_than_a_window_of_stdin_reaches_a_job_that_says_nothing_meanwhile(cli, tmp_path):
    data = random.randbytes(5_000_000)
    digest = hashlib.sha256(data).hexdigest()
    done = cli.run("-i", "n1", "sha256sum", input=data)
    assert (done.code, done.text.split()[0]) == (0, digest), done
    (tmp_path / "data").write_bytes(data)
    with open(tmp_path / "data", "rb") as file:
        done = cli.run("-i", "n1", "sha256sum", stdin=file)
    assert (done.code, done.text.split()[0]) == (0, digest), done


def test_a_job_that_ends_early_does_not_keep_stdin_from_the_others(make_cluster):
    cluster = make_cluster(nodes=2)
    data = random.randbytes(5_000_000)
    script = "if test $REXEC_NODE = n1; then head -c 1; else wc -c; fi"
    done = cluster.cli.run("-i", "n1,n2", "sh", "-c", script, input=data)
    assert done.code == 0 and b"n2: 5000000\n" in done.out, done


def test_closing_stdin_lets_the_job_answer(cli):
    with Running(cli, "-i", "n1", "sh", "-c", "cat >/dev/null; echo the end came; exit 4",
                 stdin=subprocess.PIPE) as run:
        run.type(b"some bytes")
        run.close_stdin()
        assert run.line() == "the end came"
        assert run.finish().code == 4


def test_a_job_that_closes_stdin_early_ends_as_it_would_locally(cli):
    done = cli.run("-i", "n1", "head", "-c", "5", input=b"x" * (8 * MIB))
    assert (done.code, done.out) == (0, b"xxxxx"), done


def test_yes_head_ends(cli):  # FAULTS C5
    done = shell(cli, "rexec run n1 -- yes rexec-yes-mark | head -n 3; echo ${PIPESTATUS[0]}")
    lines = done.stdout.split()
    assert lines[:3] == [b"rexec-yes-mark"] * 3, done
    assert lines[3] in (b"0", b"141"), "quiet, as a local pipeline: " + repr(done)
    assert done.stderr == b"", done
    processes.wait_until(lambda: not processes.with_argument("rexec-yes-mark"),
                         "yes died of its closed stdout")


def test_a_hundred_megabytes_without_a_newline_are_streamed(cli):  # FAULTS J4
    size = 100 * MIB
    with Running(cli, "n1", "sh", "-c", f"head -c {size} /dev/zero; exit 7", keep=False) as run:
        done = run.finish(90)
        assert (run.out.count, done.code) == (size, 7)
        assert done.status["bytes"]["out"] == size


def test_a_job_that_closes_stdout_and_lives_is_still_followed(cli):  # FAULTS J3
    done = cli.run("-i", "n1", "sh", "-c", "exec >&- 2>&-; cat >/dev/null; exit 5", input=b"")
    assert done.code == 5 and done.status["complete"], done


def test_binary_bytes_are_untouched_both_ways(cli):
    data = bytes(range(256)) * 1000 + b"\r\n\0\x1b~.\n~.\n"
    assert cli.run("-i", "n1", "cat", input=data).ok().out == data


def test_many_runs_at_once_do_not_mix(cli):
    def one(number, results):
        node = f"n{number % 3 + 1}"
        mark = f"m{number}-" * 1000
        results[number] = cli.run("-i", node, "cat", input=mark.encode()).out == mark.encode()

    results = {}
    threads = [threading.Thread(target=one, args=(i, results)) for i in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: True for i in range(24)}
