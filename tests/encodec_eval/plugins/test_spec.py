"""Targets, their options, and the hash of their code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import pytest

from encodec_eval.plugins.spec import Spec, code_sha256, load, make, value_of
from encodec_eval.systems import Opus
from encodec_eval.types import EvalError
from tests import ROOT


class Options:
    def __init__(self, rate: int, *, title: str = "", kbps: tuple[float, ...] = (), lm=False, device: str = "cpu"):
        self.given = rate, title, kbps, lm, device


def test_a_spec_is_a_target_and_options():
    spec = Spec.parse("a/b+c.py:My.Codec?checkpoint=/x/y=1.pt&title=a%26b")
    assert spec == Spec("a/b+c.py:My.Codec", (("checkpoint", "/x/y=1.pt"), ("title", "a&b")))
    assert spec.is_plugin
    assert spec.shown == "b+c.py:My.Codec"
    assert Spec("package.module:Class").is_plugin
    assert not any(Spec(text).is_plugin for text in ("encodec", "x:", ":y", "hf:a/b", "a b:c", ""))
    for text in ("m:C?3,6", "m:C?=6"):
        with pytest.raises(EvalError, match=r"options are \?name=value"):
            Spec.parse(text)


def test_options_get_the_types_of_the_signature():
    made = make(Options, Spec("m:C", (("rate", "8000"), ("kbps", "3,6"), ("lm", "yes"), ("title", "1"))), device="cuda")
    assert made.given == (8000, "1", (3.0, 6.0), True, "cuda")
    assert make(Options, Spec("m:C", (("rate", "1"), ("device", "cpu"))), device="cuda", other=1).given[-1] == "cpu"
    for option, message in {
        "rate=fast": "rate=fast of m:C: expected a number of type int",
        "lm=perhaps": "expected 1 or true or 0 or false",
        "speed=1": "m:C has no option 'speed'; expected rate, title, kbps, lm, device",
    }.items():
        with pytest.raises(EvalError, match=message):
            make(Options, Spec.parse(f"m:C?{option}"))


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("3", Optional[float], 3.0),  # noqa: UP045
        ("3", int | None, 3),
        ("a,b", list[str], ["a", "b"]),
        ("1,2", Sequence[int], (1, 2)),
        ("1,2", tuple, (1, 2)),
        ("x", Path, Path("x")),
        ("1.5", None, 1.5),
        ("2", None, 2),
        ("a,2", None, ("a", 2)),
        ("a", None, "a"),
    ],
)
def test_values_by_their_type(text, hint, value):
    found = value_of(text, hint)
    assert found == value
    assert type(found) is type(value)


def test_objects_are_found_in_modules_and_files(tmp_path, monkeypatch):
    assert load("encodec_eval.systems.classical:Opus")[0] is Opus
    (tmp_path / "helper.py").write_text("NAME = 'helped'\n")
    (tmp_path / "codec.py").write_text("import helper\nclass Mine:\n    name = helper.NAME\n")
    found, file = load(f"{tmp_path}/codec.py:Mine")  # a file that is called as our own package
    assert (found.name, file) == ("helped", tmp_path / "codec.py")
    monkeypatch.chdir(tmp_path)
    assert load("helper:NAME")[0] == "helped"
    for target, message in {
        "no/such.py:C": "there is no file no/such.py",
        "no_such_module:C": "no_such_module cannot be imported: No module named",
        "codec:NoSuchThing": "codec has no NoSuchThing",
    }.items():
        with pytest.raises(EvalError, match=message):
            load(target)


def test_the_hash_is_of_the_file_and_what_it_imports_from_beside_it(tmp_path):
    main, helper, other = (tmp_path / name for name in ("main.py", "helper.py", "other.py"))
    main.write_text("import os\nimport helper\n")
    helper.write_text("from deep.inner import x\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/inner.py").write_text("x = 1\n")
    other.write_text("")
    target = f"{main}:C"
    before = code_sha256(target, main)
    other.write_text("changed = True\n")
    assert code_sha256(target, main) == before
    (tmp_path / "deep/inner.py").write_text("x = 2\n")
    assert code_sha256(target, main) != before


def test_the_hash_of_a_module_is_of_its_own_package_only(tmp_path):
    package = tmp_path / "mine"
    (package / "sub").mkdir(parents=True)
    for path, text in {
        "__init__.py": "", "sub/__init__.py": "", "sub/codec.py": "from ..layers import a\nimport foreign\n",
        "layers.py": "from . import deep\na = 1\n", "deep.py": "",
    }.items():  # fmt: skip
        (package / path).write_text(text)
    (tmp_path / "foreign.py").write_text("")

    def hashed() -> str:
        return code_sha256("mine.sub.codec:C", package / "sub/codec.py")

    first = hashed()
    (tmp_path / "foreign.py").write_text("x = 1\n")
    assert hashed() == first
    for n, name in enumerate(("deep.py", "layers.py", "__init__.py")):
        (package / name).write_text(f"from . import deep\na = {n + 5}\n")
        assert hashed() != first, name
        first = hashed()
    assert code_sha256("encodec_eval.systems:Opus", ROOT / "encodec_eval/systems/__init__.py")
