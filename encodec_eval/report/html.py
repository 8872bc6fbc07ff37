"""`report.html`: one file with the tables, the curves, and clips to hear, that needs nothing beside it."""

import base64
import json
import re
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from encodec_eval.report.tables import number

SHOW_FILES = 'for (const e of document.querySelectorAll("[data-file]")) e.src = files[e.dataset.file];'
STYLE = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")

Section = tuple[str, pd.DataFrame, str]


def page(title: str, note: str, sections: list[Section], figures: list[Path], folder: Path, provenance: str) -> str:
    """The whole page. `figures` are SVG files; examples are read from `folder`, if they are there."""
    parts = [f"<h1>{escape(title)}</h1>"]
    if note:
        parts.append(f'<p class="note">{escape(note)}</p>')
    main, *others = sections
    parts.append(table_section(*main))
    if figures:
        drawings = "".join(f"<figure>{inline_svg(path)}</figure>" for path in figures)
        parts.append(f'<section><h2>Curves</h2><div class="figures">{drawings}</div></section>')
    listen, files = listening_section(folder)
    parts.append(listen)
    parts += [table_section(*section) for section in others]
    parts.append(f"<section><h2>Provenance</h2>{provenance_list(provenance)}</section>")
    parts.append(embedded(files))
    body = "\n".join(part for part in parts if part)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head>\n<body>{body}</body></html>\n'


def table_section(name: str, table: pd.DataFrame, note: str) -> str:
    """A heading, what to know, and a table of text."""
    body = table.to_html(index=False, border=0, escape=True, justify="unset")
    return f'<section><h2>{escape(name)}</h2><p>{inline(note)}</p><div class="scroll">{body}</div></section>'


def inline_svg(path: Path) -> str:
    """An SVG file's element, its ids made unique so that several can stand in one page."""
    text = path.read_text(encoding="utf-8")
    text = text[text.index("<svg") :]
    prefix = re.sub(r"\W", "_", path.stem)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{prefix}-", text)
    return f'<div role="img" aria-label="{escape(path.stem)}">{text}</div>'


def listening_section(folder: Path) -> tuple[str, dict[str, Path]]:
    """Players and spectrograms of the worst, median and best clip of each system, and the files that they show."""
    listing = folder / "examples" / "examples.json"
    if not listing.is_file():
        return "", {}
    rows = [row for row in json.loads(listing.read_text(encoding="utf-8")) if {"audio", "point"} <= row.keys()]
    if not rows:
        return "", {}
    cards = []
    for point, examples in groupby(rows, key=lambda row: str(row["point"])):
        body = "".join(example(row) for row in examples)
        cards.append(f"<details><summary>{escape(point)}</summary>{body}</details>")
    title = rows[0]["title"]
    note = f"The worst, median and best clip of each point by {title}; at most the first 6 seconds, lossless. "
    note += "Spectrograms: 0 to 8 kHz, 80 dB deep."
    sounds = {row[key]: listing.parent / row[key] for row in rows for key in ("reference", "audio")}
    pictures = {picture_of(name): path.with_suffix(".png") for name, path in sounds.items()}
    return f"<section><h2>Listen</h2><p>{escape(note)}</p>{''.join(cards)}</section>", sounds | pictures


def example(row: dict[str, Any]) -> str:
    """Reference and output of one clip side by side."""
    title, digits = row["title"], row["digits"]
    heading = f"{row['rank'].capitalize()}: {title} {number(row['value'], digits)}"
    sides = side("reference", row["reference"]) + side("output", row["audio"])
    clip = escape(str(row["clip"]))
    return f'<h3>{escape(heading)} <small>{clip}</small></h3><div class="pair">{sides}</div>'


def side(name: str, audio: str) -> str:
    """One picture and one player; `embedded` brings what they show."""
    image = f'<img alt="spectrogram of the {name}" data-file="{escape(picture_of(audio))}">'
    return f'<div><h4>{name}</h4>{image}<audio controls preload="none" data-file="{escape(audio)}"></audio></div>'


def picture_of(audio: str) -> str:
    """The name of the picture beside an audio file."""
    return audio.removesuffix(".flac") + ".png"


def embedded(files: dict[str, Path]) -> str:
    """Every file once, however many elements show it, and the script that hands them out."""
    if not files:
        return ""
    kinds = {".flac": "audio/flac", ".png": "image/png"}
    urls = {
        name: f"data:{kinds[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"
        for name, path in files.items()
    }
    return f"<script>const files = {json.dumps(urls)};{SHOW_FILES}</script>"


def provenance_list(provenance: str) -> str:
    """The bullet list of the Markdown report as HTML."""
    items = (inline(line[2:]) for line in provenance.splitlines() if line.startswith("- "))
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def inline(text: str) -> str:
    """A line of Markdown with nothing but code spans, as HTML."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text))
