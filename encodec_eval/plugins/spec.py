"""What `package.module:Class?name=value&...` names: the class, its options by their types, and its code's hash."""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from encodec_eval.types import EvalError

TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
SEQUENCES = (tuple, list, Sequence)


@dataclass(frozen=True)
class Spec:
    """An object in a module or in a file, `target`, and the options that it is made with, as text."""

    target: str
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Spec":
        """Of `TARGET?name=value&name=value`; values may be percent-encoded. Raises `EvalError` where that is not so."""
        target, _, query = text.partition("?")
        pairs = [pair.partition("=") for pair in query.split("&") if pair]
        for name, equals, _ in pairs:
            if not name or not equals:
                raise EvalError(f"options are ?name=value&name=value, not {query!r} as in {text!r}")
        return cls(target, tuple((name, unquote(value)) for name, _, value in pairs))

    @property
    def is_plugin(self) -> bool:
        """Whether the target has the form of `package.module:Object` or `path/to/file.py:Object`."""
        place, _, name = self.target.rpartition(":")
        module = all(part.isidentifier() for part in place.split("."))
        return all(part.isidentifier() for part in name.split(".")) and (place.endswith(".py") or module)

    @property
    def resolved(self) -> "Spec":
        """The same from any folder: a file by its absolute path."""
        place, _, name = self.target.rpartition(":")
        return Spec(f"{Path(place).resolve()}:{name}", self.options) if place.endswith(".py") else self

    @property
    def shown(self) -> str:
        """The target without the folder of its file: where that lies decides nothing."""
        place, _, name = self.target.rpartition(":")
        return f"{Path(place).name}:{name}" if place.endswith(".py") else self.target

    def without(self, name: str) -> "Spec":
        return Spec(self.target, tuple(pair for pair in self.options if pair[0] != name))


def installed(group: str) -> dict[str, str]:
    """The targets that installed packages offer under the entry point `group`, by name."""
    return {point.name: point.value for point in entry_points(group=group)}


def load(target: str) -> tuple[Any, Path]:
    """The object that a target names, and the file it is written in. Runs that file.

    A module is also looked for in the current folder, and what a file imports also in the folder of that file.
    Raises `EvalError` if there is no such file, module or object.
    """
    place, _, name = target.rpartition(":")
    try:
        module = _load_file(Path(place)) if place.endswith(".py") else _import(place)
    except ModuleNotFoundError as error:
        raise EvalError(f"{place} cannot be imported: {error}") from error
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise EvalError(f"{place} has no {name}")
        found = getattr(found, part)
    return found, Path(module.__file__ or "")


def _import(name: str) -> types.ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    return importlib.import_module(name)


def _load_file(path: Path) -> types.ModuleType:
    if not path.is_file():
        raise EvalError(f"there is no file {path}")
    name, folder = f"plugin_{path.stem}", str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def make(cls: Callable[..., Any], spec: Spec, **defaults: object) -> Any:
    """An instance of a class with the options of its spec; of `defaults`, those that it takes and that are not given.

    Raises `EvalError` for an option that the class does not take, or a value of another type.
    """
    parameters = inspect.signature(cls).parameters
    taken = {name for name, each in parameters.items() if each.kind is not each.VAR_KEYWORD}
    given = convert(cls, spec)
    return cls(**{name: value for name, value in defaults.items() if name in taken} | given)


def convert(cls: Callable[..., Any], spec: Spec) -> dict[str, Any]:
    """The options of a spec, converted to what the signature of `cls` says."""
    parameters = inspect.signature(cls).parameters
    hints = _hints(cls)
    converted = {}
    for name, text in spec.options:
        if name not in parameters and not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
            raise EvalError(f"{spec.target} has no option {name!r}; expected {', '.join(parameters) or 'none'}")
        default = parameters[name].default if name in parameters else None
        hint = hints.get(name, type(default) if isinstance(default, bool | int | float | str | tuple) else None)
        try:
            converted[name] = value_of(text, hint)
        except ValueError as error:
            raise EvalError(f"option {name}={text} of {spec.target}: {error}") from error
    return converted


def _hints(cls: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls.__init__ if isinstance(cls, type) else cls)
    except NameError:  # annotations that only a type checker sees
        return {}


def value_of(text: str, hint: Any) -> Any:
    """A text as a value of a type: bool, int, float, str, Path, sequences of them with commas, or one of a union.

    Without a type: a number where it is one, a tuple where it has commas, else the text. Raises `ValueError`.
    """
    origin, arguments = typing.get_origin(hint), [each for each in typing.get_args(hint) if each is not Ellipsis]
    if origin in (typing.Union, types.UnionType):
        return value_of(text, next(each for each in arguments if each is not type(None)))
    if (origin or hint) in SEQUENCES:
        return (list if origin is list else tuple)(value_of(t, next(iter(arguments), None)) for t in text.split(","))
    if hint is bool:
        if text.lower() not in TRUE + FALSE:
            raise ValueError(f"expected {' or '.join(TRUE[:2] + FALSE[:2])}")
        return text.lower() in TRUE
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            raise ValueError(f"expected a number of type {hint.__name__}") from None
    if hint in (str, Path):
        return hint(text)
    if "," in text:
        return tuple(value_of(each, None) for each in text.split(","))
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def code_sha256(target: str, file: Path) -> str:
    """Of the file and of what it imports from beside it: from its folder, or for a module, from its own package.

    Imports are found by reading, so that the same code has the same hash whatever else is loaded.
    """
    place = target.rpartition(":")[0]
    top, root = "", file.parent
    if not place.endswith(".py"):
        top = place.split(".")[0]
        root = file.parents[place.count(".") + (file.name == "__init__.py")]
    digest = hashlib.sha256()
    for path in _sources(file.resolve(), root.resolve(), top):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(root.resolve()).as_posix()}\t{content}\n".encode())
    return digest.hexdigest()


def _sources(file: Path, root: Path, top: str) -> list[Path]:
    found: set[Path] = set()
    waiting = [file]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for name in _imported(path, root):
            if name.split(".")[0] == top or not top:
                base = root.joinpath(*name.split("."))
                waiting += [each for each in (base.with_suffix(".py"), base / "__init__.py") if each.is_file()]
    return sorted(found)


def _imported(path: Path, root: Path) -> Iterator[str]:
    """Full names of all that a file imports, and of the packages they are in."""
    package = path.parent.relative_to(root).parts
    for node in ast.walk(ast.parse(path.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            names = [f"{module}.{alias.name}".lstrip(".") for alias in node.names]
        for parts in (name.split(".") for name in names):
            yield from (".".join(parts[: n + 1]) for n in range(len(parts)))
