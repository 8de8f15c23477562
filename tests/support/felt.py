"""What others feel: how long `rexec run n2 -- true` takes while something large goes on."""
import subprocess
import threading
import time

from support import processes

BUDGET = 3  # of the 99th percentile, in multiples of the idle one


class Bench:
    def __init__(self, cluster, runs):
        self.cluster, self.runs, self.idle = cluster, runs, None

    def one(self):
        begun = time.perf_counter()
        subprocess.run([str(self.cluster.cli.binary), "run", "n2", "--", "true"],
                       env=self.cluster.cli.env, check=True, stdin=subprocess.DEVNULL)
        return time.perf_counter() - begun

    def report(self, name, seconds):
        seconds = sorted(seconds)
        p50, p99 = (seconds[min(len(seconds) - 1, int(len(seconds) * q))] for q in (0.5, 0.99))
        self.idle = self.idle or p99
        rss = processes.memory_kib(self.cluster.controller.pid, "VmRSS") >> 10
        print(f"{name:44} {len(seconds):5} runs  p50 {p50 * 1e3:7.1f} ms  p99 {p99 * 1e3:7.1f} ms"
              f"  {p99 / self.idle:5.2f} of {BUDGET}  controller {rss} MiB", flush=True)

    def quiet(self, name):
        self.report(name, [self.one() for _ in range(self.runs)])

    def during(self, name, work):
        thread, seconds = threading.Thread(target=work), []
        thread.start()
        while thread.is_alive() or len(seconds) < self.runs:
            seconds.append(self.one())
        thread.join()
        self.report(name, seconds)
