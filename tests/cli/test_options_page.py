"""The page of the command line has a table with every option of every command."""

import re
from pathlib import Path

import pytest

from skgdpd._cli.main import COMMANDS, _parser

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()
COLUMNS = "Files with named columns"


def rows_of(title):
    """Options of the table under a heading, with their defaults."""
    text = re.search(rf"^#+ {title}\n(.*?)(^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    rows = {}
    for line in re.findall(r"^\|.*\|$", text, re.MULTILINE):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for option in re.findall(r"`(--[a-z-]+)", cells[0]):
            rows[option] = cells[1]
    return rows


def options_of(command):
    """Actions of a command's options by name: its own, and those that describe columns."""
    parser = next(a for a in _parser([command])._actions if a.choices).choices[command]
    columns = [g for g in parser._action_groups if g.title == COLUMNS.lower()]
    shared = columns[0]._group_actions if columns else []
    own = [a for a in parser._actions if a.option_strings and a not in shared]
    return tuple(
        {a.option_strings[-1]: a for a in actions if a.option_strings[-1] != "--help"}
        for actions in (own, shared)
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_has_every_option_with_its_default(command):
    own, shared = options_of(command)
    for actions, title in ((own, command), (shared, COLUMNS)):
        if not actions:
            continue
        rows = rows_of(title)
        assert set(rows) == set(actions)
        for name, action in actions.items():
            assert (rows[name] == "required") == action.required, name
            if action.default not in (None, False):
                given = action.default if isinstance(action.default, list) else [action.default]
                assert rows[name] == f"`{' '.join(map(str, given))}`", name
            elif action.default is False:
                assert rows[name] == "off", name
