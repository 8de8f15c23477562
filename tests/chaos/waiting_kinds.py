"""Kinds of jobs that wait for one another: a DAG whose order is checked by its own jobs, and jobs
that share a slot which only one of them can hold. See kinds.py."""
from chaos.kinds import MARK, PATIENCE_S, numbers


class Dag:
    """A diamond and what follows a failure; a job that began too early finds no file and says so."""

    name = "dag"

    @staticmethod
    def available(cli):
        return "--dag" in cli("submit", "--help").text

    def once(self, desk):
        key = desk.key(self.name)
        place = desk.scratch / key.replace(" ", "-")
        place.mkdir(exist_ok=True)
        file = place / "jobs.toml"
        count = desk.random.randrange(3_000)
        # name: after, files that must be there, exit code, whether it runs at all
        plan = {"a": ([], [], 0, True), "b": (["a"], ["a"], 0, True), "c": (["a"], ["a"], 5, True),
                "d": (["b", "c:any"], ["b", "c"], 0, True), "mend": (["c:fail"], ["a"], 0, True),
                "never": (["c"], [], 0, False), "later": (["never:any", "d"], ["d"], 0, True)}
        lines = []
        for name, (after, needs, code, _) in plan.items():
            node = desk.node_of(f"{key} {name}")
            checks = "".join(f"test -e {place}/{need} || exit 9; " for need in needs)
            script = f"{MARK}{checks}seq 1 {count}; touch {place}/{name}; exit {code}"
            lines += [f"[{name}]", f'target = "{node}"', "sha256 = true",
                      f"cmd = ['sh', '-c', '{script}', '{desk.marks}']",
                      "after = [" + ", ".join(f'"{one}"' for one in after) + "]"]
        file.write_text("\n".join(lines) + "\n")

        def try_it():
            done = desk.cli("submit", "--idempotency-key", key, "--json", "--dag", str(file),
                            timeout=PATIENCE_S)
            if done.code not in (0, 125, 121, 5):
                desk.record.add("odd", what=f"dag exited {done.code}: {done.errors[-300:]}")
            return done.json() if done.code == 0 else None
        for row in desk.ended_by(try_it, f"{key} is acknowledged"):
            own = f"{key} {row['name']}"
            code, runs = plan[row["name"]][2:]
            if runs:
                desk.wanted(own, self.name, code, numbers(count))
            else:
                desk.record.add("wanted", key=own, kind=self.name,
                                tells={"marks": False,
                                       "never": ["exited", "signaled", "lost", "timeout"]})
            desk.record.add("ack", key=own, job=row["job"])


class Slot:
    """Jobs of one slot of the fleet; a second holder could not take the lock, and says so."""

    name = "slot"

    @staticmethod
    def available(cli):
        return "--fleet-lock" in cli("submit", "--help").text

    def once(self, desk):
        held = desk.scratch.parent / "held-slot"
        for _ in range(desk.random.randrange(1, 4)):
            key, count = desk.key(self.name), desk.random.randrange(2_000)
            desk.wanted(key, self.name, 8, numbers(count))
            # A lock of the kernel's: a holder that is killed leaves nothing behind.
            script = f"{MARK}exec 9>{held}; flock -n 9 || exit 9; seq 1 {count}; exit 8"
            job = desk.submit(key, "--fleet-lock", "slot", "--sha256", desk.node_of(key), "sh",
                              "-c", script, desk.marks)[0]
            desk.record.add("ack", key=key, job=job)
