"""The synchronised player: a web component without dependencies, for plain pages and for Gradio's `gr.HTML`.

Beside this file lie `engine.js` (Web Audio), `view.js` and `player.js` (the element `<sync-player>`) and `player.css`,
and `blind.js` and `blind.css` (the element `<blind-test>`, which holds a player).
"""

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

_FOLDER = Path(__file__).parent
_FOLLOW_THEME = """
const player = element.firstElementChild;
const theme = () => { player.style.colorScheme = document.body.classList.contains("dark") ? "dark" : "light"; };
new MutationObserver(theme).observe(document.body, { attributes: true, attributeFilter: ["class"] });
theme();
"""
_FOLLOW_VALUE = """
const show = () => {
  const versions = (props.value && props.value.versions) || [];
  player.versions = versions.map((version) => ({ url: version.audio && version.audio.url, ...version }));
};
show();
watch("value", show);
"""


class Version(TypedDict, total=False):
    """One version of a clip: what the button says, where the audio is (URL or data URL), a second, smaller line."""

    label: str
    url: str
    note: str


def data_url(path: str | Path) -> str:
    """The audio file at `path` as a base64 data URL, for pages that must work without a server."""
    return "data:audio/wav;base64," + base64.b64encode(Path(path).read_bytes()).decode()


def script() -> str:
    """JavaScript that defines the element `<sync-player>`, its looks included. Running it twice does no harm."""
    return _element("sync-player", "SyncPlayer", ("engine.js", "view.js", "player.js"), "PlayerView", "player.css")


def blind_script() -> str:
    """JavaScript that defines the elements `<sync-player>` and `<blind-test>`: ABX and blind ranking."""
    return script() + _element("blind-test", "BlindTest", ("blind.js",), "BlindTest", "blind.css")


def _element(tag: str, cls: str, files: Sequence[str], css_owner: str, css_file: str) -> str:
    source = "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in files)
    css = json.dumps((_FOLDER / css_file).read_text(encoding="utf-8"))
    define = f'{css_owner}.css = {css};\ncustomElements.define("{tag}", {cls});'
    return f"if (!customElements.get('{tag}')) {{\n{source}\nglobalThis.{cls} = {cls};\n{define}\n}}\n"


def page(title: str, versions: Sequence[Version]) -> str:
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


def gradio_arguments(attributes: str = "") -> dict[str, str | bool]:
    """Arguments that make a `gr.HTML` this player: `gr.HTML(value={"versions": [...]}, **gradio_arguments())`.

    The value is `{"versions": [Version, ...]}`. Give URLs that the browser can fetch, or instead of `url` a dumped
    `gr.FileData` as `audio`, but no data URLs: a value is compared whole at each update. A value with the same first
    version is the same clip and does not disturb what plays. `attributes` is put into the tag, as in `rate=48000`.
    """
    return {
        "html_template": f"<sync-player {attributes}></sync-player>",
        "js_on_load": script() + _FOLLOW_THEME + _FOLLOW_VALUE,
        "apply_default_css": False,
    }


def gradio_blind_arguments(of: str, attributes: str = "") -> dict[str, str | bool]:
    """Arguments that make a `gr.HTML` the blind test of what is in the player that the CSS selector `of` names."""
    return {
        "html_template": f'<blind-test of="{of}" {attributes}></blind-test>',
        "js_on_load": blind_script() + _FOLLOW_THEME,
        "apply_default_css": False,
    }
