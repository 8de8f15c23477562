"""Tokens, joining, signing in, contexts, revocation: who may come in, once, and who is put out."""
import signal
import stat
import time

import pytest

from support import processes
from support.cli import Cli
from support.daemons import Node
from support.proxy import CUT
from support.running import Running


def join(cluster, name, token, *options, directory=None):
    data = cluster.root / (directory or name)
    return cluster.cli("join", token, "--data", str(data), "--no-start", *options)


def state_of_token(cluster, token_id):
    return next(t["state"] for t in cluster.cli("token", "ls", "--json").json() if t["id"] == token_id)


def new_token(cluster, *options):
    return cluster.cli("token", "new", *options, "--json").ok().json()


# ---- tokens

def test_a_token_lets_one_node_in(make_cluster):
    cluster = make_cluster(nodes=0)
    made = new_token(cluster, "--node", "n1")
    join(cluster, "n1", made["token"]).ok()
    assert state_of_token(cluster, made["id"]) == "used"
    assert set(cluster.node_states()) == {"n1"}


def test_a_second_key_is_refused_and_logged_with_both_addresses(make_cluster):  # FAULTS A1
    cluster = make_cluster(nodes=0)
    token = cluster.token("--node", "n1")
    join(cluster, "n1", token).ok()
    done = join(cluster, "n1", token, directory="thief")
    assert done.code == 4 and "used already" in done.errors, done
    assert not (cluster.root / "thief" / "agent.toml").exists()
    log = cluster.controller.logged()
    assert "used already, from 127.0.0.1 and now from 127.0.0.1" in log, log


def test_joining_again_with_the_same_key_is_no_error(make_cluster):  # FAULTS A2
    cluster = make_cluster(nodes=0)
    token = cluster.token("--node", "n1")
    join(cluster, "n1", token).ok()
    again = join(cluster, "n1", token)
    assert again.code == 0 and len(cluster.node_states()) == 1, again


@pytest.mark.parametrize("options", [["--node", "n1", "--ttl", "1s"], ["--user", "u", "--ttl", "1s"]])
def test_an_expired_token_is_refused(make_cluster, options):  # FAULTS A4
    cluster = make_cluster(nodes=0)
    made = new_token(cluster, *options)
    processes.wait_until(lambda: state_of_token(cluster, made["id"]) == "expired", "it expires")
    if options[0] == "--node":
        done = join(cluster, "n1", made["token"])
    else:
        done = Cli(cluster.root / "u")("login", made["token"])
    assert done.code == 4 and "expired" in done.errors, done
    assert cluster.node_states() == {}


def test_a_revoked_token_is_refused(make_cluster):
    cluster = make_cluster(nodes=0)
    made = new_token(cluster, "--node", "n1")
    cluster.cli("token", "revoke", made["id"]).ok()
    done = join(cluster, "n1", made["token"])
    assert done.code == 4 and "revoked" in done.errors, done


def test_name_and_labels_outside_the_tokens_scope_are_refused(make_cluster):  # FAULTS A5
    cluster = make_cluster(nodes=0)
    made = new_token(cluster, "--node", "n1", "--label", "role=web")
    other = join(cluster, "n1", made["token"], "--name", "n2")
    assert other.code == 4 and "n1" in other.errors, other
    label = join(cluster, "n1", made["token"], "--label", "role=db")
    assert label.code == 4 and "label" in label.errors, label
    assert state_of_token(cluster, made["id"]) == "open"
    join(cluster, "n1", made["token"], "--label", "role=web").ok()
    assert cluster.node_states()["n1"]["labels"] == {"role": "web"}


def test_a_token_without_a_name_lets_the_node_choose(make_cluster):
    cluster = make_cluster(nodes=0)
    token = cluster.token()
    join(cluster, "x", token, "--name", "chosen").ok()
    assert set(cluster.node_states()) == {"chosen"}


@pytest.mark.parametrize("name", ["-x", "--help", "@all", "a,b", "a b", "", "n[1]", "../x", "a\nb",
                                  "x" * 300, "a!b", "k=v"])
def test_names_that_would_be_flags_or_targets_are_refused(make_cluster, name):  # FAULTS C3
    cluster = make_cluster(nodes=0)
    assert cluster.cli("token", "new", f"--node={name}").code == (0 if name == "" else 2)
    done = join(cluster, "x", cluster.token(), f"--name={name}")
    if name == "":
        assert done.code == 2, done
    assert done.code != 0 and cluster.node_states() == {}, done


