"""`python -m encodec_eval`: evaluate (the default), and the subcommands below."""

import argparse
import contextlib
import importlib
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence

COMMANDS = {
    "evaluate": ("encodec_eval.commands.evaluate", "run systems on a set, score them, write results (the default)"),
    "mushra": ("encodec_eval.commands.mushra", "make, hold and analyse a listening test"),
    "compare": ("encodec_eval.commands.compare", "paired differences between two runs over the same clips"),
    "speed": ("encodec_eval.commands.speed", "how fast EnCodec runs here, beside the reference implementations"),
    "sets": ("encodec_eval.commands.sets", "list the sets with size, rate, licence, and whether they are here"),
    "metrics": ("encodec_eval.commands.metrics", "list the metrics with unit, direction, range, rate and source"),
    "page": ("encodec_eval.commands.page", "write a static page that runs an exported model in the visitor's browser"),
    "report": ("encodec_eval.commands.report", "write the tables and plots of a run again"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand. Returns the exit code: 2 for what the user can mend, after one line on stderr."""
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = list(given)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if arguments and arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    name = arguments.pop(0) if arguments and arguments[0] in COMMANDS else "evaluate"
    try:
        with terminable():
            return run_command(name, arguments, given)
    except KeyboardInterrupt as error:
        kept = "; finished scores are on disk, and the same command resumes from there" if name == "evaluate" else ""
        print(f"stopped{kept}", file=sys.stderr)
        return 143 if isinstance(error, Terminated) else 130


def run_command(name: str, arguments: list[str], given: list[str]) -> int:
    """Run a subcommand with its own arguments; `given` is the whole command, for the record. Returns the exit code."""
    try:
        module = importlib.import_module(COMMANDS[name][0])
        from codec import CodecError
        from encodec_eval.types import EvalError
    except (ImportError, OSError, RuntimeError) as error:  # torchaudio raises all three beside a wrong torch
        if isinstance(error, RuntimeError) and not mend(error):
            raise
        print(f"error: {error}{mend(error)}", file=sys.stderr)
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
    lines = [f"  {name:10} {text}" for name, (_, text) in COMMANDS.items()]
    return "python -m encodec_eval [COMMAND] ... (COMMAND --help tells its options)\n\n" + "\n".join(lines)


def mend(error: Exception) -> str:
    """How to repair a torchaudio that does not fit the torch beside it."""
    if any(word in str(error).lower() for word in ("torchaudio", "libtorch", "libc10", "libcuda")):
        return " (torchaudio does not fit this torch: pip install --force-reinstall 'torch<2.15' torchaudio)"
    return ""


if __name__ == "__main__":
    sys.exit(main())
