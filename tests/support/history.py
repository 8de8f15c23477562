"""What happened, as JSON lines that support.checker judges. It records and judges nothing.

The kinds of line, each an object with "t":
  wanted    key, kind, tells (what the job writes and how it ends, known beforehand)
  ack       key, job: somebody was told that the job is accepted
  start     job, attempt, pid: written by the job itself, as the first thing it does
  outcome   job, attempt, source, outcome, code, signal, complete, bytes, sha256
  output    job, source, stream, whole, bytes, sha256, prefix_ok
  shown     job, state, final: what the controller says at some moment
  effect    verb, job: something that needs an audit row
  audit     verb, object · audit_chain ok, why
  leftover  job, pid: a process of a job that has ended
  killed    what, job: its shim or its leader was killed, so it may be lost or signaled
  odd       what: something that nobody should be told
"""
import hashlib
import json
import pathlib
import sqlite3
import struct
import threading


class History:
    def __init__(self, path=None):
        self.lines, self._lock = [], threading.Lock()
        self._path = pathlib.Path(path) if path else None

    def add(self, t, **fields):
        line = {"t": t, **fields}
        with self._lock:
            self.lines.append(line)
            if self._path:
                with self._path.open("a") as file:
                    file.write(json.dumps(line) + "\n")
        return line

    def acked(self):
        """{key: job}"""
        return {line["key"]: line["job"] for line in self.lines if line["t"] == "ack"}

    def outcome(self, source, record, job=None):
        """An end record or status JSON, in the words that all of them share."""
        return self.add("outcome", source=source, job=job or record.get("job"),
                        attempt=record.get("attempt", 1), outcome=record.get("outcome"),
                        code=record.get("code"), signal=record.get("signal"),
                        complete=record.get("complete"), bytes=record.get("bytes"),
                        sha256=record.get("sha256"))


def digest(data):
    return hashlib.sha256(data).hexdigest()


def read_starts(history, path):
    """The marker file that jobs append "JOB ATTEMPT PID" lines to."""
    text = pathlib.Path(path).read_text() if pathlib.Path(path).exists() else ""
    for line in text.splitlines():
        job, attempt, pid = line.split()
        history.add("start", job=job, attempt=int(attempt), pid=int(pid))


def read_records(history, node):
    """The end records in an agent's job directories: what the node itself believes."""
    for directory in sorted((node.data / "jobs").glob("j-*.*")):
        if (directory / "exit").is_file():
            record = json.loads((directory / "exit").read_text())
            history.outcome("node", record, directory.name.split(".")[0])


def _audit_hash(row):
    """As audit_hash() of src/store/audit/audit.cpp, written anew: an independent reader of the chain."""
    seq, wall, actor, verb, thing, detail, previous, _ = row
    message = b"rexec audit 1" + previous.encode() + struct.pack(">QQ", seq, wall)
    for field in (actor, verb, thing, detail):
        raw = field.encode() if isinstance(field, str) else bytes(field)
        message += struct.pack(">I", len(raw)) + raw
    return hashlib.sha256(message).hexdigest()


def read_audit(history, data_dir):
    """The audit rows and whether their chain holds. The controller is not running."""
    database = sqlite3.connect(f"file:{data_dir}/controller.db", uri=True)
    try:
        rows = database.execute("SELECT seq, wall, actor, verb, object, detail, previous, hash "
                                "FROM audit ORDER BY seq").fetchall()
    finally:
        database.close()
    previous, why = "0" * 64, ""
    for number, row in enumerate(rows, 1):
        history.add("audit", verb=row[3], object=row[4])
        if not why and (row[0] != number or row[6] != previous or row[7] != _audit_hash(row)):
            why = f"row {row[0]}"
        previous = row[7]
    history.add("audit_chain", ok=not why, why=why, rows=len(rows))