def test_a_foreign_controller_is_found_out_before_anything_is_sent(make_cluster):  # FAULTS A6
    """The token's pin names one CA; at its address answers another controller."""
    first, second = make_cluster(nodes=0), make_cluster(nodes=0)
    proxy = second.proxy()
    made = first.cli("controller", "init", "--data", str(first.root / "c2"), "--listen",
                     "127.0.0.1:0", "--advertise", proxy.address, "--context", "c2", "--json")
    done = join(first, "n1", made.ok().json()["node_token"])
    assert done.code == 4 and "not the one" in done.errors, done
    assert second.node_states() == {}
    assert "enrol" not in second.controller.logged()


def test_one_changed_character_is_noticed_before_dialling(make_cluster):  # FAULTS A7
    cluster = make_cluster(nodes=0)
    token = cluster.token("--node", "n1")
    cluster.controller.stop()
    for at in range(5, len(token), 9):
        changed = token[:at] + ("0" if token[at] != "0" else "1") + token[at + 1:]
        done = join(cluster, "n1", changed)
        # Not "unreachable": the controller is down and was not asked.
        assert done.code == 2 and changed not in done.errors, done


def test_a_node_token_is_not_a_login_and_the_reverse(make_cluster):
    cluster = make_cluster(nodes=0)
    assert Cli(cluster.root / "u")("login", cluster.token("--node", "n1")).code == 2
    assert join(cluster, "n1", cluster.token("--user", "ann")).code == 2


def test_a_token_comes_from_stdin_or_a_file_and_need_not_be_an_argument(make_cluster):  # FAULTS C14
    cluster = make_cluster(nodes=0)
    done = cluster.cli("join", "-", "--data", str(cluster.root / "a"), "--no-start",
                       input=cluster.token("--node", "a").encode())
    assert done.code == 0, done
    file = cluster.root / "token"
    file.write_text(cluster.token("--node", "b") + "\n")
    file.chmod(0o600)
    env = {**cluster.cli.env, "REXEC_TOKEN_FILE": str(file)}
    done = cluster.cli("join", "--data", str(cluster.root / "b"), "--no-start", env=env)
    assert done.code == 0, done


@pytest.mark.limit(240)
def test_kill_9_between_commit_and_reply_loses_nothing(make_cluster):  # FAULTS A8, A9
    """The reply is cut at many offsets and the controller killed there; the same key always gets in."""
    cluster = make_cluster(nodes=0)
    proxy = cluster.proxy()
    made = cluster.cli("token", "ls", "--json")
    assert made.code == 0
    outcomes = set()
    for number, offset in enumerate(range(0, 3600, 300)):
        name = f"n{number}"
        token = cluster.token("--node", name)
        proxy.at(proxy.down + offset, lambda: cluster.controller.restart() and CUT)
        through = retarget(cluster, token, proxy)
        first = join(cluster, name, through)
        if proxy.pending:  # the whole conversation was shorter than the offset
            break
        proxy.wait_idle()
        outcomes.add(first.code)
        again = join(cluster, name, through)
        assert again.code == 0, (offset, first, again)
        thief = join(cluster, name, token, directory=f"thief{number}")
        assert thief.code == 4, (offset, thief)
    assert len(outcomes) >= 1 and set(cluster.node_states()) >= {"n0", "n1"}
    assert proxy.trouble is None, proxy.trouble


def retarget(cluster, token, proxy):
    """The token as it would be had the controller advertised the proxy's address."""
    from support.token import with_addresses
    return with_addresses(token, [proxy.address])


def test_a_name_that_is_taken_is_refused_unless_the_token_replaces(make_cluster):  # FAULTS A11
    cluster = make_cluster(nodes=1)
    old = cluster.nodes["n1"]
    done = join(cluster, "n1", cluster.token("--node", "n1"), directory="second")
    assert done.code == 6 and "already" in done.errors, done
    token = cluster.token("--node", "n1", "--replace")
    join(cluster, "n1", token, directory="third").ok()
    new = Node("n1", cluster.root / "third", cluster.cli.env, cluster.logs / "third.log")
    cluster.nodes["third"] = new
    new.start()
    assert cluster.cli.run("n1", "sh", "-c", "echo here").text == "here\n"
    processes.wait_until(lambda: not old.running, "the old identity is put out")
    assert "removed" in old.logged()


