"""`report.html`: one file with the tables, the curves, and clips to hear, that needs no other file."""

import base64
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from encodec_eval.report.tables import is_numeric, number, readable

SHOW_FILES = 'for (const e of document.querySelectorAll("[data-file]")) e.src = files[e.dataset.file];'
PAGE_BYTES = 9_500_000  # what does not fit stays in its folder: a mail takes 10 MB
STYLE = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Section:
    """A part of a report: a table of text with what to know about it, and SVG files that show it.

    `footnotes` say what the marks in the table mean. `quoted` figures were measured by others, on other recordings. In
    the page all but the first section and those that are `open` are folded.
    """

    name: str
    table: pd.DataFrame
    note: str
    figures: Sequence[Path] = ()
    quoted: bool = False
    open: bool = False
    footnotes: str = ""

    @property
    def told(self) -> str:
        """What to know about the table, in one paragraph."""
        return f"{self.note} {self.footnotes}".strip()

    @property
    def shown(self) -> pd.DataFrame:
        """The table as people read it, on a page as wide as it may be."""
        return readable(self.table)


def page(title: str, notes: Sequence[str], sections: Sequence[Section], folder: Path, provenance: str) -> str:
    """The whole page: what stood in for what, the first section with its curves, clips to hear, and the rest folded.

    Examples are read from `folder`, if they are there.
    """
    parts = [f"<h1>{escape(title)}</h1>"]
    if notes:
        parts.append('<div class="note">' + "".join(f"<p>{escape(note)}.</p>" for note in notes) + "</div>")
    main, *others = sections
    parts.append(f"<section>{table_html(main.shown)}{drawings(main)}<p>{inline(main.told)}</p></section>")
    parts += [folded(section) for section in others if section.open]
    more = ["<section><h2>More</h2>", *(folded(section) for section in others if not section.open)]
    more.append(f"<details><summary>Provenance</summary>{provenance_list(provenance)}</details></section>")
    listen, script = listening_section(folder, PAGE_BYTES - sum(len(part.encode()) for part in [STYLE, *parts, *more]))
    body = "\n".join(part for part in [*parts, listen, *more, script] if part)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head>\n<body>{body}</body></html>\n'


def folded(section: Section) -> str:
    """A section behind its name: what to know, the table, the figures."""
    body = f"<p>{inline(section.told)}</p>{table_html(section.shown)}{drawings(section)}"
    return f"<details{' open' if section.open else ''}><summary>{escape(section.name)}</summary>{body}</details>"


def table_html(table: pd.DataFrame) -> str:
    """A table of text; numbers stand to the right."""
    kinds = [' class="number"' if is_numeric(table[name]) else "" for name in table]

    def row(tag: str, cells: Iterable[object]) -> str:
        made = (f"<{tag}{kind}>{escape(str(cell))}</{tag}>" for cell, kind in zip(cells, kinds, strict=True))
        return f"<tr>{''.join(made)}</tr>"

    body = "\n".join(row("td", cells) for cells in table.itertuples(index=False))
    return f'<div class="scroll"><table><thead>{row("th", table)}</thead><tbody>{body}</tbody></table></div>'


def drawings(section: Section) -> str:
    """The figures of a section side by side."""
    if not section.figures:
        return ""
    figures = "".join(f"<figure>{inline_svg(path)}</figure>" for path in section.figures)
    return f'<div class="figures">{figures}</div>'


def inline_svg(path: Path) -> str:
    """An SVG file's element, its ids made unique so that several can stand in one page."""
    text = path.read_text(encoding="utf-8")
    text = text[text.index("<svg") :]
    prefix = re.sub(r"\W", "_", path.stem)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{prefix}-", text)
    return f'<div role="img" aria-label="{escape(path.stem)}">{text}</div>'


def listening_section(folder: Path, room: int) -> tuple[str, str]:
    """Players and spectrograms of the worst, median and best clip of each system, and the script that fills them.

    The script holds the files themselves, median clips first, as far as there is room for so many bytes.
    """
    listing = folder / "examples" / "examples.json"
    if not listing.is_file():
        return "", ""
    rows = [row for row in json.loads(listing.read_text(encoding="utf-8")) if {"audio", "point"} <= row.keys()]
    if not rows:
        return "", ""
    cards = []
    for point, examples in groupby(rows, key=lambda row: str(row["point"])):
        body = "".join(example(row) for row in examples)
        cards.append(f"<details><summary>{escape(point)}</summary>{body}</details>")
    title = rows[0]["title"]
    note = f"The worst, median and best clip of each point by {title}; at most the first 6 seconds, lossless. "
    note += "Spectrograms: 0 to 8 kHz, 80 dB deep."
    first = sorted(rows, key=lambda row: row["rank"] != "median")
    sounds = [row[key] for row in first for key in ("reference", "audio")]
    names = dict.fromkeys(name for sound in sounds for name in (sound, picture_of(sound)))
    urls = {}
    for name in names:
        url = data_url(listing.parent / name)
        urls[name] = url if len(url) <= room else f"examples/{quote(name)}"
        room -= len(urls[name])
    outside = sum(not url.startswith("data:") for url in urls.values())
    if outside:
        note += f" {outside} of {len(urls)} files did not fit into this page: it finds them in examples/ beside it."
    section = f"<section><h2>Listen</h2><p>{escape(note)}</p>{''.join(cards)}</section>"
    return section, f"<script>const files = {json.dumps(urls)};{SHOW_FILES}</script>"


def example(row: dict[str, Any]) -> str:
    """Reference and output of one clip side by side."""
    title, digits = row["title"], row["digits"]
    heading = f"{row['rank'].capitalize()}: {title} {number(row['value'], digits)}"
    sides = side("reference", row["reference"]) + side("output", row["audio"])
    clip = escape(str(row["clip"]))
    return f'<h3>{escape(heading)} <small>{clip}</small></h3><div class="pair">{sides}</div>'


def side(name: str, audio: str) -> str:
    """One picture and one player; the script of `listening_section` brings what they show."""
    image = f'<img alt="spectrogram of the {name}" data-file="{escape(picture_of(audio))}">'
    return f'<div><h4>{name}</h4>{image}<audio controls preload="none" data-file="{escape(audio)}"></audio></div>'


def picture_of(audio: str) -> str:
    """The name of the picture beside an audio file."""
    return audio.removesuffix(".flac") + ".png"


def data_url(path: Path) -> str:
    """A file as a URL that holds it."""
    kind = {".flac": "audio/flac", ".png": "image/png"}[path.suffix]
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def provenance_list(provenance: str) -> str:
    """The bullet list of the Markdown report as HTML."""
    items = (inline(line[2:]) for line in provenance.splitlines() if line.startswith("- "))
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def inline(text: str) -> str:
    """A line of Markdown with nothing but code spans, as HTML."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text))
