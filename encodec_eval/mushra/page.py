"""The page that listeners get: `page/index.html` and one audio script a trial; it opens from disk as from a server."""

import base64
import html
import json
from pathlib import Path

from encodec_eval import player
from encodec_eval.listening.crowd import headphones
from encodec_eval.listening.crowd.pacing import pacing
from encodec_eval.listening.crowd.privacy import privacy_html
from encodec_eval.listening.crowd.settings import Settings, load_settings, public
from encodec_eval.listening.crowd.words import words
from encodec_eval.mushra.manifest import Item, Manifest

_FOLDER = Path(__file__).parent
_METHODS = _FOLDER.parent / "listening" / "methods"  # the boards of other methods than MUSHRA: *.js, *.css
_CROWD = _FOLDER.parent / "listening" / "crowd" / "crowd.js"
PAGE, PRIVACY = "page", "privacy.html"


def page_data(manifest: Manifest, settings: Settings) -> dict[str, object]:
    """All that the page knows of the test: ids only, in an order that tells nothing about systems."""
    items = {
        item.id: {"open": item.open_reference.id, "stimuli": sorted(stimulus.id for stimulus in item.stimuli)}
        for item in manifest.items
    }
    return {
        "id": manifest.test_id,
        "title": manifest.title,
        "method": manifest.method,
        "forms": manifest.forms,
        "items": items,
        "crowd": public(settings) | pacing(manifest, settings),
        "words": {language: words(language) for language in settings["languages"]},
    }


def write_page(manifest: Manifest, folder: Path) -> None:
    """Write the page of a test whose WAV files lie in `folder/stimuli`."""
    write_index(manifest, folder)
    for item in manifest.items:
        (folder / PAGE / "audio" / f"{item.id}.js").write_text(audio_script(item, folder / "stimuli"), "ascii")


def write_index(manifest: Manifest, folder: Path) -> None:
    """Write what depends on the settings in `folder` (all defaults if there are none): the page without the stimuli."""
    settings = load_settings(folder)
    (folder / PAGE / "audio").mkdir(parents=True, exist_ok=True)
    (folder / PAGE / "index.html").write_text(index_html(manifest, settings), encoding="utf-8")
    (folder / PAGE / PRIVACY).write_text(privacy_html(manifest.title, settings), encoding="utf-8")
    if check := settings["headphones"]:
        script = headphones.audio_script(check["check"], check["seed"])
        (folder / PAGE / "audio" / "headphones.js").write_text(script, "ascii")


def index_html(manifest: Manifest, settings: Settings) -> str:
    """The page itself, scripts and styles included."""
    style, session, boards, pages = (
        "".join(path.read_text(encoding="utf-8") for path in paths)
        for paths in (
            [_FOLDER / "test.css", *sorted(_METHODS.glob("*.css"))],
            [_FOLDER / "session.js"],
            [_FOLDER / "boards.js", *sorted(_METHODS.glob("*.js"))],
            [_FOLDER / "test.js", _CROWD, _FOLDER / "start.js"],
        )
    )
    data = json.dumps(page_data(manifest, settings)).replace("</", "<\\/")
    return f"""<!doctype html>
<html lang="{settings["languages"][0]}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(manifest.title)}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<main></main>
<script>
{player.script()}</script>
<script>
{{
const TEST = {data};
globalThis.mushraData = TEST;
{session}
{boards}
{pages}}}
</script>
</body>
</html>
"""


def audio_script(item: Item, stimuli: Path) -> str:
    """The signals of a trial as a script, which a page opened from disk may load where it may not fetch a file."""
    ids = sorted([item.open_reference.id, *(stimulus.id for stimulus in item.stimuli)])
    files = {name: base64.b64encode((stimuli / f"{name}.wav").read_bytes()).decode() for name in ids}
    return f"mushraAudio({json.dumps(item.id)}, {json.dumps(files)});\n"
