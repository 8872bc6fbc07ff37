"""The page that listeners get: `page/index.html` and one audio script a trial; it opens from disk as from a server."""

import base64
import html
import json
from pathlib import Path

from encodec_eval import player
from encodec_eval.mushra.manifest import Item, Manifest

_FOLDER = Path(__file__).parent
PAGE = "page"


def page_data(manifest: Manifest) -> dict[str, object]:
    """All that the page knows of the test: ids only, in an order that tells nothing about systems."""
    items = {
        item.id: {"open": item.open_reference.id, "stimuli": sorted(stimulus.id for stimulus in item.stimuli)}
        for item in manifest.items
    }
    return {"id": manifest.test_id, "title": manifest.title, "forms": manifest.forms, "items": items}


def write_page(manifest: Manifest, folder: Path) -> None:
    """Write the page of a test whose WAV files lie in `folder/stimuli`."""
    (folder / PAGE / "audio").mkdir(parents=True, exist_ok=True)
    (folder / PAGE / "index.html").write_text(index_html(manifest), encoding="utf-8")
    for item in manifest.items:
        (folder / PAGE / "audio" / f"{item.id}.js").write_text(audio_script(item, folder / "stimuli"), "ascii")


def index_html(manifest: Manifest) -> str:
    """The page itself, scripts and styles included."""
    read = {name: (_FOLDER / name).read_text(encoding="utf-8") for name in ("session.js", "test.js", "test.css")}
    data = json.dumps(page_data(manifest)).replace("</", "<\\/")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(manifest.title)}</title>
<link rel="icon" href="data:,">
<style>
{read["test.css"]}</style>
</head>
<body>
<main></main>
<script>
{player.script()}</script>
<script>
{{
const TEST = {data};
globalThis.mushraData = TEST;
{read["session.js"]}
{read["test.js"]}}}
</script>
</body>
</html>
"""


def audio_script(item: Item, stimuli: Path) -> str:
    """The signals of a trial as a script, which a page opened from disk may load where it may not fetch a file."""
    ids = sorted([item.open_reference.id, *(stimulus.id for stimulus in item.stimuli)])
    files = {name: base64.b64encode((stimuli / f"{name}.wav").read_bytes()).decode() for name in ids}
    return f"mushraAudio({json.dumps(item.id)}, {json.dumps(files)});\n"
