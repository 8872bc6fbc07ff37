"""What the page's components show of a session: the player's, the downloads' and the picture's values."""

import threading
from pathlib import Path
from typing import Any

import gradio as gr

import codec
from encodec_eval.demo import spectrograms
from encodec_eval.demo.coding import to_gradio_error
from encodec_eval.demo.numbers import codec_name, label, rate
from encodec_eval.demo.session import Session
from encodec_eval.types import UndefinedError

# Templates get only texts made here: Gradio evaluates them as JavaScript, so nothing a visitor names may enter them
# but the names of files, which `Session.stem` makes of letters, digits and `._@+-`.
PICTURE = """{{#if value}}<div class="panels">{{#each value.panels}}<img src="{{image.url}}" alt="{{alt}}">{{/each}}
</div>{{/if}}"""
FILES = """{{#if value}}<p><a href="{{value.zip.url}}" download="{{value.zip_name}}">All of it with the numbers, ZIP</a>
</p><table>{{#each value.rows}}<tr><th scope="row">{{name}}</th>{{#each files}}<td><a href="{{file.url}}"
download="{{name}}">{{text}}</a></td>{{/each}}</tr>{{/each}}</table>{{/if}}"""


_drawing = threading.Lock()


def player_value(session: Session, title: str, run: str) -> dict[str, Any]:
    """The value of the player: the original and every version, with files for Gradio to serve.

    `title` is what the page calls the clip; `run` tells two runs apart that give the same.
    """
    versions = [
        {"label": label(version), "short": rate(version), "group": codec_name(version), "audio": _file(version.wav)}
        for version in session.versions
    ]
    if session.original.exists():
        versions.insert(0, {"label": "Original", "group": "", "audio": _file(session.original)})
    return {"title": title, "run": run, "compared": session.original.exists(), "versions": versions}


def files_value(session: Session) -> dict[str, Any]:
    """The value of the list of downloads."""
    rows = [(f"{codec_name(version)} {rate(version)}", version.files) for version in session.versions]
    if session.original.exists():
        rows.insert(0, ("Original", [session.original]))
    archive = session.archive()
    return {
        "zip": _file(archive),
        "zip_name": archive.name,
        "rows": [{"name": name, "files": [_download(path) for path in paths]} for name, paths in rows],
    }


def _download(path: Path) -> dict[str, Any]:
    kind = ".ecdc with LM" if path.name.endswith(".lm.ecdc") else path.suffix
    text = f"{kind}, {path.stat().st_size / 1000:.1f} kB"
    return {"name": path.name, "text": text, "file": _file(path)}


def picture_value(session: Session | None, chosen: str | None) -> dict[str, Any] | None:
    """The spectrograms of one version, for the template that shows them; None if there is nothing to show."""
    versions = {label(version): version for version in session.versions} if session else {}
    if session is None or chosen not in versions or not session.original.exists():
        return None
    version = versions[chosen]
    stem = version.wav.with_suffix("")
    try:
        panels = spectrograms.panels(
            *codec.audio.load(session.original), *codec.audio.load(version.wav), chosen, version.codes
        )
        shown = []
        for name, alt, figure in panels:
            path = Path(f"{stem}_{name}.png")
            with _drawing:  # whoever else looks at a kept session draws the same
                if not path.exists():
                    spectrograms.save(figure(), path)
            shown.append({"image": _file(path), "alt": alt})
    except (codec.CodecError, UndefinedError) as error:
        raise to_gradio_error(f"No picture: {error}") from error
    return {"name": chosen, "panels": shown}


def _file(path: Path) -> dict[str, Any]:
    return gr.FileData(path=str(path)).model_dump()
