"""`python -m encodec_eval --help`."""

import subprocess
import sys
from pathlib import Path

from encodec_eval import commands
from encodec_eval.__main__ import COMMANDS, main
from tests import ROOT


def test_every_file_of_commands_is_one_and_says_what_it_does(capsys):
    files = {file.stem for file in Path(commands.__path__[0]).glob("*.py")} - {"__init__"}
    assert set(COMMANDS) == files
    assert main(["--help"]) == 0
    listed = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line[:2] == "  "}
    assert set(listed) == files
    assert all(listed.values())


def test_the_overview_needs_no_torch():
    code = "import sys; from encodec_eval.__main__ import main; main(['--help']); print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert answer.splitlines()[-1] == "False"
