"""What a node keeps of the output of jobs that have ended: its settings, its files, a pull of bytes."""
import subprocess

from support import processes

MIB = 1 << 20
LOG = "the nightly log\n"


def keep(cluster, **settings):
    """The node n1 with these lines in its agent.toml."""
    node = cluster.nodes["n1"]
    lines = [f'{key} = "{value}"\n' for key, value in settings.items()]
    node.config_file.write_text(node.config_file.read_text() + "".join(lines))
    node.restart()
    cluster.wait_online("n1")
    return node


def used(node):
    """Bytes on disk below jobs/; what goes while it is looked at counts for nothing."""
    total = 0
    for file in (node.data / "jobs").rglob("*"):
        try:
            total += file.stat().st_blocks * 512
        except FileNotFoundError:
            pass
    return total


def spools(node, job):
    return list((node.data / "jobs").glob(f"{job}.*/out.*"))


def ended_log(cli):
    job = cli.submit("n1", "echo", LOG.strip())
    cli("wait", job).ok()
    return job


def job_of(cli, command):
    """None: it is not listed yet."""
    return next((row["job"] for row in cli("ps", "-a", "--json").ok().json()
                 if row["command"].startswith(command)), None)


def pull(cli, mib, **options):
    """Takes so much from the node, and keeps nothing of it here."""
    done = cli("run", "n1", "--", "head", "-c", str(mib * MIB), "/dev/zero",
               stdout=subprocess.DEVNULL, **options)
    assert done.code == 0, done


def refusal_of(cli, verb, job, *flags):
    done = cli.run(*flags, job, verb=verb) if verb != "logs" else cli(verb, *flags, job)
    assert done.code == 122 and done.out == b"", done
    assert "no such job" not in done.errors
    return done
