"""What the README shows works: its Python blocks, and the convention by which `.ci/run` runs its commands."""

import importlib.util
import re
import socket
import subprocess
import sys

from tests import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
spec = importlib.util.spec_from_file_location("readme", ROOT / ".ci/readme.py")
readme = importlib.util.module_from_spec(spec)
sys.modules["readme"] = readme  # where dataclasses look their module up
spec.loader.exec_module(readme)


def test_every_python_block_runs_and_prints_what_it_says(tmp_path):
    found = readme.blocks(README)
    first = next(n for n, block in enumerate(found) if block.language == "python")
    assert len(found[first].text.strip().splitlines()) <= 12
    (tmp_path / "encodec_eval").symlink_to(ROOT / "encodec_eval")
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{readme.python_program(README)}"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == found[first + 1].text
    assert (tmp_path / "guitar_6kbps.wav").stat().st_size > 400_000


def test_commands_stand_in_blocks_that_are_run_or_have_names_to_fill_in():
    found = readme.blocks(README)
    assert {block.language for block in found} <= {"sh", "text", "python"}
    assert README.count("```") == 2 * len(found), "a fence that is not at the start of its line, or not closed"
    outside = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    assert not re.findall(r"^(?: {4}|\t)\S.*", outside, re.MULTILINE), (
        "an indented block: neither run nor marked `text`"
    )
    for line in (line for block in found if block.language == "sh" for line in block.commands):
        assert not re.findall(r"\b[A-Z]{2,}\b|<\w+>", line.partition("#")[0]), (
            f"a name to fill in, in a block to run: {line}"
        )


def test_the_plain_install_comes_first_and_servers_name_their_address():
    plain, test = ([line for block in readme.part(README, name) if block.language == "sh" for line in block.commands]
                   for name in ("plain", "test"))  # fmt: skip
    assert plain[0].startswith("pip install -e . && python -m encodec_eval --set librispeech")
    assert test[0].startswith("pip install -e '.[test]' && pytest")
    servers = [line for line in plain + test if re.search(r"app\.py|mushra serve", line.partition("#")[0])]
    assert [readme.served_at(line) for line in servers] == ["http://localhost:7860", "http://localhost:8000"]
    assert sum(readme.served_at(line) is not None for line in plain + test) == len(servers)


def test_a_failing_line_fails_the_readme(tmp_path, monkeypatch, capfd):
    text = "```sh\ntrue\nfalse  # fails\ntouch after\n```\n```python\nx = 1\n```\n```python\nassert x == 1\n```\n"
    (tmp_path / "README.md").write_text(text + "```text\ntouch OUT\n```\n```sh\npip '.[test]'\n```\n")
    monkeypatch.setattr(sys, "argv", ["readme.py", str(tmp_path), "plain"])
    assert readme.main() == 1
    assert capfd.readouterr().out.splitlines()[-1] == "failed: false  # fails"
    assert (tmp_path / "after").exists()
    assert not (tmp_path / "OUT").exists()


def test_a_server_is_asked_and_ended(tmp_path):
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    line = f"python -m http.server {port} --bind localhost  # http://localhost:{port}"
    assert readme.serve(line, readme.served_at(line), tmp_path)
    assert not readme.serve("true  # ends before it answers", readme.served_at(line), tmp_path)
