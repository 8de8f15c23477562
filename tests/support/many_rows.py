"""Nodes, tokens, people and schedules written straight into a stopped controller's database: a
fleet without its thousands of joins. The rows are as src/store writes them, with their checksums.
"""
import sqlite3

from support.past_jobs import FIRST_MS, row_sum
from support.wire import pack

SPEC = pack({"argv": [b"true"], "durable": True})


def _insert(data, table, rows):
    database = sqlite3.connect(data / "controller.db")
    rows = [(*row, row_sum(row)) for row in rows]
    marks = ",".join("?" * len(rows[0]))
    database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    database.commit()
    database.close()


def node_name(number):
    return f"web-{number}.example.net"


def nodes(data, count):
    _insert(data, "nodes", ((f"n-{i:012d}", node_name(i), '{"env":"prod","rack":"r7"}',
                             f"{i:032x}", FIRST_MS + i, "root", None) for i in range(count)))


def tokens(data, count):
    """Three of each millisecond."""
    _insert(data, "tokens", ((f"t-{i:012d}", 0, b"s" * 16, node_name(i), "user", "{}", 0, "admin",
                              FIRST_MS + i // 3, FIRST_MS + i + 10**9, "", "", "", b"", None)
                             for i in range(count)))


def users(data, count):
    _insert(data, "users", ((f"u-{i:012d}", f"person{i}", "user", FIRST_MS + i, None)
                            for i in range(count)))


def schedules(data, count):
    """Of the first user, on every node, paused."""
    database = sqlite3.connect(data / "controller.db")
    owner = database.execute("SELECT id FROM users ORDER BY created DESC").fetchone()[0]
    database.close()
    _insert(data, "schedules", ((f"s-{i:012d}", f"sched{i:06d}", owner, "admin", "@all", "every",
                                 "1h", "UTC", "skip", "none", 0, SPEC, "true " * 30, FIRST_MS,
                                 FIRST_MS, 1, 1) for i in range(count)))
