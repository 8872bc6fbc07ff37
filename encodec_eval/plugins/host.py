"""A process for code of others: whatever it does, raise, crash or hang, only the call that did it fails."""

import contextlib
import ctypes
import json
import os
import pickle
import signal
import subprocess
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, BinaryIO

import codec
import encodec_eval
from encodec_eval.types import UndefinedError

START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from encodec_eval.plugins.host import serve; serve()"
PR_SET_PDEATHSIG = 1  # of Linux's prctl
_STARTER = ThreadPoolExecutor(1)  # `die_with_parent` is about the thread that starts a process, and this one stays


class PluginError(UndefinedError):
    """Code of others failed; the message is the reason."""


class Host:
    """A process that calls functions, one at a time, and is replaced after it died.

    Functions, arguments and what is returned are pickled. What the code prints goes to standard error.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, function: Callable[..., Any], *arguments: object, timeout_s: float) -> Any:
        """What `function(*arguments)` returns in there.

        Raises `PluginError` with the reason: the function's own error, the death of the process, or that there was no
        result after `timeout_s` seconds of wall clock, when the process is killed.
        """
        data = pickle.dumps((function, arguments), protocol=5)
        if self._process is not None and self._process.poll() is not None:  # between calls, so not by this one
            self.close()
        process = self._process = self._process or _STARTER.submit(self._start).result()
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()

        def kill() -> None:
            late.set()
            self._kill(process)

        timer = threading.Timer(timeout_s, kill)
        timer.daemon = True
        timer.start()
        try:
            process.stdin.write(data)
            process.stdin.flush()
            value, reason = pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            self.close()
            if late.is_set():
                raise PluginError(f"no result within {timeout_s:g} s (--timeout)") from None
            raise PluginError(f"its process {_end(process.returncode)}") from None
        finally:
            timer.cancel()
        if reason is not None:
            raise PluginError(reason)
        return value

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            process, self._process = self._process, None
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with contextlib.suppress(OSError):
                    pipe.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
            self._kill(process)
            process.wait()

    @staticmethod
    def _start() -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", START, json.dumps([path or os.getcwd() for path in sys.path])]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=sys.platform != "win32"
        )

    @staticmethod
    def _kill(process: "subprocess.Popen[bytes]") -> None:
        """Kill the process, and what it has started, unless it has ended."""
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)


@cache
def host_of(owner: object) -> Host:
    """The host of this process for the code that `owner` names. It ends with this process."""
    return Host()


def serve() -> None:
    """The life of a host: calls in, `(value, None)` or `(None, reason)` out, until its input ends."""
    import torch

    die_with_parent()
    torch.set_num_threads(1)
    calls, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the code prints is no answer
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            function, arguments = pickle.load(calls)
            _answer(answers, function, arguments)


def _answer(answers: BinaryIO, function: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    try:
        data = pickle.dumps((function(*arguments), None), protocol=5)
    except BaseException as error:
        data = pickle.dumps((None, reason_of(error)))
    answers.write(data)
    answers.flush()


def reason_of(error: BaseException) -> str:
    """An error in one line: its type and text, and the last line of code that is neither ours nor Python's."""
    text = " ".join(str(error).split())
    if isinstance(error, PluginError):
        return text
    if not isinstance(error, UndefinedError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    known = (*map(os.path.dirname, (codec.__file__, encodec_eval.__file__)), sysconfig.get_path("stdlib"), "<")
    theirs = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(known)]
    if not theirs or isinstance(error, UndefinedError):
        return text
    return f"{text} ({os.path.basename(theirs[-1].filename)}, line {theirs[-1].lineno})"


def die_with_parent() -> None:
    """On Linux, have the kernel kill this process when the one that started it ends, in a loop without end too."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _end(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
