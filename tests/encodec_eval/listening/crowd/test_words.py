"""Languages: the same keys and placeholders in all files, and no key that the page uses without having it."""

import json
import re

import pytest

from encodec_eval.listening.crowd.words import languages, words
from tests import ROOT

FOLDERS = [ROOT / "encodec_eval" / "listening" / name / "languages" for name in ("crowd", "methods")]
SCRIPTS = [
    *(ROOT / "encodec_eval" / "mushra").glob("*.js"),
    *(ROOT / "encodec_eval" / "listening").glob("*/*.js"),
]


def placeholders(text):
    return sorted(re.findall(r"\{(\w+)\}", text))


def test_there_are_five_languages_english_first():
    assert languages() == ["en", "de", "es", "fr", "ja"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
@pytest.mark.parametrize("language", ["de", "es", "fr", "ja"])
def test_a_language_has_the_keys_and_placeholders_of_english(folder, language):
    english, other = (json.loads((folder / f"{code}.json").read_text(encoding="utf-8")) for code in ("en", language))
    assert list(other) == list(english)
    for key, text in english.items():
        assert placeholders(other[key]) == placeholders(text), key
        assert other[key].strip(), f"{key} is empty"


def test_the_pages_use_no_key_that_is_not_there():
    known = set(words("en"))
    source = "\n".join(re.sub(r"//.*", "", path.read_text(encoding="utf-8")) for path in SCRIPTS)
    used = set(re.findall(r'\bt\("([^"]+)"', source))
    assert used
    assert used <= known, used - known


def test_the_pages_show_no_word_that_is_not_in_the_files():
    """Texts in quotes or templates with a space between two letters: sentences."""
    for path in SCRIPTS:
        code = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
        code = re.sub(r'(className|rel|role|target): "[^"]*"', "", code)
        found = re.findall(r'textContent: "([^"]*[A-Za-z]{2,}[^"]*)"|(?:heading|paragraph|button)\("([^"]+)"', code)
        assert not found, f"{path.name}: {found}"
