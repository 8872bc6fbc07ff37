"""The metrics: every file of this folder names what it offers in `METRICS`."""

import importlib
import logging
import pkgutil
from importlib.metadata import PackageNotFoundError, version

from encodec_eval.types import EvalError, Metric

logger = logging.getLogger(__name__)


def _collect() -> dict[str, Metric]:
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    offers = [getattr(importlib.import_module(f"{__name__}.{name}"), "METRICS", ()) for name in modules]
    return {metric.name: metric for each in offers for metric in each}


METRICS: dict[str, Metric] = _collect()
DEFAULT = ("pesq", "stoi", "si_snr")
ALWAYS = tuple(name for name, each in METRICS.items() if each.kind in ("output", "lag") and not each.on_request)
GROUPS = ("speech", "music", "all")


def choose(names: list[str] | tuple[str, ...] | None) -> list[str]:
    """The metrics of a run: those asked for by name or group (or the default ones), each with the one that says how
    much a clip weighs in its mean, then those that cost nothing.

    A group leaves out, with a warning that says why, what needs a package that is not installed.
    Raises `EvalError` for a name that is no metric and no group, and for a metric asked for by its name whose package
    is not installed.
    """
    wanted: dict[str, None] = {}
    for name in names or DEFAULT:
        if name not in METRICS and name not in GROUPS:
            raise EvalError(f"no metric {name!r}; expected {', '.join(METRICS)}, or a group: {', '.join(GROUPS)}")
        members, missing = (in_group(name), left_out(name)) if name in GROUPS else ([name], {})
        if name in METRICS and (reason := unavailable(METRICS[name])):
            raise EvalError(f"metric {name} {reason}")
        for each in members:
            if each not in missing:
                wanted |= dict.fromkeys([each, METRICS[each].weight] if METRICS[each].weight else [each])
        for each, reason in missing.items():
            logger.warning("left out %s: it %s", each, reason)
    return list(dict.fromkeys([*wanted, *ALWAYS]))


def in_group(group: str) -> list[str]:
    """The metrics of a group, installed or not. `all` has every one but those a run has anyway, or only if it can."""
    if group == "all":
        return [name for name, each in METRICS.items() if name not in ALWAYS and not each.on_request]
    return [name for name, each in METRICS.items() if group in each.groups]


def left_out(group: str) -> dict[str, str]:
    """The metrics of a group that cannot be computed here, and why."""
    reasons = {name: unavailable(METRICS[name]) for name in in_group(group)}
    return {name: reason for name, reason in reasons.items() if reason}


def unavailable(metric: Metric) -> str | None:
    """What a metric needs that is not installed, and how to get it; None if it can be computed."""
    missing = [package for package in metric.packages if not installed(package)]
    if not missing:
        return None
    return f"needs {', '.join(missing)}: pip install 'encodec-tools{f'[{metric.extra}]' if metric.extra else ''}'"


def installed(package: str) -> bool:
    """Whether the package of that name on PyPI is installed."""
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
