"""Write a static page that runs an exported model in the visitor's browser; serve OUT by any web server."""

import argparse
import tempfile
from pathlib import Path

from encodec_eval import page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("export", type=Path, metavar="EXPORT", help="folder that `python -m codec export` wrote")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the page")
    parser.add_argument(
        "--runtime",
        type=Path,
        metavar="FILE",
        help=f"{page.PACKAGE}-{page.VERSION}.tgz (default: npm fetches it)",
    )
    parser.add_argument(
        "--webgpu",
        action="store_true",
        help="use the visitor's GPU where that is faster and gives the same codes: +27 MB",
    )


def main(arguments: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as folder:
        runtime = arguments.runtime or page.fetch_runtime(Path(folder))
        page.build(arguments.out, arguments.export, runtime, arguments.webgpu)
    print(f"{arguments.out}/index.html: python -m http.server -d {arguments.out} shows it at http://localhost:8000")
    return 0
