"""The manual and --help say the same: every verb has a page, every flag is on both, and the pages
are clean."""
import re
import shutil
import subprocess

import pytest

from support.cli import BINARY, REPOSITORY

MAN = REPOSITORY / "man"
FLAG = re.compile(r"^ {2}(?:-(\S), | {4})--([a-z0-9-]+)", re.MULTILINE)


def help_of(*verb):
    return subprocess.run([BINARY, *verb, "--help"], capture_output=True, text=True, check=True,
                          timeout=20).stdout


def listed(text):
    """The names of the first two-column list below the usage line: verbs or sub-commands."""
    block = text.split("\n\n")[2]
    return re.findall(r"^  ([a-z]+) +\S", block, re.MULTILINE)


def flags_in_help(text):
    body = text.split("flags:\n", 1)[1].split("\n\n")[0] if "flags:\n" in text else ""
    return {(letter or "", name) for letter, name in FLAG.findall(body)}


def flags_in_page(source):
    items = re.findall(r"^\.It (?:Fl (\S) , )?Fl Fl ([a-z0-9-]+)", source, re.MULTILINE)
    return {(letter or "", name) for letter, name in items}


VERBS = listed(help_of())


def subs_of(verb):
    text = help_of(verb)
    is_noun = re.search(r"^usage: rexec \S+ \S*\|", text, re.MULTILINE)
    has_flags = "\nflags:\n" in text
    return listed(text) if is_noun and not has_flags and verb not in ("completion",) else []


def test_every_verb_has_a_page_and_every_page_a_verb():
    assert {p.stem for p in MAN.glob("*.1")} == {"rexec"} | {f"rexec-{verb}" for verb in VERBS}


@pytest.mark.parametrize("verb", VERBS)
def test_help_and_the_page_have_the_same_flags(verb):
    wanted = flags_in_help(help_of(verb))
    for sub in subs_of(verb):
        wanted |= flags_in_help(help_of(verb, sub))
    page = (MAN / f"rexec-{verb}.1").read_text(encoding="utf-8")
    assert flags_in_page(page) == wanted


@pytest.mark.parametrize("verb", [verb for verb in VERBS if subs_of(verb)])
def test_the_page_of_a_noun_has_all_its_sub_commands(verb):
    page = (MAN / f"rexec-{verb}.1").read_text(encoding="utf-8")
    synopsis = page.split(".Sh DESCRIPTION")[0]
    assert re.findall(rf"^\.Nm rexec {verb} (\w+)$", synopsis, re.MULTILINE) == subs_of(verb)
    for sub in subs_of(verb):
        assert f".It Cm {sub}\n" in page


def test_rexec_1_has_the_global_flags_and_all_verbs():
    page = (MAN / "rexec.1").read_text(encoding="utf-8")
    body = help_of().split("global flags:\n")[1].split("\n\n")[0]
    assert flags_in_page(page) == {(letter or "", name) for letter, name in FLAG.findall(body)}
    assert re.findall(r"^\.It Xr rexec-(\w+) 1$", page, re.MULTILINE) == VERBS


def test_the_one_line_descriptions_are_the_summaries():
    for verb in VERBS:
        summary = help_of(verb).split("\n")[0].split(": ", 1)[1]
        page = (MAN / f"rexec-{verb}.1").read_text(encoding="utf-8")
        assert f".Nd {summary}\n" in page.replace("\\&...", "…"), verb


def test_the_pages_are_clean():
    if shutil.which("mandoc") is None:
        pytest.skip("not here: no mandoc")
    pages = sorted(MAN.glob("*.1"))
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True,
                          text=True, timeout=60)
    assert (lint.returncode, lint.stdout) == (0, "")
