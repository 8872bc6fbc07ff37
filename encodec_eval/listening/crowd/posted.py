"""What a page may post: checks of every part. Each raises `ValueError` with the reason; nothing else is let through."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from encodec_eval.listening.crowd.headphones import TRIALS
from encodec_eval.listening.crowd.settings import Settings, names_of
from encodec_eval.listening.methods import check_answer
from encodec_eval.mushra.manifest import Manifest

SESSION = r"[0-9a-f]{32}"
LISTENER = r"[\w .-]{0,40}"
PARTICIPANT = r"[\w.-]{1,64}"
MAX_TEXT = 2000
MAX_PLAYS = 100000


@dataclass
class Posted:
    """A checked post: who, which form, `about` the listener, and the trials by item."""

    session: str
    listener: str
    form: int
    seed: int
    about: dict[str, Any] = field(default_factory=dict)
    trials: dict[str, dict[str, Any]] = field(default_factory=dict)


def opening(body: Any, manifest: Manifest, settings: Settings) -> tuple[Posted, int | None]:
    """A session that begins, and the form it asks for, if any."""
    require(isinstance(body, dict), "the body must be an object")
    require(
        {"test", "session", "seed"} <= set(body) <= {"test", "session", "seed", "form", "participant"}, "wrong keys"
    )
    require(body["test"] == manifest.test_id, "this is another test")
    require(matches(SESSION, body["session"]), "wrong session")
    form = body.get("form")
    asked = None if form is None else whole(form, 0, len(manifest.forms) - 1)
    about = {"participant": participant(body.get("participant", {}), settings)} if names_of(settings) else {}
    return Posted(body["session"], "", asked or 0, whole(body["seed"], 0, 2**32 - 1), about), asked


def results(body: Any, manifest: Manifest, settings: Settings) -> Posted:
    """Everything that a page has of a session so far."""
    require(isinstance(body, dict), "the body must be an object")
    needed = {"test", "session", "listener", "form", "seed", "trials"}
    require(needed <= set(body) <= needed | {"about"}, "wrong keys")
    require(body["test"] == manifest.test_id, "this is another test")
    require(matches(SESSION, body["session"]), "wrong session")
    require(matches(LISTENER, body["listener"]), "wrong listener")
    form = whole(body["form"], 0, len(manifest.forms) - 1)
    seed = whole(body["seed"], 0, 2**32 - 1)
    about = about_listener(body.get("about", {}), settings)
    items = set(manifest.forms[form])
    require(isinstance(body["trials"], list) and len(body["trials"]) <= len(items), "wrong trials")
    require(bool(body["trials"]) or "about" in body, "no finished trial")
    posted = Posted(body["session"], body["listener"], form, seed, about)
    for trial in body["trials"]:
        keys = {"item", "scores", "ms"}
        require(isinstance(trial, dict) and keys <= set(trial) <= keys | {"plays"}, "wrong trial")
        item = trial["item"]
        require(isinstance(item, str) and item in items, "wrong item")
        require(item not in posted.trials, "an item twice")
        posted.trials[item] = answer(trial, manifest)
    return posted


def answer(trial: Mapping[str, Any], manifest: Manifest) -> dict[str, Any]:
    """The scores of a trial, milliseconds spent, and how often each stimulus was played."""
    scores = trial["scores"]
    require(isinstance(scores, dict), "wrong scores")
    check_answer(manifest, trial["item"], scores)
    item = next(item for item in manifest.items if item.id == trial["item"])
    known = {item.open_reference.id, *(stimulus.id for stimulus in item.stimuli)}
    plays = trial.get("plays", {})
    require(isinstance(plays, dict) and set(plays) <= known, "wrong plays")
    counts = {name: whole(count, 0, MAX_PLAYS) for name, count in plays.items()}
    return {"scores": scores, "ms": whole(trial["ms"], 0, 10**9), "plays": counts}


def about_listener(given: Any, settings: Settings) -> dict[str, Any]:
    """Consent, language, participant, questionnaire, headphone check, volume, as far as the settings know of them."""
    known = {"consent", "language", "participant", "answers", "headphones", "volume_db"}
    require(isinstance(given, dict) and set(given) <= known, "wrong parts of about")
    about: dict[str, Any] = {}
    if settings["consent"]:
        require(given.get("consent") is True, "nothing is stored without consent")
        about["consent"] = True
    if "language" in given:
        require(isinstance(given["language"], str) and given["language"] in settings["languages"], "wrong language")
        about["language"] = given["language"]
    if names_of(settings):
        about["participant"] = participant(given.get("participant", {}), settings)
    if "answers" in given:
        about["answers"] = questionnaire(given["answers"], settings)
    if "headphones" in given:
        about["headphones"] = headphones(given["headphones"], settings)
    if "volume_db" in given:
        about["volume_db"] = number(given["volume_db"], -100, 20)
    return about


def participant(given: Any, settings: Settings) -> dict[str, str]:
    """URL parameters by name, those that the settings name."""
    names = names_of(settings)
    require(isinstance(given, dict) and set(given) <= set(names), "wrong participant")
    require(all(matches(PARTICIPANT, value) for value in given.values()), "wrong participant")
    if settings["participant"]["required"]:
        require(names[0] in given, f"the address must name {names[0]}")
    return dict(given)


def questionnaire(given: Any, settings: Settings) -> dict[str, object]:
    """Answers by question: a text, the index of a choice, or a number."""
    questions = {question["id"]: question for question in settings["questionnaire"]}
    require(isinstance(given, dict) and set(given) <= set(questions), "wrong answers")
    answers: dict[str, object] = {}
    for name, value in given.items():
        question = questions[name]
        if question["kind"] == "choice":
            answers[name] = whole(value, 0, len(question["choices"]) - 1)
        elif question["kind"] == "number":
            low, high = question["min"], question["max"]
            answers[name] = number(value, -1e12 if low is None else low, 1e12 if high is None else high)
        else:
            require(isinstance(value, str) and len(value) <= MAX_TEXT, f"{name}: at most {MAX_TEXT} characters")
            answers[name] = value
    return answers


def headphones(given: Any, settings: Settings) -> list[list[int]]:
    """What was picked, from 0, in each trial of each attempt."""
    check = settings["headphones"]
    require(check is not None, "there is no headphone check")
    require(isinstance(given, list) and 1 <= len(given) <= check["attempts"], "wrong attempts")
    for attempt in given:
        require(isinstance(attempt, list) and len(attempt) == TRIALS, "wrong attempt")
        for choice in attempt:
            whole(choice, 0, 2)
    return given


def require(condition: bool, reason: str) -> None:
    """Raise `ValueError` with the reason unless the condition holds."""
    if not condition:
        raise ValueError(reason)


def matches(pattern: str, value: object) -> bool:
    """Whether a value is a text of this form."""
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def whole(value: object, low: int, high: int) -> int:
    """`value`, if it is a whole number in range."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"a number must be whole and from {low} to {high}")
    return value


def number(value: object, low: float, high: float) -> float:
    """`value`, if it is a finite number in range."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or not low <= value <= high
    ):
        raise ValueError(f"a number must be from {low:g} to {high:g}")
    return value
