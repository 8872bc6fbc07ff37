"""Who may import whom: `app.py` -> `encodec_eval` -> `codec`, rooms in order, no cycles inside a package."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import codec
from tests import ROOT

PACKAGES = ("codec", "encodec_eval")


def _modules(package: str) -> dict[str, Path]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def _imports(path: Path, modules: dict[str, Path]) -> set[str]:
    """Names of everything that a file imports at any depth; `from package import module` counts as the module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively; this project imports by full name"
            full = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            names |= {full[name] if full[name] in modules else str(node.module) for name in full}
    return names


def _package_imports(package: str) -> dict[str, set[str]]:
    modules = {name: path for each in PACKAGES for name, path in _modules(each).items()}
    return {name: _imports(path, modules) for name, path in _modules(package).items()}


@pytest.mark.parametrize(("package", "above"), [("codec", {"encodec_eval", "app"}), ("encodec_eval", {"app"})])
def test_nothing_imports_upwards(package, above):
    for module, imported in _package_imports(package).items():
        assert not {name for name in imported if name.split(".")[0] in above}, f"{module} imports what stands above it"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_cycles(package):
    imports = _package_imports(package)
    graph = {module: {name for name in imported if name in imports} for module, imported in imports.items()}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(graph)


@pytest.mark.parametrize(
    ("room", "closed_to"),
    [
        ("codec", {"codec.training"}),
        ("encodec_eval.systems", {"encodec_eval.run", "encodec_eval.report", "encodec_eval.commands"}),
        ("encodec_eval.metrics", {"encodec_eval.systems", "encodec_eval.run", "encodec_eval.report"}),
        ("encodec_eval.report", {"encodec_eval.demo", "encodec_eval.mushra", "encodec_eval.commands"}),
        ("encodec_eval.player", {"encodec_eval.demo", "encodec_eval.mushra", "encodec_eval.run"}),
        ("encodec_eval.demo", {"encodec_eval.mushra", "encodec_eval.commands"}),
        ("encodec_eval.mushra", {"encodec_eval.demo", "encodec_eval.commands"}),
    ],
)
def test_rooms_keep_their_order(room, closed_to):
    for module, imported in _package_imports(room.split(".")[0]).items():
        inside = module == room or module.startswith(room + ".")
        if inside and not any(module.startswith(closed) for closed in closed_to):
            found = {
                name for name in imported for closed in closed_to if name == closed or name.startswith(closed + ".")
            }
            assert not found, f"{module} imports {', '.join(sorted(found))}"


def test_the_codec_loads_nothing_that_only_others_need():
    script = "import sys, codec; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"gradio", "pesq", "pystoi", "pandas", "matplotlib", "encodec_eval"} & set(loaded.stdout.split())


def test_the_codec_loads_its_names_when_they_are_used():
    code = "import sys, codec.files, codec.usage; print('torch' in sys.modules, codec.load_model.__module__)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert answer.split() == ["False", "codec.model"]


def test_the_codec_has_every_name_it_lists():
    homes = [name for names in codec._HOMES.values() for name in names]
    assert sorted([*homes, "audio"]) == codec.__all__
    assert all(getattr(codec, name) is not None for name in codec.__all__)
    with pytest.raises(AttributeError, match="module 'codec' has no attribute 'nothing'"):
        codec.nothing  # noqa: B018


def test_ecdc_has_every_name_it_lists():
    assert sorted(name for names in codec.ecdc._HOMES.values() for name in names) == codec.ecdc.__all__
    assert all(getattr(codec.ecdc, name) is not None for name in codec.ecdc.__all__)
    with pytest.raises(AttributeError, match=r"module 'codec\.ecdc' has no attribute 'nothing'"):
        codec.ecdc.nothing  # noqa: B018


def test_what_runs_onnx_graphs_needs_no_torch():
    code = "import sys; sys.modules['torch'] = None; import codec.onnx; print(codec.onnx.OnnxCodec.__name__)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert answer.split() == ["OnnxCodec"]


def test_one_file_of_the_codec_touches_soundfile():
    users = {module for module, imported in _package_imports("codec").items() if "soundfile" in imported}
    assert users == {"codec.audio"}


def test_requirements_name_what_the_package_needs():
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {line.split(">=")[0] for line in project["dependencies"]}
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert {line.split("==")[0].split(">=")[0] for line in lines if line and not line.startswith("#")} == needed


def test_reading_results_needs_no_worker_metric_system_or_torch():
    code = "import sys, encodec_eval.report.folder; print(*sorted(sys.modules))"
    names = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    heavy = ("torch", "pesq", "pystoi", "encodec_eval.run.worker", "encodec_eval.metrics", "encodec_eval.systems")
    assert not set(heavy) & set(names.split())
