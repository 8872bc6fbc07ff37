"""`python -m encodec_eval`: a subcommand for each file of `commands`; without a name it is `evaluate`."""

import argparse
import ast
import contextlib
import importlib
import logging
import pkgutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from encodec_eval import commands

COMMANDS = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))
DEFAULT = "evaluate"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand. Returns the exit code: 2 for what the user can fix, after one line on stderr."""
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = list(given)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if arguments and arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    name = arguments.pop(0) if arguments and arguments[0] in COMMANDS else DEFAULT
    try:
        with terminable():
            return run_command(name, arguments, given)
    except KeyboardInterrupt as error:
        kept = "; finished scores are on disk, and the same command resumes from there" if name == DEFAULT else ""
        print(f"stopped{kept}", file=sys.stderr)
        return 143 if isinstance(error, Terminated) else 130


def run_command(name: str, arguments: list[str], given: list[str]) -> int:
    """Run a subcommand with its own arguments; `given` is the whole command, for the record. Returns the exit code."""
    try:
        module = importlib.import_module(f"{commands.__name__}.{name}")
        from codec import CodecError
        from encodec_eval.types import EvalError
    except (ImportError, OSError, RuntimeError) as error:  # torchaudio raises all three beside a wrong torch
        if isinstance(error, RuntimeError) and not repair_hint(error):
            raise
        print(f"error: {error}{repair_hint(error)}", file=sys.stderr)
        return 2
    parser = argparse.ArgumentParser(prog=f"python -m encodec_eval {name}", description=module.__doc__)
    module.add_arguments(parser)
    try:
        return int(module.main(parser.parse_args(arguments, argparse.Namespace(argv=given))))
    except (EvalError, CodecError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """In here SIGTERM stops the command as Ctrl-C does."""

    def terminate(signum: int, frame: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def usage() -> str:
    """The overview that `--help` without a subcommand prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {_summary(name)}{' (the default)' * (name == DEFAULT)}" for name in COMMANDS]
    return "python -m encodec_eval [COMMAND] ... (COMMAND --help tells its options)\n\n" + "\n".join(lines)


def _summary(name: str) -> str:
    """The first line of a subcommand's file, which is not imported: some load torch."""
    text = (Path(commands.__path__[0]) / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0].rstrip(".")


def repair_hint(error: Exception) -> str:
    """How to repair a torchaudio that does not fit the torch beside it."""
    if any(word in str(error).lower() for word in ("torchaudio", "libtorch", "libc10", "libcuda")):
        return " (torchaudio does not fit this torch: pip install --force-reinstall 'torch<2.15' torchaudio)"
    return ""


if __name__ == "__main__":
    sys.exit(main())
