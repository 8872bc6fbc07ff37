"""The mode "Runs on your device": the static page of `python -m encodec_eval page`, served by the app."""

import os
import sys
from pathlib import Path
from typing import Any

from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

PATH = "/device"
_NEEDED = ("index.html", "page.js", "model/config.json")


def built_page() -> Path | None:
    """The folder in `$ENCODEC_PAGE`, None without; ends the program where that is no such page."""
    given = os.environ.get("ENCODEC_PAGE")
    if not given:
        return None
    missing = [name for name in _NEEDED if not (Path(given) / name).is_file()]
    if missing:
        print(
            f"ENCODEC_PAGE: {given} lacks {', '.join(missing)}; expected what `python -m encodec_eval page` writes",
            file=sys.stderr,
        )
        raise SystemExit(2)
    return Path(given)


PAGE = built_page()


def launch_arguments() -> dict[str, Any]:
    """Arguments of `launch` that serve the page at `PATH`, if there is one."""
    if PAGE is None:
        return {}
    return {"app_kwargs": {"routes": [Mount(PATH, StaticFiles(directory=PAGE, html=True))]}}


def about() -> str:
    """Where the page is, or that there is none: HTML."""
    if PAGE is None:
        return (
            "<p>Not set up on this server: <code>python -m encodec_eval page</code> makes a page that needs none.</p>"
        )
    return (
        f'<p><a href="{PATH.lstrip("/")}/" target="_blank">Open the page that codes on your device</a>: your browser '
        "computes, audio stays with you, and it works without a network once it is open.</p>"
    )
