"""Finished jobs written straight into a stopped controller's database: what years of use leave.

The rows are as src/store/tables/jobs.cpp writes them, with their checksums (RowSum of sql.hpp).
"""
import sqlite3
import struct

NODE = "gone"
FIRST_MS = 1_790_000_000_000


def job_id(number):
    return f"j-{number:012d}"


def row_sum(values):
    """The checksum of a row; None is SQL's NULL, bytes are text or a blob."""
    total = 0xCBF29CE484222325
    for value in values:
        number = -1 if value is None else value
        text = b"" if isinstance(number, int) else _bytes(number)
        for byte in struct.pack("<q", number if isinstance(number, int) else len(text)) + text:
            total = (total ^ byte) * 0x100000001B3 % 2**64
    return total - 2**64 if total >= 2**63 else total


def _bytes(value):
    return value if isinstance(value, bytes) else value.encode()


COLUMNS = ("id", "run", "attempt", "node", "node_name", "owner", "owner_name", "summary",
           "spec_hash", "request", "state", "created", "started", "ended", "record", "ticket",
           "detached")


def _row(number, owner, **odd):
    created = FIRST_MS + number // 3
    record = '{"outcome":"exited","code":0}'
    row = (job_id(number), "", 1, "n-000000000000", NODE, owner, "admin", "make", "a" * 64,
           f"{number:032d}", "exited", created, created + 1, created + 2, record, "ticket", 1)
    row = tuple(odd.get(name, value) for name, value in zip(COLUMNS, row))
    return (*row, row_sum(row), 0)


# What an earlier version may have written, each with a good checksum.
ODD = [{"record": '{"outcome":"exited","code":0,"wall_s":1e300,"cpu_s":-1e300,"max_rss":1e30}'},
       {"record": "no JSON"}, {"record": "[1]"}, {"record": "5"},
       {"record": '{"outcome":"won","code":-5,"bytes":[1]}'},
       {"record": '{"outcome":"exited","code":0,"in":' + '{"in":' * 40 + "1" + "}" * 41},
       {"record": '{"outcome":"exited","code":0,"message":"' + "x" * 300_000 + '"}'},
       {"summary": b"make \xc3"}, {"summary": b"a\x00b"}, {"summary": "x" * 300_000},
       {"node_name": b"\xff"}, {"owner_name": "\x1b[31m"}, {"state": "no such"},
       {"started": 2**63 - 1}, {"started": -2**63}, {"ended": 2**63 - 1},
       {"run": "\n" * 100}, {"request": b"\xfe" * 40}, {"ticket": b"\xc3"}]


def write_odd(data):
    """One job of the first user for each of ODD."""
    database = sqlite3.connect(data / "controller.db")
    owner = database.execute("SELECT id FROM users").fetchone()[0]
    for number, odd in enumerate(ODD):
        row = _row(number, owner, **odd)
        marks = ",".join("CAST(? AS TEXT)" if isinstance(value, bytes) else "?" for value in row)
        database.execute(f"INSERT INTO jobs VALUES ({marks})", row)
    database.commit()
    database.close()


def write(data, count):
    """`count` jobs of the first user on a node that is gone; three of each millisecond."""
    database = sqlite3.connect(data / "controller.db")
    owner = database.execute("SELECT id FROM users").fetchone()[0]
    rows = (_row(number, owner) for number in range(count))
    database.executemany(f"INSERT INTO jobs VALUES ({','.join('?' * 19)})", rows)
    database.commit()
    database.close()