# ---- people

def test_the_same_token_twice_on_one_machine_gives_the_same_certificate(cluster):
    ann, token = Cli(cluster.root / "ann"), cluster.token("--user", "ann")
    ann("login", token).ok()
    first = (ann.context_dir() / "cert.der").read_bytes()
    ann("login", token).ok()
    assert (ann.context_dir() / "cert.der").read_bytes() == first
    assert ann("whoami", "--json").ok().json()["user"] == "ann"
    assert list((ann.data_home / "rexec" / "login").iterdir()) == []
    cluster.cli("user", "revoke", "ann").ok()
    assert ann("login", token).code == 4


def test_a_token_that_somebody_else_used_leaves_no_key_behind(cluster):
    token = cluster.token("--user", "ann")
    Cli(cluster.root / "ann")("login", token).ok()
    other = Cli(cluster.root / "other")
    done = other("login", token)
    assert done.code == 4 and "used already" in done.errors, done
    assert list((other.data_home / "rexec" / "login").iterdir()) == []


def test_login_makes_a_context_with_private_keys(cluster):
    ann = cluster.new_user("ann")
    who = ann("whoami", "--json").ok().json()
    assert (who["user"], who["role"]) == ("ann", "user")
    directory = ann.context_dir()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for name in ("key.der", "cert.der", "ca.der"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
    assert ann.run("n1", "true").code == 0


def test_a_node_with_jobs_is_not_removed_by_accident(make_cluster):
    cluster = make_cluster(nodes=2)
    cli = cluster.cli
    job = cli.submit("n1", "sleep", "1000")
    processes.wait_until(lambda: cluster.job_processes(job), "the job runs")
    refused = cli("node", "rm", "-y", "n1")
    assert refused.code == 6 and job in refused.errors and "--force" in refused.errors, refused
    watching = cli.popen("run", "n1", "perl", "-e", "$|=1; print qq(up\n); sleep 1000")
    assert watching.stdout.readline() == b"up\n"
    done = cli("node", "rm", "-y", "--force", "n1", "n2")
    assert done.code == 0, done
    # Nobody waits for what can never come.
    _, errors = watching.communicate(timeout=20)
    assert watching.returncode == 121, errors
    assert cli("wait", job, timeout=20).code == 121
    shown = cli("job", "show", job, "--json").ok().json()
    assert (shown["state"], shown["record"]["reason"]) == ("lost", "node_removed"), shown
    for verb, code in (("attach", 121), ("logs", 122)):
        done = cli(verb, job, timeout=20)
        assert done.code == code and "is not reachable" in done.errors, done
    for pid in cluster.job_processes(job):
        processes.kill(pid)


@pytest.mark.parametrize("persist", ["on", "off"])
def test_a_login_into_a_context_ends_what_it_was_before(cluster, persist):
    """Neither a session's ticket nor a kept connection may act as the former user."""
    ann = cluster.new_user("ann", "--role", "admin")
    ann("context", "persist", persist).ok()
    for _ in range(3):
        assert ann("whoami", "--json").ok().json()["user"] == "ann"
    ann("login", cluster.token("--user", "bob")).ok()
    for _ in range(3):
        who = ann("whoami", "--json").ok().json()
        assert (who["user"], who["role"]) == ("bob", "user")
        assert ann("token", "new", "--user", "eve").code == 4
    cluster.cli("user", "revoke", "bob", "-y").ok()
    assert ann("whoami").code == 4
    ann("login", cluster.token("--user", "carl")).ok()
    for _ in range(3):
        assert ann("whoami", "--json").ok().json()["user"] == "carl"
        assert ann.run("n1", "true").code == 0
    ann("context", "persist", "off").ok()


def test_a_user_may_not_administer(cluster):
    ann = cluster.new_user("ann")
    for argv in (["token", "new", "--user", "eve"], ["token", "ls"], ["user", "revoke", "admin", "-y"],
                 ["node", "rm", "n1", "-y"]):
        assert ann(*argv).code == 4, ann(*argv)
    root = cluster.new_user("root2", "--role", "admin")
    assert root("token", "ls").code == 0


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_that_others_can_read_is_refused(make_cluster, mode):  # FAULTS C9
    cluster = make_cluster(nodes=0)
    key = cluster.cli.context_dir() / "key.der"
    key.chmod(mode)
    done = cluster.cli("whoami")
    assert done.code == 4 and "chmod 600" in done.errors, done
    key.chmod(0o600)
    cluster.cli("whoami").ok()


def test_an_agents_key_that_others_can_read_stops_it(make_cluster):  # FAULTS C9
    cluster = make_cluster(nodes=0)
    node = cluster.join("n1")
    (node.data / "net" / "key.der").chmod(0o644)
    node.launch()
    with pytest.raises(AssertionError, match="key.der"):
        node.wait_ready()


def test_contexts_are_listed_chosen_and_removed(make_cluster):
    first, second = make_cluster(nodes=0), make_cluster(nodes=0)
    cli = first.cli
    cli("login", second.token("--user", "ann"), "--context", "other").ok()
    listed = {row["context" if "context" in row else "name"]: row
              for row in cli("context", "ls", "--json").ok().json()}
    assert set(listed) == {first.made["context"], "other"}
    assert cli("--context", "other", "whoami", "--json").json()["user"] == "ann"
    cli("context", "use", "other").ok()
    assert cli("whoami", "-o", "name").text == "ann\n"
    env = {**cli.env, "REXEC_CONTEXT": first.made["context"]}
    assert cli("whoami", "-o", "name", env=env).text == "admin\n"
    assert cli("--context", "othr", "whoami").code == 3
    assert "did you mean" in cli("--context", "othr", "whoami").errors
    cli("context", "rm", "other", "-y").ok()
    assert not (cli.data_home / "rexec" / "ctx" / "other").exists()
    assert cli("context", "use", "nothing").code == 3


# ---- put out

def test_a_revoked_user_is_put_out_of_a_live_session_within_a_second(cluster):  # FAULTS L11, I11
    ann = cluster.new_user("ann")
    with Running(ann, "--reconnect", "30s", "n1", "sh", "-c", "echo $REXEC_JOB; sleep 1000") as run:
        job = run.line()
        cluster.cli("user", "revoke", "ann", "-y").ok()
        started = time.monotonic()
        done = run.finish(20)
        print(f"\nput out after {(time.monotonic() - started) * 1000:.0f} ms")
    assert done.code in (120, 121) and "revoked" in done.errors, done
    assert cluster.cli.job(job)["state"] == "running"
    assert ann("whoami").code == 4, "the handshake is refused, too"


def test_a_removed_node_is_put_out_and_cannot_come_back(cluster):  # FAULTS L11
    node = cluster.nodes["n1"]
    cluster.cli("node", "rm", "n1", "-y").ok()
    assert cluster.node_states() == {}
    processes.wait_until(lambda: not node.running, "the agent ends: there is nothing it could do")
    assert "removed" in node.logged() and node.process.returncode != 0
    assert cluster.cli.run("n1", "true").code == 125
    with pytest.raises(AssertionError, match="removed|revoked"):
        node.start()
    assert cluster.node_states() == {}


def test_node_rm_of_an_unknown_name_is_3(make_cluster):
    cluster = make_cluster(nodes=0)
    assert cluster.cli("node", "rm", "nothing", "-y").code == 3


def test_nothing_secret_is_in_a_log_or_in_an_argument_of_a_daemon(cluster):  # FAULTS C14
    token = cluster.token("--node", "n2")
    node = cluster.join("n2", token)
    node.start()
    for log in cluster.logs.glob("*.log"):
        assert token not in log.read_text() and "rx1_" not in log.read_text(), log
    for pid in cluster.processes():
        assert not any(b"rx1_" in word for word in processes.cmdline(pid))
        assert b"rx1_" not in processes.read(pid, "environ")


def test_a_signal_in_the_middle_of_joining_leaves_a_directory_that_can_be_used(make_cluster):
    cluster = make_cluster(nodes=0)
    proxy = cluster.proxy()
    token = retarget(cluster, cluster.token("--node", "n1"), proxy)
    proxy.hold()
    child = cluster.cli.popen("join", token, "--data", str(cluster.root / "n1"), "--no-start")
    proxy.wait_accepted(1)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    proxy.release()
    join(cluster, "n1", token).ok()
    assert set(cluster.node_states()) == {"n1"}
