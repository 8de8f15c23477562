#!/usr/bin/env python3
"""The rules of the source tree as an ordinary test: arrows, sizes, words, READMEs.

Each rule is one test and reports every place that breaks it. It reads text only and knows no C++:
what needs a parser is clang-tidy's (tests/lint.sh).
"""
import functools
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAX_LINES = 400
MAX_COLUMNS = 100
MAX_FUNCTION = 60
MAX_ASIO_UNITS = 40  # translation units that include Asio: keeps builds short

# What each folder may include besides itself; a folder and its sub-folders are different folders.
# Written out in full, because an arrow that follows from two others is one that nobody decided.
PURE = {"base"}
ARROWS = {
    "src/base": set(),
    "src/os": PURE,
    "src/wire": PURE,
    "src/select": PURE,
    "src/schedule": PURE,
    "src/pki": PURE,
    "src/store/database": PURE,
    "src/store/audit": {"store/database", "pki", "base"},
    "src/store/tables": {"store/audit", "store/database", "pki", "base"},
    "src/store/file": {"store/tables", "store/audit", "store/database", "pki", "base"},
    "src/store/engine": {"store/file", "store/tables", "store/audit", "store/database", "base"},
    "src/net": {"wire", "pki", "os", "base"},
    "src/job/spec": {"wire", "os", "base"},
    "src/job/ipc": PURE,
    "src/job/spool": {"job/ipc", "job/spec", "wire", "os", "base"},
    "src/job/shim": {"job/spool", "job/ipc", "job/spec", "os", "base"},
    "src/job/spawner": {"job/shim", "job/spool", "job/ipc", "job/spec", "os", "base"},
    "src/agent": {"net", "job/spawner", "job/spool", "job/ipc", "job/spec", "schedule", "pki",
                  "wire", "os", "base"},
    "src/controller/core": {"job/spec", "select", "pki", "wire", "base"},
    "src/controller/state": {"controller/core", "net", "store/engine", "store/tables",
                             "store/audit", "job/spec", "select", "schedule", "pki", "base"},
    "src/controller/verbs": {"controller/state", "store/tables", "job/spec", "select", "pki",
                             "wire", "base"},
    "src/controller/sessions": {"controller/verbs", "controller/state", "controller/core", "net",
                                "store/tables", "job/spec", "select", "pki", "base"},
    "src/controller/server": {"controller/sessions", "controller/state", "net", "store/engine",
                              "store/file", "pki", "wire", "os", "base"},
    "src/client": {"net", "pki", "select", "wire", "job/spec", "os", "base"},
    "cli/line": {"client", "job/spec", "wire", "base"},
    "cli/run": {"cli/line", "client", "net", "job/spec", "pki", "wire", "os", "base"},
    "cli/daemons": {"cli/line", "agent", "controller/server", "client", "os", "base"},
    "cli/enrol": {"cli/daemons", "cli/line", "agent", "client", "pki", "os", "base"},
    "cli/verbs": {"cli/enrol", "cli/run", "cli/line", "client", "schedule", "pki", "base"},
    "cli/doctor": {"cli/daemons", "cli/line", "agent", "controller/server", "client", "pki", "os",
                   "base"},
    "cli/demo": {"cli/line", "agent", "controller/server", "client", "os", "base"},
    "cli": {"cli/run", "cli/line", "os", "base"},
}
# Folders that run jobs as root or decide: they stay small and without these libraries.
NETWORK_INCLUDE = re.compile(r"<(asio[/.]|asio>|openssl/ssl\.h)")
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')

BANNED = [
    (re.compile(r"\basio::detached\b"), "asio::detached swallows exceptions: use spawn()",
     ("src", "cli", "tests")),
    (re.compile(r"(?<![\w.:>])(std::|::)?system\s*\("), "system() goes through a shell",
     ("src", "cli", "tests")),
    (re.compile(r"\bpopen\s*\("), "popen() goes through a shell", ("src", "cli", "tests")),
    (re.compile(r"\b(TODO|FIXME|XXX)\b(?!\s*\([^)]+\))"), "TODO without a (reason)",
     ("src", "cli", "tests")),
    (re.compile(r"co_await[^;]*\|\|[^;]*co_await|\|\|\s*co_await|co_await\s*\([^;]*\|\|"),
     "|| between awaitables swallows errors: use with_timeout()", ("src", "cli")),
    (re.compile(r"\b(sleep_for|sleep_until|usleep|nanosleep)\b\s*\("),
     "a test waits on events, not on time", ("tests",)),
]


