"""`rexec submit --dag`: a file of jobs, each after others, accepted together; and `rerun`."""
import pytest

from support import processes


def submit(cli, tmp_path, text, *flags):
    path = tmp_path / "jobs.toml"
    path.write_text(text)
    return cli("submit", *flags, "--dag", str(path))


def jobs_of(done):
    return {row["name"]: row["job"] for row in done.ok().json()}


def test_the_jobs_of_a_file_run_each_after_those_it_names(cli, tmp_path):
    log = tmp_path / "log"
    done = submit(cli, tmp_path, f"""
[report]
target = "n1"
after = ["test"]
sh = "echo report >>{log}"
[test]
target = "n1,n2"
cmd = ["sh", "-c", "echo test >>{log}"]
after = ["build"]
timeout = "1m"
[build]
target = "n2"
cmd = ["sh", "-c", "echo build $COLOUR >>{log}"]
env = ["COLOUR=red", "X=1"]
""", "--json")
    rows = done.ok().json()
    assert [row["name"] for row in rows] == ["build", "test", "test", "report"]
    assert len({row["run"] for row in rows}) == 1
    assert cli("wait", *(row["job"] for row in rows)).code == 0
    assert log.read_text() == "build red\ntest\ntest\nreport\n"


def test_without_json_it_is_a_line_for_each_job(cli, tmp_path):
    done = submit(cli, tmp_path, '[a]\ntarget = "n1"\ncmd = ["true"]\n')
    name, job, node = done.ok().text.splitlines()[-1].split()
    assert (name, node) == ("a", "n1")
    assert cli("wait", job).code == 0


def test_what_comes_after_a_failure_does_not_start_and_fail_branches_do(cli, tmp_path):
    jobs = jobs_of(submit(cli, tmp_path, """
[a]
target = "n1"
cmd = ["false"]
[b]
target = "n1"
cmd = ["true"]
after = ["a"]
[c]
target = "n2"
cmd = ["true"]
after = ["b"]
[mend]
target = "n2"
cmd = ["true"]
after = ["a:fail"]
[always]
target = "n1"
cmd = ["true"]
after = ["a:any", "c:any"]
""", "--json"))
    codes = {name: cli("wait", job).code for name, job in jobs.items()}
    assert codes == {"a": 1, "b": 125, "c": 125, "mend": 0, "always": 0}
    assert cli.job(jobs["c"])["record"]["reason"] == "dependency"


def test_a_cycle_is_refused_with_the_way_round(cli, tmp_path):
    tables = "\n".join(f'[{name}]\ntarget = "n1"\ncmd = ["true"]\nafter = ["{after}"]'
                       for name, after in [("a", "b"), ("b", "c"), ("c", "a")])
    done = submit(cli, tmp_path, tables)
    assert done.code == 125 and "a → b → c → a" in done.errors, done
    assert "jobs.toml:2" in done.errors
    done = submit(cli, tmp_path, '[a]\ntarget = "n1"\ncmd = ["true"]\nafter = "a"')
    assert done.code == 125 and "a → a" in done.errors, done


@pytest.mark.parametrize("text,expected", [
    ('[a]\ncmd = ["true"]', "names no target"),
    ('[a]\ntarget = "n1"', "no command"),
    ('[a]\ntarget = "n1"\ncmd = "true"', "list of strings"),
    ('[a]\ntarget = "n1"\ncmd = ["true"]\ntimeuot = "1m"', "did you mean: timeout"),
    ('[a]\ntarget = "n1"\ncmd = ["true"]\ntimeout = "never"', "--timeout"),
    ('[a]\ntarget = "n1"\ncmd = ["true"]\nafter = ["b"]', 'after "b"'),
    ('[a]\ntarget = "n1"\ncmd = ["true"]\nafter = ["a:sometimes"]', ":ok, :any or :fail"),
    ('target = "n1"', "outside"),
    ("", "has no jobs"),
    ("[a", "jobs.toml:1"),
    ('[a]\ntarget = "n9"\ncmd = ["true"]', "n9"),
    ('[a]\ntarget = "n1"\ncmd = ["true"]\nstdin = true', "stdin"),
    ('[a]\ntarget = "n1"\ncmd = ["true"]\nstatus-file = "x"', "who submits"),
    ('[a]\ntarget = "n1"\ncmd = ["a\\u0000b"]', "NUL"),
])
def test_a_wrong_file_is_refused_whole_and_names_the_place(cli, tmp_path, text, expected):
    before = len(cli("ps", "-a", "--json").ok().json())
    done = submit(cli, tmp_path, f'[fine]\ntarget = "n1"\ncmd = ["true"]\n{text}' if "[a]" in text
                  else text)
    assert done.code == 125 and expected in done.errors, done
    assert len(cli("ps", "-a", "--json").ok().json()) == before


def test_the_key_of_a_dag_with_a_removed_job_starts_nothing_again(cli, tmp_path):
    log = tmp_path / "log"
    text = f'[a]\ntarget = "n1"\nsh = "echo a >>{log}"\n[b]\ntarget = "n2"\nsh = "echo b >>{log}"\n'
    first = jobs_of(submit(cli, tmp_path, text, "--json", "--idempotency-key", "removed-1"))
    assert cli("wait", *first.values()).code == 0
    cli("job", "rm", first["b"]).ok()
    again = submit(cli, tmp_path, text, "--idempotency-key", "removed-1")
    assert again.code == 125 and f"{first['b']}, was removed" in again.errors, again
    assert sorted(log.read_text().split()) == ["a", "b"]


