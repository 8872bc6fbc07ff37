"""Run the commands of a README as they stand, in order. Usage: readme.py CLONE plain|test

A block marked `sh` is run, line by line, in the clone; a block marked `text` has names to fill in or shows output, and
is not. `plain` runs the blocks before the one that installs the extra [test], and all Python blocks as one program
where the first of them stands; `test` runs that block and those after it. A line whose comment names
http://localhost:PORT starts a server: it must answer there and pass its check, and is then ended with Ctrl-C.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

START_S = 600  # for a server to answer, its installation by pip included
CHECKS = {"app.py": [sys.executable, str(Path(__file__).with_name("check_app.py"))]}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and its text."""

    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        return [line for line in self.text.splitlines() if line.partition("#")[0].strip()]


def blocks(readme: str) -> list[Block]:
    """The fenced blocks of a Markdown text, in order."""
    return [Block(*found) for found in re.findall(r"^```(\w*)\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)]


def python_program(readme: str) -> str:
    """All Python blocks as one program: later ones use names of earlier ones."""
    return "\n".join(block.text for block in blocks(readme) if block.language == "python")


def part(readme: str, name: str) -> list[Block]:
    """The blocks of the plain install or of the test install."""
    found = blocks(readme)
    first = next(n for n, block in enumerate(found) if block.language == "sh" and ".[test]" in block.text)
    return found[:first] if name == "plain" else found[first:]


def served_at(line: str) -> str | None:
    """The address that the comment of a line names, None if it starts no server."""
    address = re.search(r"http://localhost:\d+", line.partition("#")[2])
    return address[0] if address else None


def run(line: str, clone: Path) -> bool:
    """Run a line to its end. Returns whether it succeeded."""
    return subprocess.run(["bash", "-c", line], cwd=clone, stdin=subprocess.DEVNULL).returncode == 0


def serve(line: str, address: str, clone: Path) -> bool:
    """Run a line that serves, ask it, and end it with Ctrl-C. Returns whether all of that went as it should."""
    if answers(address):
        print(f"{address} is taken by something else", flush=True)
        return False
    process = subprocess.Popen(["bash", "-c", line], cwd=clone, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return wait_for(address, process) and check(line, address, clone)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        status = process.wait(60)
        print(f"ended by Ctrl-C with status {status}", flush=True)


def wait_for(address: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        if answers(address):
            return True
        time.sleep(0.5)
    print(f"nothing answers at {address}", flush=True)
    return False


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def check(line: str, address: str, clone: Path) -> bool:
    """The further check of that server, if it has one."""
    commands = [command for name, command in CHECKS.items() if name in line]
    return all(subprocess.run([*command, address], cwd=clone).returncode == 0 for command in commands)


def main() -> int:
    clone, name = Path(sys.argv[1]), sys.argv[2]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job, and its children, ignore it
    readme = (clone / "README.md").read_text(encoding="utf-8")
    failed, program = [], python_program(readme)
    for block in part(readme, name):
        if block.language == "python" and program:
            print("\n$ python  # the Python blocks", flush=True)
            if subprocess.run([sys.executable, "-c", program], cwd=clone).returncode:
                failed.append("the Python blocks")
            program = ""
        for line in block.commands if block.language == "sh" else ():
            print(f"\n$ {line}", flush=True)
            began, address = time.monotonic(), served_at(line)
            if not (serve(line, address, clone) if address else run(line, clone)):
                failed.append(line)
            print(f"({time.monotonic() - began:.0f} s)", flush=True)
    for each in failed:
        print(f"failed: {each}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