@functools.cache
def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()


def sources(*tops, suffixes=(".cpp", ".hpp")):
    for top in tops:
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in suffixes and path.is_file():
                yield path


def place(path, number=None):
    shown = str(path.relative_to(ROOT))
    return shown if number is None else f"{shown}:{number}"


def includes(path):
    """(line number, quote, what) of each include."""
    for number, line in enumerate(lines_of(path), 1):
        found = INCLUDE.match(line)
        if found:
            yield number, found.group(1), found.group(2)


def folder_of(path):
    """The folder that a file lies in: "src/base", "src/job/spool", "cli"."""
    return path.relative_to(ROOT).parent.as_posix()


@functools.cache
def code_of(path):
    """The lines with comments and string contents blanked, so that words in them do not count.

    Raw strings may span lines; a line splice inside a comment is not known here and not used."""
    text = "\n".join(lines_of(path))
    token = re.compile(r'R"(\w*)\((?:.|\n)*?\)\1"|"(?:\\.|[^"\\\n])*"'
                       r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'|//[^\n]*|/\*(?:.|\n)*?\*/")

    def blank(match):
        found = match.group(0)
        inside = re.sub(r"[^\n]", " ", found)
        return inside if found.startswith("/") else '"' + inside[1:-1] + '"'

    return token.sub(blank, text).split("\n")


def is_generated(name):
    """A header that CMake writes into the build directory."""
    return name in (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")


def rule_arrows():
    """includes follow the arrows of the layout"""
    for path in sources("src", "cli"):
        here = folder_of(path)
        if here not in ARROWS:
            yield f"{place(path)}: {here} has no arrows in tests/tidy_test.py"
            continue
        for number, quote, what in includes(path):
            if quote != '"':
                continue
            if what.startswith(("src/", "cli/")):
                folder = what.rpartition("/")[0]
                if folder != here and folder.removeprefix("src/") not in ARROWS[here]:
                    yield f"{place(path, number)}: {here} may not include {what}"
            elif not is_generated(what):
                yield f'{place(path, number)}: "{what}" is not written from the repository root'


def rule_existing_includes():
    """quoted includes name files that exist"""
    for path in sources("src", "cli", "tests"):
        for number, quote, what in includes(path):
            if quote == '"' and not (ROOT / what).is_file() and not is_generated(what):
                yield f"{place(path, number)}: there is no {what}"


def rule_network_libraries():
    """only src/net includes Asio and libssl"""
    for path in sources("src", "cli"):
        if folder_of(path) == "src/net":
            continue
        for number, quote, what in includes(path):
            if quote == "<" and NETWORK_INCLUDE.match(f"<{what}"):
                yield f"{place(path, number)}: <{what}> belongs to src/net"


@functools.cache
def reaches_asio(path):
    """Whether a file includes Asio, directly or through our own headers."""
    for _, quote, what in includes(path):
        if quote == "<" and what.startswith("asio"):
            return True
        inner = ROOT / what
        if quote == '"' and inner.is_file() and inner != path and reaches_asio(inner):
            return True
    return False


def rule_asio_units():
    """at most 40 translation units include Asio"""
    units = [p for p in sources("src", "cli", suffixes=(".cpp",)) if reaches_asio(p)]
    if len(units) > MAX_ASIO_UNITS:
        yield f"{len(units)} units do: " + ", ".join(map(place, units))


def rule_file_length():
    """no file is longer than 400 lines"""
    tops = ("src", "cli", "tests", "cmake", "completions", "man", ".ci")
    suffixes = (".cpp", ".hpp", ".py", ".sh", ".txt", ".cmake", ".md")
    for path in sources(*tops, suffixes=suffixes):
        if len(lines_of(path)) > MAX_LINES:
            yield f"{place(path)}: {len(lines_of(path))} lines; split it by noun"


def rule_columns():
    """no C++ line is longer than 100 columns"""
    for path in sources("src", "cli", "tests"):
        wide = [str(n) for n, line in enumerate(lines_of(path), 1) if len(line) > MAX_COLUMNS]
        if wide:
            yield f"{place(path)}: {'lines' if len(wide) > 1 else 'line'} {' '.join(wide)}"


def functions_of(path):
    """(first line, number of lines) of each function body, by matching braces.

    A brace begins a body when a ")" stands between it and the last statement, and everything around
    it is a namespace or a type; lambdas and blocks inside a body belong to it."""
    text = "\n".join("" if line.lstrip().startswith("#") else line for line in code_of(path))
    opened = []  # for each open brace: the line of a body's head, or None
    head, line, head_line = "", 1, 1
    for c in text:
        line += c == "\n"
        if c == "{":
            nested = any(opened)
            scope = re.search(r"\b(namespace|class|struct|union|enum|extern)\b", head)
            body = ")" in head and not nested and (not scope or re.search(r"\)[^;]*$", head))
            opened.append(head_line if body else None)
        elif c == "}" and opened:
            begun = opened.pop()
            if begun:
                yield begun, line - begun + 1
        if c in "{};":
            head, head_line = "", line
        elif head.strip():
            head += c
        else:
            head, head_line = c, line


def rule_function_length():
    """no function is longer than 60 lines"""
    for path in sources("src", "cli"):
        for number, length in functions_of(path):
            if length > MAX_FUNCTION:
                yield f"{place(path, number)}: {length} lines"


def rule_banned_words():
    """no banned word is used"""
    for pattern, why, tops in BANNED:
        todo = "TODO" in pattern.pattern
        for path in sources(*tops):
            if tops == ("tests",) and "bench" in path.parts:
                continue  # a measurement may last for a fixed time
            for number, line in enumerate(lines_of(path) if todo else code_of(path), 1):
                if pattern.search(line):
                    yield f"{place(path, number)}: {why}"


def rule_python_sleeps():
    """end-to-end tests wait on events, not on time"""
    # A poll with a deadline lives in one place, tests/support or conftest.py, and may sleep.
    for path in sources("tests/e2e", suffixes=(".py",)):
        if path.name.startswith("test_"):
            for number, line in enumerate(lines_of(path), 1):
                if re.search(r"\btime\.sleep\s*\(", line):
                    yield f"{place(path, number)}: time.sleep"


def rule_opening_comment():
    """each header opens with what it is, and so does a source file that has none"""
    for path in sources("src", "cli"):
        if path.with_suffix(".hpp").is_file() and path.suffix == ".cpp":
            continue
        if not lines_of(path) or not lines_of(path)[0].startswith("//"):
            yield f"{place(path)}: the first line is not a comment"


def rule_pragma_once():
    """each header is included once"""
    for path in sources("src", "cli", "tests", suffixes=(".hpp",)):
        if "#pragma once" not in lines_of(path):
            yield f"{place(path)}: no #pragma once"


def rule_readmes():
    """each folder has a README of at most 40 lines, 80 with the table of all kinds of fault"""
    folders = [ROOT / "cli", ROOT / "tests"]
    folders += [p for top in ("src", "cli") for p in sorted((ROOT / top).rglob("*")) if p.is_dir()]
    folders += [p for p in sorted((ROOT / "tests").iterdir()) if p.is_dir()]
    for folder in folders:
        if not any(p.is_file() for p in folder.rglob("*")) or folder.name[0] in "._":
            continue
        readme = folder / "README.md"
        if not readme.is_file():
            yield f"{place(folder)}: no README.md"
        elif len(lines_of(readme)) > (80 if folder.name == "tests" else 40):
            yield f"{place(readme)}: {len(lines_of(readme))} lines"


def rule_private_words():
    """no file names a person's machine"""
    for path in sources("src", "cli", "tests", "cmake", "man", "completions",
                        suffixes=(".cpp", ".hpp", ".py", ".sh", ".md", ".txt", ".1")):
        if path == pathlib.Path(__file__).resolve():
            continue
        for number, line in enumerate(lines_of(path), 1):
            if re.search(r"/work/|/home/[a-z]+/(src|work)", line):
                yield f"{place(path, number)}: {line.strip()[:80]}"


def main():
    rules = [value for name, value in list(globals().items()) if name.startswith("rule_")]
    failed = 0
    for rule in rules:
        broken = list(rule())
        failed += 1 if broken else 0
        print(f"{'FAIL' if broken else 'ok  '} tidy: {rule.__doc__}")
        for line in broken:
            print(f"  {line}")
    print(f"{len(rules) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
