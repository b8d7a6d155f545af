"""Files that a command writes are no files that it reads."""

import os

import pytest

from skgdpd._cli.main import main
from skgdpd._cli.targets import check_apart


@pytest.mark.parametrize(
    "command",
    [
        ["fit", "READ", "--label", "y", "--out", "READ"],
        ["fit", "a.csv", "--label", "y", "--unlabeled", "READ", "--out", "READ"],
        ["fit", "a.csv", "--id", "i", "--label", "y", "--labels", "READ", "--out", "READ"],
        ["predict", "READ", "a.csv", "--out", "READ"],
        ["predict", "m.zip", "READ", "--out", "READ"],
    ],
    ids=" ".join,
)
def test_a_file_that_is_read_is_not_overwritten(tmp_path, command, capsys):
    path = tmp_path / "read.csv"
    path.write_text("y,t0,t1\n0,1.5,2.5\n1,2.5,1.5\n")
    before = path.read_bytes()
    assert main([word.replace("READ", str(path)) for word in command]) == 2
    assert f"--out {path} is a file that this command reads" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_link_is_the_file_that_it_leads_to(tmp_path):
    path, link = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_text("y\n")
    os.link(path, link)
    with pytest.raises(ValueError, match="is a file that this command reads"):
        check_apart(str(link), [None, str(path)])
    check_apart(str(tmp_path / "new.csv"), [str(path)])
    check_apart(None, [str(path)])
