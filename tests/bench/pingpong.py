#!/usr/bin/env python3
"""One line there and back, again and again, beside ssh: what a hop costs when nothing else is to be done.

    tests/bench/pingpong.py --rexec build/rexec [--beside OTHER/rexec] [--runs 20] [--rounds 1000] [--one-cpu]

In each run a new `ssh -T host cat` and a new `rexec run -i n1 -- cat` stand side by side on loopback (and the same of
another binary with a cluster of its own, to compare two of them). Blocks of rounds alternate between them: a round
writes one line and waits until the same line is back. Prints p10, p50 and p99 of each over all runs, and as the ratio
to ssh the median of the runs' own ratios with their spread: a machine that is busy with something else slows both.

A run's figures depend on which processors its processes come to lie on, which stays so for the run: many short runs
tell more than one long one. With --one-cpu all of them have one, and what is measured is their work and nothing else;
those figures differ by 2 % from run to run.
"""
import argparse
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from bench import Bench, quantile  # noqa: E402

BLOCK = 100  # rounds, before it is the other's turn
WARM_UP = 200  # rounds that do not count, of each connection
LINE = b"one line of thirty-two bytes..\n"


class Echo:
    """A command that gives back what it is given, and how long each round took, in microseconds."""

    def __init__(self, command, env):
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.to, self.back = self.process.stdin.fileno(), self.process.stdout.fileno()
        self.times = []
        self.block(WARM_UP)
        self.times.clear()

    def block(self, rounds):
        for _ in range(rounds):
            begin = time.perf_counter_ns()
            os.write(self.to, LINE)
            came = os.read(self.back, 4096)
            while came and len(came) < len(LINE):
                came += os.read(self.back, 4096)
            self.times.append((time.perf_counter_ns() - begin) / 1e3)
            if came != LINE:
                sys.exit(f"pingpong: {self.process.args[0]} gave back {came!r}")

    def end(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            sys.exit(f"pingpong: {' '.join(self.process.args)} failed with {self.process.returncode}")


def one_run(contenders, rounds):
    echoes = {name: Echo(*contender) for name, contender in contenders.items()}
    for _ in range(rounds // BLOCK):
        for echo in echoes.values():
            echo.block(BLOCK)
    for echo in echoes.values():
        echo.end()
    return {name: echo.times for name, echo in echoes.items()}


def report(runs):
    print(f"{'contender':16}{'p10':>10}{'p50':>10}{'p99':>10}    ratio to ssh: at p10 (least to most), at p50 (least to most)")
    for name in runs[0]:
        together = [took for run in runs for took in run[name]]
        line = f"{name:16}" + "".join(f"{quantile(together, p):7.1f} us" for p in (.1, .5, .99))
        for p in (.1, .5) if name != "ssh" else ():
            ratios = [quantile(run[name], p) / quantile(run["ssh"], p) for run in runs]
            line += f"    {statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
        print(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rexec", required=True)
    parser.add_argument("--beside", help="another rexec, with a controller and an agent of its own")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1000, help="of each contender in a run")
    parser.add_argument("--one-cpu", action="store_true", help="everything on one processor")
    args = parser.parse_args()
    if args.one_cpu:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    worlds = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        contenders = {}
        for name, binary in (("rexec", args.rexec), ("rexec, other", args.beside)):
            if binary is None:
                continue
            bench = Bench(argparse.Namespace(rexec=os.path.abspath(binary)))
            worlds.append(bench)
            bench.start_rexec()
            contenders[name] = ([bench.args.rexec, "run", "-i", "n1", "--", "cat"], bench.env)
        worlds[0].start_ssh()
        contenders = {"ssh": ([*worlds[0].ssh, "-T", "r", "cat"], worlds[0].env), **contenders}
        report([one_run(contenders, args.rounds) for _ in range(args.runs)])
    finally:
        for bench in worlds:
            bench.stop()


if __name__ == "__main__":
    main()
