#!/usr/bin/env python3
"""Side by side with OpenSSH in one run: rexec's figures as ratios.

Starts a throw-away sshd and a controller with one agent, all on loopback, runs the contenders in turn so that drift hits all of them
alike, and prints a table: figure, rexec, peer, ratio, budget (DESIGN.md, section 11). Ends only what it started.
    tests/bench/bench.py --rexec build/rexec --tools build/tests [--only true,down,up,line,memory,fleet,writes,adopt,past] [--runs N]
"""
import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time


def quantile(values, p):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(p * (len(ordered) - 1)))]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def pss_kib(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except OSError:
            pass
    return total


def private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith(("Private_Clean:", "Private_Dirty:")))


def descendants(pid):
    out = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            children = open(f"/proc/{pid}/task/{task}/children").read().split()
        except OSError:
            continue
        for child in children:
            out += descendants(int(child))
    return out


class Bench:
    def __init__(self, args):
        self.args = args
        self.dir = tempfile.mkdtemp(prefix="rexec-bench.")
        self.rows = []
        self.processes = []
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("REXEC_", "XDG_"))}
        self.env.update(HOME=self.dir, CI="1", XDG_CONFIG_HOME=f"{self.dir}/config", XDG_DATA_HOME=f"{self.dir}/data",
                        XDG_CACHE_HOME=f"{self.dir}/cache")

    # ---- the two worlds
    def start(self, command, ready=None):
        process = subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, stderr=open(f"{self.dir}/log", "a"),
                                   pass_fds=[ready] if ready else [])
        self.processes.append(process)
        return process

    def start_ready(self, command):
        reader, writer = os.pipe()
        process = self.start(command + ["--ready-fd", str(writer)], writer)
        os.close(writer)
        line = os.fdopen(reader).readline()
        if not line:
            sys.exit(f"bench: {' '.join(command)} did not start, see {self.dir}/log:\n" + open(f"{self.dir}/log").read()[-2000:])
        return process, json.loads(line)

    def rexec(self, *words):
        return subprocess.run([self.args.rexec, *words], env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout

    def start_rexec(self, prepare_idle=0):
        self.data = f"{self.dir}/controller"
        self.rexec("controller", "init", "--data", self.data, "--listen", "127.0.0.1:0", "--json")
        if prepare_idle:
            subprocess.run([f"{self.args.tools}/bench_idle_agents", "prepare", self.data, str(prepare_idle), f"{self.dir}/idle"], check=True)
        self.controller, ready = self.start_ready([self.args.rexec, "controller", "run", "--data", self.data])
        self.address = ready["listen"]
        token = json.loads(self.rexec("token", "new", "--node", "n1", "--json"))["token"]
        self.rexec("join", token, "--data", f"{self.dir}/agent", "--no-start")
        self.agent, _ = self.start_ready([self.args.rexec, "agent", "run", "--data", f"{self.dir}/agent"])

    def start_ssh(self):
        d, port = self.dir, free_port()
        for name in ("hostkey", "userkey"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{d}/{name}"], check=True)
        shutil.copy(f"{d}/userkey.pub", f"{d}/authorized")
        os.makedirs("/run/sshd", exist_ok=True) if os.geteuid() == 0 else None
        with open(f"{d}/sshd_config", "w") as f:
            f.write(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {d}/hostkey\nPidFile {d}/sshd.pid\nAuthorizedKeysFile {d}/authorized\n"
                    "StrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nUseDNS no\n"
                    "MaxStartups 2000\nMaxSessions 2000\nLogLevel ERROR\nPrintMotd no\n")
        user = subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip()
        with open(f"{d}/ssh_config", "w") as f:
            f.write(f"Host mux\n  HostName 127.0.0.1\n  ControlPath {d}/cm\n  ControlMaster no\nHost r\n  HostName 127.0.0.1\nHost *\n  Port {port}\n"
                    f"  User {user}\n  IdentityFile {d}/userkey\n  IdentitiesOnly yes\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n"
                    "  GlobalKnownHostsFile /dev/null\n  LogLevel ERROR\n  BatchMode yes\n")
        sshd = ["/usr/sbin/sshd", "-D", "-f", f"{d}/sshd_config"]
        if os.geteuid() == 0:  # an account without start-up files: the shell's .bashrc is not ssh's cost
            with open("/etc/passwd") as f, open(f"{d}/passwd", "w") as out:
                for line in f:
                    fields = line.rstrip("\n").split(":")
                    if fields[0] == "root":
                        fields[5], fields[6] = f"{d}/home", "/bin/bash"
                    out.write(":".join(fields) + "\n")
            os.makedirs(f"{d}/home")
            os.chmod(d, 0o755)
            sshd = ["unshare", "-m", "sh", "-c", f"mount --bind {d}/passwd /etc/passwd && exec " + " ".join(sshd)]
        self.start(sshd)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 0.5).close()
                break
            except OSError:
                time.sleep(0.02)
        self.ssh = ["ssh", "-F", f"{d}/ssh_config"]
        self.start([*self.ssh, "-M", "-S", f"{d}/cm", "-N", "r"])
        while not os.path.exists(f"{d}/cm") and time.monotonic() < deadline:
            time.sleep(0.02)

    def stop(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- figures
    def row(self, name, ours, unit, peer=None, peer_name="", budget="", better="lower"):
        ratio = "" if not peer else f"{ours / peer:.2f}x"
        self.rows.append((name, f"{ours:.3g} {unit}", f"{peer:.3g} {unit} {peer_name}" if peer else "", ratio, budget))
        print("{:34} {:>14}  {:>26}  {:>8}  {}".format(*self.rows[-1]), flush=True)

    def lap(self, command, env):
        null = os.open("/dev/null", os.O_RDWR)
        begin = time.perf_counter_ns()
        pid = os.posix_spawnp(command[0], command, env, file_actions=[(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)])
        _, status = os.waitpid(pid, 0)
        end = time.perf_counter_ns()
        os.close(null)
        if status != 0:
            sys.exit(f"bench: {' '.join(command)} failed with {status}")
        return (end - begin) / 1e6

    def bench_true(self):
        run = [self.args.rexec, "run", "n1", "--", "true"]
        warm_env = dict(self.env)
        self.rexec("context", "persist", "on")
        self.lap(run, self.env)
        contenders = {"rexec_kept": (run, warm_env), "ssh_cold": ([*self.ssh, "r", "true"], self.env), "ssh_mux": ([*self.ssh, "mux", "true"], self.env)}
        times = {name: [] for name in [*contenders, "rexec_cold"]}
        for _ in range(self.args.runs // 10):
            for name, (command, env) in contenders.items():
                for _ in range(10 if name != "ssh_cold" else 3):
                    times[name].append(self.lap(command, env))
        self.rexec("context", "persist", "off")
        for _ in range(self.args.runs // 10):
            for name, command in (("ssh_mux", [*self.ssh, "mux", "true"]), ("rexec_cold", run)):
                for _ in range(10):
                    times[name].append(self.lap(command, self.env))
        for label, p in (("p50", .5), ("p95", .95), ("p99", .99)):
            q = {name: quantile(values, p) for name, values in times.items()}
            self.row(f"true, cold client, {label}", q["rexec_cold"], "ms", q["ssh_mux"], "ssh mux", "<= 1.2x" if p == .5 else "")
            self.row(f"true, cold client, {label}", q["rexec_cold"], "ms", q["ssh_cold"], "ssh cold", "<= 0.067x" if p == .5 else "")
            self.row(f"true, kept connection, {label}", q["rexec_kept"], "ms", q["ssh_mux"], "ssh mux", "<= 0.6x" if p == .5 else "")

    def rate(self, command, size, stdin=None):
        values = []
        for _ in range(self.args.repeats):
            source = open(stdin, "rb") if stdin else subprocess.DEVNULL
            begin = time.perf_counter()
            subprocess.run(command, env=self.env, stdin=source, stdout=subprocess.DEVNULL, check=True)
            values.append(size / (time.perf_counter() - begin) / 1e6)
        return statistics.median(values)

    def bench_down(self):
        size = 2 << 30
        command = f"head -c {size} /dev/zero"
        ours = self.rate([self.args.rexec, "run", "n1", "--", "sh", "-c", command], size)
        for name, flags in (("ssh default", []), ("ssh aes128-gcm", ["-c", "aes128-gcm@openssh.com"])):
            self.row("2 GiB down", ours, "MB/s", self.rate([*self.ssh, *flags, "r", command], size), name, ">= 0.7x" if not flags else "")

    def bench_up(self):
        size = 1 << 30
        path = f"{self.dir}/random"
        with open(path, "wb") as f:
            for _ in range(size >> 20):
                f.write(os.urandom(1 << 20))
        ours = self.rate([self.args.rexec, "run", "-i", "n1", "--", "sh", "-c", "cat >/dev/null"], size, path)
        self.row("1 GiB up", ours, "MB/s", self.rate([*self.ssh, "r", "cat >/dev/null"], size, path), "ssh default", "")
        os.unlink(path)

    def bench_line(self):
        tool = f"{self.args.tools}/bench_line"

        def p50(command):
            source = subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            out = subprocess.run([tool, "tock"], stdin=source.stdout, capture_output=True, text=True, check=True).stdout
            source.wait()
            return [quantile([float(x) for x in out.split()][5:], p) for p in (.5, .99)]
        ours = p50([self.args.rexec, "run", "n1", "--", tool, "tick", "300", "10000"])
        peer = p50([*self.ssh, "r", f"{tool} tick 300 10000"])
        self.row("one line, p50", ours[0], "ms", peer[0], "ssh", "<= 2x")
        self.row("one line, p99", ours[1], "ms", peer[1], "ssh", "")

    def bench_memory(self):
        for _ in range(5):
            self.rexec("run", "n1", "--", "true")
        time.sleep(7)  # five seconds after its last job an agent comes to rest
        pids = descendants(self.agent.pid)
        self.row("idle agent, all processes, PSS", pss_kib(pids) / 1024, "MiB", None, "", "<= 6 MB")
        job = self.rexec("run", "-d", "n1", "--", "sleep", "60").strip()
        self.rexec("run", "n1", "--", "true")
        shims = []
        for pid in os.listdir("/proc"):
            if not pid.isdigit() or int(pid) in pids:
                continue
            try:
                children = open(f"/proc/{pid}/task/{pid}/children").read().split()
                if os.readlink(f"/proc/{pid}/exe") == os.path.realpath(self.args.rexec) and any(
                        open(f"/proc/{c}/comm").read().strip() == "sleep" for c in children):
                    shims.append(private_kib(pid))
            except OSError:
                continue
        if not shims:
            shims = [private_kib(p) for p in pids[2:]]
        self.row("a shim's own memory", min(shims) if shims else float("nan"), "KiB", None, "", "<= 100 KB")
        self.rexec("stop", job)
        self.row("binary, stripped", os.path.getsize(self.args.rexec) / 1e6, "MB", None, "", "<= 13 MB")

    def bench_fleet(self):
        before = private_kib(self.controller.pid)
        fleet = subprocess.Popen([f"{self.args.tools}/bench_idle_agents", "hold", self.address, "1000", f"{self.dir}/idle"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(fleet)
        if "connected" not in fleet.stdout.readline():
            sys.exit("bench: the idle agents did not connect")
        time.sleep(6)  # one round of heartbeats
        after = private_kib(self.controller.pid)
        self.row("controller, per idle agent (1,000)", (after - before) / 1000, "KiB", None, "", "<= 40 KB")
        fleet.stdin.close()
        fleet.wait()

    def bench_writes(self):
        def written():
            total = 0
            for pid in descendants(self.agent.pid):
                total += int(dict(line.split(": ") for line in open(f"/proc/{pid}/io").read().splitlines())["write_bytes"])
            return total
        if os.geteuid() != 0:
            return print("idle agent, disk writes: only root may read /proc/PID/io of an agent")
        self.rexec("run", "n1", "--", "true")
        time.sleep(7)  # five seconds after its last job an agent comes to rest
        before = written()
        time.sleep(60)
        self.row("idle agent, disk writes in a minute", written() - before, "B", None, "", "<= 1 MB a day")

    def bench_adopt(self):
        count = 1000
        submit = 'i=0; while [ $i -lt "$0" ]; do "$@" >/dev/null || exit 1; i=$((i + 1)); done'
        subprocess.run(["sh", "-c", submit, str(count), self.args.rexec, "submit", "n1", "--", "sleep", "600"], env=self.env, check=True)
        self.agent.kill()
        self.agent.wait()
        begin = time.perf_counter()
        self.agent, _ = self.start_ready([self.args.rexec, "agent", "run", "--data", f"{self.dir}/agent"])
        node = json.loads(self.rexec("node", "show", "n1", "--json"))
        took = time.perf_counter() - begin
        if (node["state"], node["jobs"]) != ("online", count):
            sys.exit(f"bench: {node['jobs']} of {count} jobs after the agent's restart, the node is {node['state']}")
        self.row(f"{count:,} running jobs adopted", took, "s", None, "", "<= 2 s")
        self.controller.kill()
        self.controller.wait()
        begin = time.perf_counter()
        self.controller, _ = self.start_ready([self.args.rexec, "controller", "run", "--data", self.data])
        self.rexec("node", "wait", "n1")
        self.row(f"controller again, node has {count:,} jobs", time.perf_counter() - begin, "s", None, "", "")
        # TERM with --stop-jobs ends them all.
        self.agent.terminate()
        self.agent.wait()
        self.agent, _ = self.start_ready([self.args.rexec, "agent", "run", "--data", f"{self.dir}/agent", "--stop-jobs"])
        self.agent.terminate()
        self.agent.wait()

    # ---- what years of finished jobs cost: a controller of its own, with a million
    def bench_past(self):
        tool = f"{self.args.tools}/bench_submits"
        for count in (0, 100_000, 1_000_000):
            data, peers = f"{self.dir}/past{count}", f"{self.dir}/peers{count}"
            made = self.rexec("--context", f"past{count}", "controller", "init", "--data", data, "--listen", "127.0.0.1:0", "--json")
            subprocess.run([tool, "prepare", data, str(count), peers], check=True)
            begin = time.perf_counter()
            controller, ready = self.start_ready([self.args.rexec, "controller", "run", "--data", data])
            took = time.perf_counter() - begin
            if count > 0:
                self.row(f"controller ready, {count:,} finished jobs", took, "s", None, "", "<= 2 s" if count == 100_000 else "")
                self.row(f"its memory, {count:,} finished jobs", private_kib(controller.pid) / 1024, "MiB")
            if count != 100_000:
                out = subprocess.run([tool, "submit", ready["listen"], "20000", "4", peers], capture_output=True, text=True, check=True).stdout
                self.row(f"durable submits, {count:,} finished jobs", json.loads(out)["acknowledged_per_s"], "/s", None, "", ">= 2000 /s" if count == 0 else "")
            if count == 1_000_000:
                self.bench_ps(json.loads(made)["context"])
            controller.terminate()
            controller.wait()
            shutil.rmtree(data)

    def bench_ps(self, context):
        for name, words in (("ps -a", []), ("ps -a --node", ["--node", "past7"]), ("ps -a --state", ["--state", "lost"]),
                            ("ps -a, three filters", ["--owner", "loader", "--node", "past50", "--state", "lost"])):
            command = [self.args.rexec, "--context", context, "ps", "-a", *words]
            times = [self.lap(command, self.env) for _ in range(self.args.runs)]
            self.row(f"{name}, 1,000,000 jobs, p99", quantile(times, .99), "ms", None, "", "<= 100 ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rexec", required=True)
    parser.add_argument("--tools", required=True)
    parser.add_argument("--only", default="true,down,up,line,memory,fleet,writes,adopt,past")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    args.rexec = os.path.abspath(args.rexec)
    args.tools = os.path.abspath(args.tools)
    only = args.only.split(",")
    bench = Bench(args)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        bench.start_rexec(1000 if "fleet" in only else 0)
        bench.start_ssh()
        print("{:34} {:>14}  {:>26}  {:>8}  {}".format("figure", "rexec", "peer", "ratio", "budget"))
        for name in only:
            getattr(bench, f"bench_{name}")()
    finally:
        bench.stop()


if __name__ == "__main__":
    main()
