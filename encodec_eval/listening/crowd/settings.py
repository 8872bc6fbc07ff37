"""The settings of a crowd: a JSON or YAML file, checked field by field; `README.md` beside it lists them."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from encodec_eval.listening.crowd.headphones import CHECKS
from encodec_eval.listening.crowd.words import languages
from encodec_eval.types import EvalError

FILE_NAME = "crowd.json"  # in the folder of a test, kept from listeners as the manifest is
KINDS = ("text", "choice", "number")
NAME = r"[A-Za-z_][A-Za-z0-9_]{0,39}"

Field = tuple[object, Callable[[Any], bool], str]  # default, check, what is expected


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _link(value: object) -> bool:
    return value == "" or (isinstance(value, str) and re.fullmatch(r"https?://[^\s<>\"']{1,500}", value) is not None)


def _text(value: object) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(code in languages() and isinstance(text, str) for code, text in value.items())
    return isinstance(value, str)


def _list_of(check: Callable[[Any], bool], least: int = 0) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and len(value) >= least and all(check(each) for each in value)


def _named(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(NAME, value) is not None


def _known_language(value: object) -> bool:
    return value in languages()


TEXT = "expected a text, or an object from language to text"
NAMED = "expected a name of letters, digits and _, of 1 to 40 characters, not beginning with a digit"
LINK = "expected a link that begins with http:// or https://, or nothing"

FIELDS: dict[str, Field] = {
    "languages": (
        ["en"],
        lambda value: _list_of(_known_language, 1)(value) and len(set(value)) == len(value),
        f"expected a list of one or more of {', '.join(languages())}, the default first",
    ),
    "consent": ("", _text, TEXT),
    "contact": ("", _is(str), "expected a text: whom listeners may ask"),
    "retention": ("", _text, TEXT),
    "questionnaire": ([], _list_of(_is(dict)), "expected a list of questions"),
    "participant": (None, lambda value: value is None or isinstance(value, dict), "expected an object, or null"),
    "headphones": (None, lambda value: value is None or isinstance(value, dict), "expected an object, or null"),
    "completion": ({}, _is(dict), "expected an object"),
    "training": (None, _whole(0, 10), "expected a whole number of training trials from 0 to 10"),
    "break_every": (None, _whole(0, 1000), "expected a whole number of trials from 1 to 1000, or 0 for no breaks"),
    "drop_out_minutes": (60, _whole(1, 10000), "expected a whole number of minutes from 1 to 10000"),
}
QUESTION: dict[str, Field] = {
    "id": (None, _named, NAMED),
    "text": (None, _text, TEXT),
    "kind": ("text", lambda value: value in KINDS, f"expected one of {', '.join(KINDS)}"),
    "choices": ([], _list_of(_text, 2), "expected a list of 2 or more texts"),
    "required": (False, _is(bool), "expected true or false"),
    "min": (None, _is(int, float), "expected a number"),
    "max": (None, _is(int, float), "expected a number"),
    "after": (False, _is(bool), "expected true (asked after the trials) or false (before them)"),
}
PARTICIPANT: dict[str, Field] = {
    "parameters": (None, _list_of(_named, 1), f"{NAMED}, in a list; the first is the participant's id"),
    "required": (True, _is(bool), "expected true or false"),
}
HEADPHONES: dict[str, Field] = {
    "check": ("huggins", lambda value: value in CHECKS, f"expected one of {', '.join(CHECKS)}"),
    "pass": (None, _whole(1, 6), "expected a whole number of right answers from 1 to 6"),
    "attempts": (2, _whole(1, 5), "expected a whole number from 1 to 5"),
    "exclude": (True, _is(bool), "expected true (who fails may not go on) or false (it is only stored)"),
    "seed": (0, _whole(0, 2**31), "expected a whole number"),
    "code": ("", _is(str), "expected a text: the code for who failed the check"),
    "link": ("", _link, LINK),
}
COMPLETION: dict[str, Field] = {"code": ("", _is(str), "expected a text"), "link": ("", _link, LINK)}

Settings = dict[str, Any]


def read_settings(path: Path) -> Settings:
    """The settings in a file, every field present. Raises `EvalError` naming the field, what was given and expected."""
    if not path.is_file():
        raise EvalError(f"{path} is not a file; expected the settings of a crowd in JSON or YAML")
    source = path.read_text(encoding="utf-8")
    try:
        if path.suffix.lower() in (".yaml", ".yml"):
            import yaml

            given = yaml.safe_load(source)
        else:
            given = json.loads(source)
    except Exception as error:  # PyYAML has errors of its own
        raise EvalError(f"{path} is not readable as {path.suffix or 'JSON'}: {error}") from error
    return checked(given, str(path))


def checked(given: object, source: str) -> Settings:
    """`given` with every default filled in; `source` is named in errors."""
    settings = _fields(given, FIELDS, source)
    questions = [_question(each, f"{source}: questionnaire[{n}]") for n, each in enumerate(settings["questionnaire"])]
    ids = [each["id"] for each in questions]
    if len(set(ids)) < len(ids):
        raise EvalError(
            f"{source}: questionnaire has the ids {', '.join(ids)}; expected a different id for each question"
        )
    settings["questionnaire"] = questions
    if settings["participant"] is not None:
        settings["participant"] = _fields(settings["participant"], PARTICIPANT, f"{source}: participant")
        if settings["participant"]["parameters"] is None:
            raise EvalError(f"{source}: participant has no parameters; {PARTICIPANT['parameters'][2]}")
    if settings["headphones"] is not None:
        check = _fields(settings["headphones"], HEADPHONES, f"{source}: headphones")
        check["pass"] = check["pass"] or CHECKS[check["check"]].passes
        settings["headphones"] = check
    settings["completion"] = _fields(settings["completion"], COMPLETION, f"{source}: completion")
    _check_texts(settings, source)
    return settings


def _fields(given: object, fields: Mapping[str, Field], source: str) -> Settings:
    if not isinstance(given, dict):
        raise EvalError(f"{source} is {_shown(given)}; expected an object with fields of {', '.join(fields)}")
    for name, value in given.items():
        if name not in fields:
            raise EvalError(f"{source} has a field {name!r}; expected some of {', '.join(fields)}")
        if value != fields[name][0] and not fields[name][1](value):
            raise EvalError(f"{source}: {name} is {_shown(value)}; {fields[name][2]}")
    return {name: given.get(name, default) for name, (default, _, _) in fields.items()}


def _question(given: Mapping[str, object], source: str) -> Settings:
    question = _fields(given, QUESTION, source)
    for name in ("id", "text"):
        if question[name] is None:
            raise EvalError(f"{source} has no {name}; {QUESTION[name][2]}")
    if (question["kind"] == "choice") != bool(question["choices"]):
        number = len(question["choices"])
        raise EvalError(
            f"{source} is of kind {question['kind']} with {number} choices; expected choices with kind choice only"
        )
    low, high = question["min"], question["max"]
    if low is not None and high is not None and low > high:
        raise EvalError(f"{source}: min is {low} and max is {high}; expected min to be at most max")
    return question


def _check_texts(settings: Settings, source: str) -> None:
    """Every text must be there in the default language, which stands in for those that lack it."""
    first = settings["languages"][0]
    texts = {"consent": settings["consent"], "retention": settings["retention"]}
    for n, question in enumerate(settings["questionnaire"]):
        texts[f"questionnaire[{n}].text"] = question["text"]
        texts |= {f"questionnaire[{n}].choices[{m}]": choice for m, choice in enumerate(question["choices"])}
    for name, text in texts.items():
        if isinstance(text, dict) and first not in text:
            raise EvalError(
                f"{source}: {name} is given in {', '.join(text)}; expected {first} too, the default language"
            )


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def in_language(text: object, language: str, settings: Settings) -> str:
    """A text of the settings in `language`, else in the default one."""
    if isinstance(text, Mapping):
        return str(text.get(language, text[settings["languages"][0]]))
    return str(text)


def load_settings(folder: Path) -> Settings:
    """The settings of the test in `folder`; all defaults if it was made without any."""
    path = folder / FILE_NAME
    return read_settings(path) if path.is_file() else checked({}, FILE_NAME)


def public(settings: Settings) -> Settings:
    """What the page may know: no completion code and no link, which only who finished is told."""
    shown = {name: settings[name] for name in ("consent", "questionnaire", "participant")}
    check = settings["headphones"]
    if check is not None:
        check = {name: check[name] for name in ("check", "pass", "attempts", "exclude")}
        check["right"] = CHECKS[check["check"]].right(settings["headphones"]["seed"])
    return {**shown, "headphones": check}


def names_of(settings: Settings) -> Sequence[str]:
    """The URL parameters that are stored, the participant's id first."""
    return settings["participant"]["parameters"] if settings["participant"] else []