def test_the_same_key_is_the_same_dag(cli, tmp_path):
    log = tmp_path / "log"
    text = f'[a]\ntarget = "n1"\nsh = "echo a >>{log}"\n[b]\ntarget = "n2"\nsh = "echo b >>{log}"\n'
    first = jobs_of(submit(cli, tmp_path, text, "--json", "--idempotency-key", "night-1"))
    again = jobs_of(submit(cli, tmp_path, text, "--json", "--idempotency-key", "night-1"))
    assert first == again
    assert cli("wait", *first.values()).code == 0
    assert sorted(log.read_text().split()) == ["a", "b"]
    other = submit(cli, tmp_path, text.replace("echo a", "echo c"), "--idempotency-key", "night-1")
    assert other.code == 125 and "another command" in other.errors, other
    longer = text + '[c]\ntarget = "n1"\ncmd = ["true"]\n'
    done = submit(cli, tmp_path, longer, "--idempotency-key", "night-1")
    assert done.code == 125 and "another DAG" in done.errors and "[c]" in done.errors, done


def test_a_dag_that_waits_for_an_offline_node_says_so_and_a_refusal_names_the_file(cluster, tmp_path):
    cluster.nodes["n1"].stop()
    text = '[a]\ntarget = "n1"\ncmd = ["true"]\n[b]\ntarget = "n1"\ncmd = ["true"]\nafter = ["a"]\n'
    done = submit(cluster.cli, tmp_path, text)
    assert done.code == 0 and '[a] waiting: node "n1" is offline' in done.errors, done
    assert "[b]" not in done.errors, done
    done = submit(cluster.cli, tmp_path, text.replace('"n1"', '"zz"'))
    assert done.code == 125 and f'{tmp_path}/jobs.toml: [a] node "zz"' in done.errors, done


def test_a_dash_is_standard_input(cli):
    jobs = jobs_of(cli("submit", "--json", "--dag", "-",
                       input=b'[a]\ntarget = "n1"\ncmd = ["sh", "-c", "exit 3"]\n'))
    assert cli("wait", jobs["a"]).code == 3
    wrong = cli("submit", "--dag", "-", input=b"[a]\ntarget = 1\n")
    assert wrong.code == 125 and "/dev/stdin:2:" in wrong.errors, wrong


def test_a_dag_of_a_thousand_jobs_is_answered_whole(cli, tmp_path):
    text = "".join(f'[j{i}]\ntarget = "n1"\ncmd = ["true"]\nafter = ["never:fail"]\n'
                   for i in range(999)) + '[never]\ntarget = "n2"\ncmd = ["true"]\n'
    jobs = jobs_of(submit(cli, tmp_path, text, "--json"))
    assert len(jobs) == 1000
    assert cli("wait", jobs["never"]).code == 0
    # None of the others can start any more: nothing is left that runs.
    processes.wait_until(lambda: cli.job(jobs["j998"])["final"], "the last is refused")
    assert cli.job(jobs["j0"])["record"]["reason"] == "dependency"


def test_the_same_key_with_other_terms_is_a_conflict(cluster, tmp_path):
    cli = cluster.cli
    cluster.nodes["n1"].stop()
    first = cli.submit("--idempotency-key", "k", "--queue-timeout", "1h", "n1", "true")
    assert cli.submit("--idempotency-key", "k", "--queue-timeout", "1h", "n1", "true") == first
    done = cli("submit", "--idempotency-key", "k", "--queue-timeout", "1h", "--lock", "l", "n1",
               "true")
    assert done.code == 125 and "--after" in done.errors, done
    assert cli("submit", "--idempotency-key", "", "n1", "true").code == 125


def test_a_dag_survives_the_controller(make_cluster, tmp_path):
    cluster = make_cluster(nodes=1)
    log = tmp_path / "log"
    jobs = jobs_of(submit(cluster.cli, tmp_path, "\n".join(
        f'[s{i}]\ntarget = "n1"\nsh = "echo {i} >>{log}"\n' + (f'after = ["s{i - 1}"]' if i else "")
        for i in range(12)), "--json"))
    processes.wait_until(lambda: log.exists(), "the first has run")
    cluster.controller.restart()
    assert cluster.cli("wait", *jobs.values()).code == 0
    assert log.read_text().split() == [str(i) for i in range(12)]


def test_rerun_is_the_same_command_again_as_a_new_job(cli, tmp_path):
    done = cli.run("-e", "K=v", "-w", str(tmp_path), "n1", "sh", "-c", "echo $K $(pwd); exit 3")
    assert done.code == 3
    again = cli("rerun", done.status["job"]).ok().text.strip()
    assert again != done.status["job"]
    assert cli("wait", again).code == 3
    assert cli("logs", again).text == done.text
    assert cli("rerun", "j-0000000000zz").code == 3


def test_rerun_of_a_run_with_stdin_and_a_terminal_has_neither(cli):
    done = cli.run("-i", "n1", "sh", "-c", "wc -c; test -t 0 || echo none", input=b"12345")
    again = cli("rerun", done.status["job"]).ok().text.strip()
    assert cli("wait", again).code == 0
    assert cli("logs", again).text.split() == ["0", "none"]


def test_rerun_on_an_offline_node_says_what_waits_for_it(make_cluster):
    cluster = make_cluster(nodes=1)
    job = cluster.cli.run("n1", "echo", "again").status["job"]
    cluster.nodes["n1"].stop()
    done = cluster.cli("rerun", job)
    assert "offline" in done.errors and "--wait-online" not in done.errors, done
    hint = f"rexec node wait n1 && rexec rerun {job}"
    assert hint in done.errors, done
    cluster.nodes["n1"].start()
    cluster.cli("node", "wait", "n1").ok()
    assert cluster.cli("wait", cluster.cli("rerun", job).ok().text.strip()).code == 0
