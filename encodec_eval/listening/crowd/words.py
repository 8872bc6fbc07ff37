"""What listeners read, by language: `languages/*.json`, flat objects with the same keys and placeholders."""

import json
from pathlib import Path

_FOLDER = Path(__file__).parent / "languages"
_METHODS = (
    Path(__file__).parent.parent / "methods" / "languages"
)  # words of methods, each key begins with a method's name


def languages() -> list[str]:
    """Codes of the languages there are, English first; another one is added as a file beside `en.json`."""
    return sorted((path.stem for path in _FOLDER.glob("*.json")), key=lambda code: (code != "en", code))


def words(language: str) -> dict[str, str]:
    """Every visible string of the test pages in one of `languages()`; `{names}` in them are filled in by the page."""
    files = [folder / f"{language}.json" for folder in (_FOLDER, _METHODS)]
    return {key: text for file in files for key, text in json.loads(file.read_text(encoding="utf-8")).items()}
