"""The console command: its list of commands, and how it runs them."""

import importlib
from pathlib import Path

import pytest

from posekit.cli.main import HELP, command_modules, main
from posekit.tasks import TASKS

TOOLS = Path(__file__).parents[2] / "tools"
# Of tasks whose folder was removed.
REMOVED = {task.command for task in TASKS if not task.has("cli")}


def test_every_command_has_a_module_and_a_tool():
    tools = {path.stem for path in TOOLS.glob("*.py")} - {"benchmark"}
    modules = command_modules()
    assert tools == {command.replace("-", "_") for command in HELP}
    assert modules.keys() == HELP.keys() - REMOVED
    for module in modules.values():
        assert callable(importlib.import_module(module).main)


@pytest.mark.parametrize("argv", [[], ["--help"]])
def test_help_lists_all_commands(argv, capsys):
    assert main(argv) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in HELP.keys() - REMOVED)


def test_an_unknown_command_is_refused(capsys):
    assert main(["trian"]) == 2
    assert "'trian'" in capsys.readouterr().err


def test_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("posekit ")
