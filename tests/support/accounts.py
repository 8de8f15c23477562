"""Accounts that this machine has not: the binary, wrapped so that it and what it starts see a
private /etc/passwd, group and shadow in a mount namespace. As root only.
"""
import os
import pathlib
import shlex
import stat
import subprocess

from support.cli import BINARY


def can_have_accounts():
    """Root that may make a mount namespace; not so in many a container."""
    if os.geteuid() != 0:
        return False
    probe = subprocess.run(["unshare", "-m", "mount", "--make-rprivate", "/"], capture_output=True,
                           check=False)
    return probe.returncode == 0


def binary_with_accounts(directory, **accounts):
    """A program that is rexec where `name=uid` are accounts, each with a home in the directory."""
    directory = pathlib.Path(directory)
    directory.chmod(0o755)
    lines = {"passwd": [], "group": [], "shadow": []}
    for name, uid in accounts.items():
        home = directory / f"home-{name}"
        home.mkdir()
        os.chown(home, uid, uid)
        lines["passwd"].append(f"{name}:x:{uid}:{uid}::{home}:/bin/sh")
        lines["group"].append(f"{name}:x:{uid}:")
        lines["shadow"].append(f"{name}:*:19000:0:99999:7:::")
    mounts = ["mount --make-rprivate /"]
    for file, added in lines.items():
        text = pathlib.Path("/etc", file).read_text(encoding="utf-8")
        (directory / file).write_text(text + "\n".join(added) + "\n", encoding="utf-8")
        mounts.append(f"mount --bind {shlex.quote(str(directory / file))} /etc/{file}")
    script = directory / "rexec"
    inner = " && ".join(mounts) + f' && exec {shlex.quote(str(BINARY))} "$@"'
    script.write_text(f"#!/bin/sh\nexec unshare -m sh -c {shlex.quote(inner)} rexec \"$@\"\n",
                      encoding="utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return script
