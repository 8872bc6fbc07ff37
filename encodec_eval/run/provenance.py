"""Where numbers come from: versions, commit, machine, command."""

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

ALWAYS_USED = ("torch", "torchaudio", "numpy", "scipy", "soundfile")  # reading, resampling and aligning clips


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Installed versions of those packages, by their names on PyPI; one that is not installed is left out."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def session(command: list[str]) -> dict[str, object]:
    """A record of this process: when, where, from which commit and by which command it runs."""
    return {
        "command": shlex.join(["python", "-m", "encodec_eval", *command]),
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(),
        "python": platform.python_version(),
        "machine": machine(),
    }


def commit() -> str:
    """The git commit of this code, `-dirty` behind it if files differ, or what is known without git."""
    folder = Path(__file__).parents[1]
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return head + (
            "-dirty" if _git(folder, "status", "--porcelain", "--untracked-files=no", ".", "../codec") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"


def _git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return result.stdout.strip()


def machine() -> dict[str, object]:
    """Processor, cores, memory, accelerator and system."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> int | None:
    if sys.platform == "win32":
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
