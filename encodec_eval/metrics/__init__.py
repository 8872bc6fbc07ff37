"""The metrics: every file of this folder is one measure and names what it offers in `METRICS`."""

import importlib
import pkgutil
from importlib.metadata import PackageNotFoundError, version

from encodec_eval.types import EvalError, Metric


def _collect() -> dict[str, Metric]:
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = [metric for name in modules for metric in importlib.import_module(f"{__name__}.{name}").METRICS]
    return {metric.name: metric for metric in found}


METRICS: dict[str, Metric] = _collect()
DEFAULT = ("pesq", "stoi", "si_snr")
ALWAYS = tuple(name for name, metric in METRICS.items() if metric.kind != "pair" and not metric.on_request)


def choose(names: list[str] | tuple[str, ...] | None) -> list[str]:
    """The metrics of a run: those asked for (or the default ones), then those that cost nothing.

    Raises `EvalError` for a name that is not in `METRICS`, or whose package is not installed.
    """
    wanted = list(dict.fromkeys(names or DEFAULT))
    for name in wanted:
        if name not in METRICS:
            raise EvalError(f"no metric {name!r}; expected {', '.join(METRICS)}")
        missing = [package for package in METRICS[name].packages if not installed(package)]
        if missing:
            extra = METRICS[name].extra
            raise EvalError(
                f"metric {name} needs {', '.join(missing)}: pip install 'encodec-tools{f'[{extra}]' if extra else ''}'"
            )
    return wanted + [name for name in ALWAYS if name not in wanted]


def installed(package: str) -> bool:
    """Whether the package of that name on PyPI is installed."""
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
