"""Options and subcommands that the commands for listening tests share."""

import argparse
import contextlib
import os
import signal
from pathlib import Path

from encodec_eval.listening.crowd.export import export
from encodec_eval.listening.crowd.hub import Backup
from encodec_eval.listening.crowd.make import add_crowd
from encodec_eval.listening.crowd.settings import Settings, read_settings
from encodec_eval.mushra.server import Holding, Server
from encodec_eval.types import EvalError


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--crowd`, `--per-listener` and `--ratings`, of a command that makes a test."""
    group = parser.add_argument_group("crowds")
    group.add_argument("--crowd", type=Path, metavar="FILE", help="settings in JSON or YAML: consent, questions, ...")
    group.add_argument("--per-listener", type=int, metavar="K", help="items for each listener (default: a whole form)")
    group.add_argument("--ratings", type=int, metavar="N", help="least number of listeners for each item (default: 10)")


def settings_of(arguments: argparse.Namespace) -> Settings | None:
    """The settings that `--crowd` names; read before the test is made, which takes long."""
    return read_settings(arguments.crowd) if arguments.crowd else None


def finish(arguments: argparse.Namespace, settings: Settings | None, folder: Path) -> None:
    """Give the test made in `folder` what the options ask for."""
    if settings is not None or arguments.per_listener is not None or arguments.ratings is not None:
        manifest = add_crowd(folder, settings, arguments.per_listener, arguments.ratings)
        if arguments.per_listener is not None:
            what = "items" if manifest.method == "mushra" else "trials"
            print(f"{len(manifest.forms)} forms of {len(manifest.forms[0])} {what}: as many listeners are needed")


def serve_parser(parser: argparse.ArgumentParser) -> None:
    """Of the subcommand `serve`."""
    parser.add_argument("test", type=Path, help="folder of a test")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other machines in (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--token", help="password of /status (default: $LISTENING_TOKEN, or a random one)")
    parser.add_argument(
        "--rate-limit",
        type=float,
        default=50,
        metavar="R",
        help="requests per second that a client may make; 0: no limit (default: 50)",
    )
    parser.add_argument("--behind-proxy", action="store_true", help="trust the last entry of X-Forwarded-For")
    parser.add_argument(
        "--hub",
        metavar="USER/NAME",
        help="private data set for the answers (default: $LISTENING_DATASET; needs HF_TOKEN)",
    )
    parser.set_defaults(run=serve)


def serve(arguments: argparse.Namespace) -> None:
    """Hold a test until Ctrl-C or SIGTERM."""
    if not 0 <= arguments.port <= 65535:
        raise EvalError(f"--port must be from 0 to 65535, not {arguments.port}")
    if not 0 <= arguments.rate_limit <= 1e6:
        raise EvalError(f"--rate-limit is {arguments.rate_limit:g}; expected requests a second from 0 to 1000000")
    token = arguments.token or os.environ.get("LISTENING_TOKEN")
    rate = arguments.rate_limit
    holding = Holding(token, rate, max(1, round(20 * rate)), arguments.behind_proxy)
    dataset = arguments.hub or os.environ.get("LISTENING_DATASET")
    backup = Backup.connect(dataset, arguments.test) if dataset else contextlib.nullcontext()
    with backup, Server((arguments.host, arguments.port), arguments.test, holding) as server:
        host, port = server.server_address[:2]
        print(f"http://{host!s}:{port}/ - results in {server.test.results}; stop with Ctrl-C", flush=True)
        shown = server.token if token is None else "..."
        print(f"progress: http://{host!s}:{port}/status?token={shown}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            server.serve_forever()


def export_parser(parser: argparse.ArgumentParser) -> None:
    """Of the subcommand `export`."""
    parser.add_argument("test", type=Path, help="folder of a test")
    parser.add_argument("--out", type=Path, default=Path("answers.csv"), help=".csv or .parquet (default: %(default)s)")
    parser.set_defaults(run=write_export)


def write_export(arguments: argparse.Namespace) -> None:
    """Write the tidy table of all answers."""
    print(f"{export(arguments.test, arguments.out)} scores written to {arguments.out}")
