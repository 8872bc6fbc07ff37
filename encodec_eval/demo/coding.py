"""What the page and the endpoints share: a clip or a file in, a session out, errors as a visitor reads them."""

import html
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import gradio as gr

import codec
from encodec_eval.demo import models, session, store
from encodec_eval.demo.session import Session, load_clip
from encodec_eval.demo.settings import MAX_CLIP_S, Source
from encodec_eval.types import EvalError

F = TypeVar("F", bound=Callable[..., Any])
ERRORS = (codec.CodecError, EvalError, OSError)


def on_gpu(function: F) -> F:
    """The function with a GPU while it runs, on Hugging Face's ZeroGPU machines; elsewhere the function itself."""
    try:
        import spaces
    except ImportError:  # only those machines have it
        return function
    return cast(F, spaces.GPU(function))


@on_gpu
def every_bandwidth(
    source: Source, model: str, opus_kbps: list[float], parent: Path | None = None
) -> Generator[Session, None, None]:
    """A clip at every bandwidth of a model and at the given rates of Opus; yields the session as it fills.

    Raises `gr.Error` with one line for everything a visitor can get wrong.
    """
    made = None
    try:
        audio, sample_rate = load_clip(source.path, MAX_CLIP_S)
        encodec = models.system(model)
        made = store.new_session(model, source.name, parent)
        for _ in session.code_clip(made, audio, sample_rate, encodec, sorted(opus_kbps)):
            yield made
    except ERRORS as error:
        store.forget(made)
        raise to_gradio_error(error, source.path) from error


def open_ecdc(source: Source) -> Session:
    """A session with what a visitor's `.ecdc` file holds. Errors as in `every_bandwidth`."""
    made = store.new_session("", source.name)
    try:
        session.open_ecdc(made, source.path.read_bytes(), MAX_CLIP_S, models.offered_models())
    except ERRORS as error:
        store.forget(made)
        raise to_gradio_error(error, source.path) from error
    return made


def to_gradio_error(error: Exception | str, path: Path | None = None) -> gr.Error:
    """An error as the visitor reads it: without the folders of this machine, and, as the page shows it as HTML, without
    markup from a file's name."""
    text = str(error)
    for private in (*([path] if path else []), *map(Path, models.OWN_MODELS.values())):
        text = text.replace(str(private), private.name)
    return gr.Error(html.escape(text), print_exception=False)


@contextmanager
def plain_messages() -> Iterator[None]:
    """Errors of this block carry plain text, for clients that do not show HTML."""
    try:
        yield
    except gr.Error as error:
        raise gr.Error(html.unescape(error.message), print_exception=False) from error
