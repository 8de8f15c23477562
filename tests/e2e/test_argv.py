"""argv is a vector of bytes from the shell to execve: never joined, re-split or read by a shell."""
import os
import random
import sys

import pytest

SIX = ["a b", "$HOME", "x;id", "[p,q]", "nl\n", ""]
# Prints its arguments length-prefixed, so that nothing can be confused with a separator.
SHOW = ("import os,sys;a=[os.fsencode(x) for x in sys.argv[1:]];"
        "sys.stdout.buffer.write(b''.join(b'%d:%s' % (len(x),x) for x in a))")


def shown(words):
    return b"".join(b"%d:%s" % (len(word), word) for word in words)


def as_bytes(words):
    return [os.fsencode(word) for word in words]


def test_six_difficult_arguments_arrive_verbatim(cli):  # FAULTS C2
    done = cli.run("n1", "printf", "[%s]\n", *SIX).ok()
    assert done.text == "".join(f"[{word}]\n" for word in SIX)


@pytest.mark.parametrize("before", [["n1"], ["n1", "--"]], ids=["plain", "with --"])
def test_what_follows_the_target_belongs_to_the_command(cli, before):
    words = ["-i", "--timeout", "1s", "--", "-t", "--help", "-x"]
    done = cli.run(*before, sys.executable, "-c", SHOW, *words).ok()
    assert done.out == shown(as_bytes(words))


def test_the_first_word_may_look_like_a_flag_after_two_dashes(cli):
    done = cli.run("n1", "--", "--no-such-program")
    assert done.code == 127 and "--no-such-program" in done.errors, done


def test_random_byte_vectors_come_through_the_real_path(cli, quick):
    seed = int(os.environ.get("REXEC_SEED", random.randrange(1 << 32)))
    print(f"REXEC_SEED={seed}")
    source = random.Random(seed)
    for _ in range(20 if quick else 60):
        words = [bytes(source.choices(range(1, 256), k=source.choice([0, 1, 2, 7, 40, 900])))
                 for _ in range(source.randrange(1, 12))]
        done = cli.run("n2", sys.executable, "-c", SHOW, *words)
        assert done.code == 0 and done.out == shown(words), (seed, words, done)


def test_every_byte_but_nul_is_exact(cli):
    every = bytes(range(1, 256))
    assert cli.run("n1", "printf", "%s", every).ok().out == every


def test_a_large_vector_is_whole(cli):
    words = [b"%d" % i + b"x" * 90 for i in range(10_000)]
    assert cli.run("n1", sys.executable, "-c", SHOW, *words).ok().out == shown(words)


def test_more_than_the_kernel_takes_is_an_error_and_not_cut(cli, tmp_path):  # FAULTS C4
    script = tmp_path / "many"
    script.write_text("#!/bin/sh\nexec true \"$@\"\n")
    # One string over MAX_ARG_STRLEN (128 KiB): the local kernel refuses it too, so it travels in -e.
    env_file = tmp_path / "env"
    env_file.write_text("BIG=" + "x" * (200 << 10) + "\n")
    done = cli.run("--env-file", str(env_file), "n1", "true")
    assert done.code in (125, 126) and done.status["outcome"] == "not_started", done
    assert "too long" in done.errors.lower() or "too large" in done.errors.lower(), done


def test_an_empty_command_is_a_clear_error(cli):  # FAULTS C1
    done = cli.run("n1", "")
    assert done.code in (125, 126, 127) and done.status["outcome"] == "not_started", done
    done = cli.run("n1", "--")
    assert done.code == 125 and "command" in done.errors, done


def test_argv0_is_as_typed(cli):
    assert cli.run("n1", "sh", "-c", "echo $0").text == "sh\n"
    assert cli.run("n1", "/bin/sh", "-c", "echo $0").text == "/bin/sh\n"


def test_sh_is_the_explicit_way_to_a_shell(cli):
    done = cli.run("--sh", "echo $((6 * 7)); echo \"$1|$2\" >&2", "n1", "a b", "$c").ok()
    assert done.text == "42\n" and done.errors == "a b|$c\n", done


def test_a_script_runs_with_its_arguments_and_leaves_no_file(cli, tmp_path):
    script = tmp_path / "greet me.sh"
    script.write_text("#!/bin/sh\nprintf '%s\\n' \"$0\" \"$@\"\n")
    lines = cli.run("--script", str(script), "n1", "a b", "").ok().text.split("\n")
    assert lines[1:] == ["a b", "", ""], lines
    assert not os.path.exists(lines[0]), lines[0]
    python = tmp_path / "p.py"
    python.write_text("#!/usr/bin/env python3\nimport sys\nsys.exit(len(sys.argv))\n")
    assert cli.run("--script", str(python), "n1", "x", "y").code == 3
    plain = tmp_path / "plain"
    plain.write_text("exit 9\n")
    assert cli.run("--script", str(plain), "n1").code == 9
