"""Runs a command in the foreground of this terminal, as a shell would, and outlives it.

Prints `GUARD code=N changed=WHAT`: the command's code (negative for a signal) and what of the
terminal (settings, flags of the descriptors) is not as it was. Started by terminal.py only.
"""
import fcntl
import os
import signal
import subprocess
import sys
import termios

before = termios.tcgetattr(0)
flags = [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in range(3)]
for number in (signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, lambda *_: None)  # a handler, not SIG_IGN: that would be inherited
code = subprocess.Popen(sys.argv[1:]).wait()
changed = []
if termios.tcgetattr(0) != before:
    changed.append("settings")
for fd in range(3):
    now = fcntl.fcntl(fd, fcntl.F_GETFL)
    if now != flags[fd]:
        changed.append(f"flags-of-{fd}:{flags[fd]:o}->{now:o}")
os.write(1, f"\nGUARD code={code} changed={','.join(changed)}\n".encode())
