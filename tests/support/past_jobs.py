"""Finished jobs written straight into a stopped controller's database: what years of use leave.

The rows are as src/store/jobs.cpp writes them, with their checksums (RowSum of sql.hpp).
"""
import sqlite3
import struct

NODE = "gone"
FIRST_MS = 1_790_000_000_000


def job_id(number):
    return f"j-{number:012d}"


def _sum(values):
    total = 0xCBF29CE484222325
    for value in values:
        parts = struct.pack("<q", value if isinstance(value, int) else len(value.encode()))
        for byte in parts + (b"" if isinstance(value, int) else value.encode()):
            total = (total ^ byte) * 0x100000001B3 % 2**64
    return total - 2**64 if total >= 2**63 else total


def _row(number, owner):
    created = FIRST_MS + number // 3
    record = '{"outcome":"exited","code":0}'
    row = (job_id(number), "", 1, "n-000000000000", NODE, owner, "admin", "make", "a" * 64,
           f"{number:032d}", "exited", created, created + 1, created + 2, record, "ticket", 1)
    return (*row, _sum(row), 0)


def write(data, count):
    """`count` jobs of the first user on a node that is gone; three of each millisecond."""
    database = sqlite3.connect(data / "controller.db")
    owner = database.execute("SELECT id FROM users").fetchone()[0]
    rows = (_row(number, owner) for number in range(count))
    database.executemany(f"INSERT INTO jobs VALUES ({','.join('?' * 19)})", rows)
    database.commit()
    database.close()
