"""The settings of a crowd: what is taken, and what an error says of the field that is wrong."""

import json

import pytest

from encodec_eval.listening.crowd.settings import checked, public, read_settings
from encodec_eval.types import EvalError

YAML = """
languages: [en, de]
consent: {en: "May we?", de: "Dürfen wir?"}
participant: {parameters: [PROLIFIC_PID, STUDY_ID]}
headphones: {check: antiphase, code: FAILED}
completion: {code: C0FFEE, link: "https://app.prolific.com/submissions/complete?cc=C0FFEE"}
questionnaire:
  - {id: age, text: "How old are you?", kind: number, min: 18, max: 120, required: true}
  - {id: device, text: "What do you wear?", kind: choice, choices: [in ear, over ear]}
break_every: 5
"""


def test_yaml_and_json_give_the_same_settings_with_every_default(tmp_path):
    (tmp_path / "crowd.yaml").write_text(YAML, encoding="utf-8")
    settings = read_settings(tmp_path / "crowd.yaml")
    (tmp_path / "crowd.json").write_text(json.dumps(settings), encoding="utf-8")
    assert read_settings(tmp_path / "crowd.json") == settings
    assert settings["headphones"] == {
        "check": "antiphase", "pass": 5, "attempts": 2, "exclude": True, "seed": 0, "code": "FAILED", "link": "",
    }  # fmt: skip
    assert settings["questionnaire"][1]["required"] is False
    assert settings["drop_out_minutes"] == 60


def test_the_page_is_told_no_code_and_no_link(tmp_path):
    (tmp_path / "crowd.yaml").write_text(YAML, encoding="utf-8")
    shown = json.dumps(public(read_settings(tmp_path / "crowd.yaml")))
    assert "C0FFEE" not in shown
    assert "FAILED" not in shown
    assert "PROLIFIC_PID" in shown


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], r"crowd\.json is \[\]; expected an object with fields of languages, consent"),
        ({"consents": ""}, "crowd.json has a field 'consents'; expected some of languages, consent"),
        ({"languages": ["tlh"]}, r'languages is \["tlh"\]; expected a list of one or more of en, de, es, fr, ja'),
        ({"languages": [["en"]]}, r"languages is \[\[\"en\"\]\]; expected a list"),
        ({"languages": ["en", "en"]}, "expected a list of one or more"),
        ({"consent": 3}, "consent is 3; expected a text, or an object from language to text"),
        ({"consent": {"de": "Ja?"}}, "consent is given in de; expected en too, the default language"),
        ({"break_every": -1}, "break_every is -1; expected a whole number of trials from 1 to 1000, or 0"),
        ({"break_every": True}, "break_every is true; expected a whole number"),
        ({"training": 1.5}, "training is 1.5; expected a whole number of training trials from 0 to 10"),
        ({"participant": {}}, r"crowd\.json: participant has no parameters; expected a name"),
        ({"participant": {"parameters": ["a b"]}}, r'participant: parameters is \["a b"\]; expected a name'),
        ({"headphones": {"check": "loud"}}, 'headphones: check is "loud"; expected one of huggins, antiphase'),
        ({"headphones": {"pass": 7}}, "headphones: pass is 7; expected a whole number of right answers from 1 to 6"),
        ({"completion": {"link": "javascript:alert(1)"}}, "expected a link that begins with http:// or https://"),
        ({"questionnaire": [{"id": "x"}]}, r"questionnaire\[0\] has no text; expected a text"),
        ({"questionnaire": [{"id": "1", "text": "?"}]}, r"questionnaire\[0\]: id is \"1\"; expected a name"),
        ({"questionnaire": [{"id": "x", "text": "?", "kind": "choice"}]}, "is of kind choice with 0 choices; expected"),
        (
            {"questionnaire": [{"id": "x", "text": "?", "min": 2, "max": 1}]},
            "min is 2 and max is 1; expected min to be",
        ),
        ({"questionnaire": [{"id": "x", "text": "?"}] * 2}, "has the ids x, x; expected a different id for each"),
    ],
)
def test_errors_name_the_field_what_was_given_and_what_is_expected(given, message):
    with pytest.raises(EvalError, match=message):
        checked(given, "crowd.json")


def test_a_file_that_is_none_or_not_readable_is_named(tmp_path):
    with pytest.raises(EvalError, match=r"none\.yaml is not a file; expected the settings of a crowd"):
        read_settings(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(EvalError, match=r"bad\.yaml is not readable as \.yaml"):
        read_settings(tmp_path / "bad.yaml")
