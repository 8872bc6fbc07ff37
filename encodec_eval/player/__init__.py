"""The synchronised player: a web component without dependencies.

Beside this file lie `engine.js` (Web Audio), `view.js` and `player.js` (the element `<sync-player>`) and `player.css`.
"""

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

_FOLDER = Path(__file__).parent


class PlayerVersion(TypedDict, total=False):
    """One version of a clip: what it is called, where the audio is (URL or data URL), a second, smaller line, the name
    that versions of one group stand under, and what the button says there."""

    label: str
    url: str
    note: str
    group: str
    short: str


def data_url(path: str | Path) -> str:
    """The audio file at `path` as a base64 data URL, for pages that must work without a server."""
    return "data:audio/wav;base64," + base64.b64encode(Path(path).read_bytes()).decode()


def script() -> str:
    """JavaScript that defines the element `<sync-player>`, its looks included. Running it twice does no harm."""
    files = [_FOLDER / name for name in ("engine.js", "view.js", "player.js")]
    return element("sync-player", "SyncPlayer", files, "PlayerView", _FOLDER / "player.css")


def element(tag: str, cls: str, files: Sequence[Path], css_owner: str, css: Path) -> str:
    """JavaScript that defines the element `tag` as class `cls` of `files`, once, with `css` given to `css_owner`."""
    source = "\n".join(file.read_text(encoding="utf-8") for file in files)
    define = f'{css_owner}.css = {json.dumps(css.read_text(encoding="utf-8"))};\ncustomElements.define("{tag}", {cls});'
    return f"if (!customElements.get('{tag}')) {{\n{source}\nglobalThis.{cls} = {cls};\n{define}\n}}\n"


def page(title: str, versions: Sequence[PlayerVersion]) -> str:
    """A complete HTML page with one player. With data URLs it needs no other file and opens from disk."""
    items = json.dumps(list(versions)).replace("</", "<\\/")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ max-width: 760px; margin: 0 auto; padding: 24px 16px; font-family: system-ui, sans-serif; }}
</style></head>
<body><main><h1>{html.escape(title)}</h1><sync-player></sync-player></main>
<script>{script()}
document.querySelector("sync-player").versions = {items};
</script></body></html>
"""
