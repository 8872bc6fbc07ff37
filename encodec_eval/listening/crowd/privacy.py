"""The page that tells listeners what is stored of them, in every language of the test; it needs no script."""

import html

from encodec_eval.listening.crowd.settings import Settings, in_language, names_of
from encodec_eval.listening.crowd.words import words


def privacy_html(title: str, settings: Settings) -> str:
    """A page with one section for each language, its id the language's code."""
    sections = "".join(_section(title, language, settings) for language in settings["languages"])
    return f"""<!doctype html>
<html lang="{settings["languages"][0]}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(words(settings["languages"][0])["privacy.heading"])}</title><link rel="icon" href="data:,">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 760px; margin: 0 auto; padding: 24px 16px; }}
section + section {{ border-top: 1px solid; margin-top: 32px; padding-top: 16px; }}
</style></head>
<body><main>{sections}</main></body></html>
"""


def _section(title: str, language: str, settings: Settings) -> str:
    said = words(language)
    first = language == settings["languages"][0]
    stored = ["answers", "session"]
    stored += ["questions"] if settings["questionnaire"] else []
    stored += ["headphones"] if settings["headphones"] else []
    stored += ["participant"] if settings["participant"] else ["name"]
    points = [said[f"privacy.{name}"].replace("{names}", ", ".join(names_of(settings))) for name in stored]
    retention = in_language(settings["retention"], language, settings)
    after = [said["privacy.not"], said["privacy.browser"], *([retention] if retention else [])]
    after += [said["privacy.contact"].replace("{contact}", settings["contact"])] if settings["contact"] else []
    level = "h1" if first else "h2"
    return (
        f'<section id="{language}" lang="{language}"><{level}>{html.escape(said["privacy.heading"])}</{level}>'
        f"<p>{html.escape(title)}</p><p>{html.escape(said['privacy.intro'])}</p>"
        f"<ul>{''.join(f'<li>{html.escape(point)}</li>' for point in points)}</ul>"
        f"{''.join(f'<p>{html.escape(text)}</p>' for text in after)}</section>"
    )
