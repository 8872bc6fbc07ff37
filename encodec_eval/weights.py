"""Weights that lie inside installed packages: where, which, and what they said of the last signals."""

import contextlib
import hashlib
import io
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from encodec_eval.types import EvalError, UndefinedError

Result = TypeVar("Result")
Signal = NDArray[np.float64]


def find(name: str) -> Path:
    """The file `module/path/in/it` of an installed package, which is not imported. Raises `EvalError` if it is not
    there."""
    module, _, inside = name.partition("/")
    spec = find_spec(module)
    path = Path(spec.origin).parent / inside if spec and spec.origin else None
    if path is None or not path.is_file():
        raise EvalError(f"the installed package has no weights {name}")
    return path


@lru_cache
def sha256(name: str) -> str:
    """Of the weights of that name."""
    return hashlib.sha256(find(name).read_bytes()).hexdigest()


@lru_cache
def onnx_session(name: str) -> Any:
    """An ONNX Runtime session of the weights of that name, on the CPU and on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(find(name)), options, providers=["CPUExecutionProvider"])


def remember(size: int = 4) -> Callable[[Callable[[Signal], Result]], Callable[[Signal], Result]]:
    """A decorator: what a function made of its last `size` signals `[T]` is not computed again.

    The metrics of one model ask for the same signal one after the other.
    """

    def decorate(function: Callable[[Signal], Result]) -> Callable[[Signal], Result]:
        kept: OrderedDict[bytes, Result] = OrderedDict()

        def remembered(signal: Signal) -> Result:
            key = hashlib.blake2b(np.ascontiguousarray(signal).tobytes()).digest()
            if key not in kept:
                kept[key] = function(signal)
                if len(kept) > size:
                    kept.popitem(last=False)
            return kept[key]

        return remembered

    return decorate


def audible(estimate: Signal) -> Signal:
    """The output, clipped to full scale as a file of integers would be. Raises `UndefinedError` if it is silent:
    networks give silence a score too."""
    if not np.any(np.abs(estimate) >= 1e-5):
        raise UndefinedError("the output is silent")
    return np.clip(estimate, -1, 1)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what a package prints while it loads off the terminal."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
