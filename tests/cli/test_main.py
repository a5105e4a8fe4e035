"""The console command: its list of commands, and the way to each."""

import importlib
from pathlib import Path

import pytest

from posekit.cli.main import HELP, command_modules, main

TOOLS = Path(__file__).parents[2] / "tools"


def test_every_command_has_a_module_and_a_tool():
    tools = {path.stem for path in TOOLS.glob("*.py")} - {"benchmark"}
    modules = command_modules()
    assert tools == {command.replace("-", "_") for command in modules} and modules.keys() == HELP.keys()
    for module in modules.values():
        assert callable(importlib.import_module(module).main)


@pytest.mark.parametrize("argv", [[], ["--help"]])
def test_help(argv, capsys):
    assert main(argv) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in HELP)


def test_unknown_command(capsys):
    assert main(["trian"]) == 2
    assert "unknown command 'trian'" in capsys.readouterr().err


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("posekit ")
