"""What an error tells people to do next, and small things that were said wrongly or not at all."""
import json
import os
import pathlib

import pytest


# ---- the status of a command line that is wrong

@pytest.mark.parametrize("argv", [
    ("run", "--foo", "--status-file", "S", "n1", "true"),
    ("run", "--status-file=S", "--foo", "n1", "true"),
    ("run", "--status-file", "S", "--fold", "n1", "true"),
    ("run", "--status-file", "S"),
    ("submit", "--status-file", "S", "--foo=1", "n1", "true"),
    ("attach", "--foo", "--status-file", "S", "j-1234"),
    ("run", "--status-file", "S", "-o", "yaml", "n1", "true")])
def test_a_wrong_command_line_is_in_the_status_file_too(cli, tmp_path, argv):
    path = tmp_path / "S"
    done = cli(*[word.replace("S", str(path)) for word in argv])
    assert done.code == 125, done
    status = json.loads(path.read_text())
    assert (status["outcome"], status["code"], status["reason"]) == ("not_started", 125, "usage")


def test_what_belongs_to_the_command_is_no_status_file(cli, tmp_path):
    path = tmp_path / "S"
    assert cli("run", "--foo", "n1", "echo", "--status-file", str(path)).code == 125
    assert cli("run", "--foo", "--status-file", str(tmp_path), "n1", "true").code == 125
    assert not path.exists() and pathlib.Path(tmp_path).is_dir() and os.listdir(tmp_path) == []
