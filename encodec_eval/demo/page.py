"""What the page does: each event's function, as values of the page's outputs."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from encodec_eval.demo import models, store
from encodec_eval.demo.coding import every_bandwidth, open_ecdc, to_gradio_error
from encodec_eval.demo.numbers import label, table
from encodec_eval.demo.session import Session
from encodec_eval.demo.settings import EXAMPLES, Source
from encodec_eval.demo.temporary import folder
from encodec_eval.demo.values import files_value, picture_value, player_value

KEPT = "Cached result of this example; speeds are from its first run."


class Shown(NamedTuple):
    """A value for each of the page's outputs, in their order in `app.py`; by default an output stays as it is."""

    source: Any = gr.skip()
    session: Any = gr.skip()
    player: Any = gr.skip()
    numbers: Any = gr.skip()
    choice: Any = gr.skip()
    files: Any = gr.skip()
    about: Any = gr.skip()
    status: Any = gr.skip()


def on_upload(
    given: dict[str, Any] | None, model: str, opus_kbps: list[float], old: Session | None, request: gr.Request
) -> Iterator[Shown]:
    """A file was uploaded: a clip to code, or an `.ecdc` file to open."""
    source = uploaded(given)
    if source.path.suffix.lower() == ".ecdc":
        yield opened(source, old, request)
    else:
        yield from coded(source, model, opus_kbps, old, request)


def on_example(index: int) -> Callable[..., Iterator[Shown]]:
    """What is done when an example is chosen."""

    def chosen(model: str, opus_kbps: list[float], old: Session | None, request: gr.Request) -> Iterator[Shown]:
        yield from coded(EXAMPLES[index], model, opus_kbps, old, request)

    return chosen


def on_settings(
    source: Source | None, model: str, opus_kbps: list[float], old: Session | None, request: gr.Request
) -> Iterator[Shown]:
    """Another model or other rates of Opus were chosen: the clip there is, if there is one, is coded again."""
    yield Shown(about=models.about(model))
    if source is not None and source.path.is_file():
        yield from coded(source, model, opus_kbps, old, request)


def on_cancel(request: gr.Request) -> None:
    """The visitor cancelled."""
    store.cancel_runs(visitor(request))


def on_clear(old: Session | None, request: gr.Request) -> Shown:
    """The visitor wants another clip."""
    store.begin_run(visitor(request))  # what still runs gives way without a word
    leave(old)
    return Shown(source=None, session=None, player=None, numbers="", files=None, status="")


def on_picture(session: Session | None, chosen: str | None) -> dict[str, Any] | None:
    """A version's spectrograms are wanted."""
    return picture_value(session, chosen)


def visitor(request: gr.Request | None) -> str:
    """The name of a browser session."""
    return (request and request.session_hash) or "nobody"


def uploaded(given: dict[str, Any] | None) -> Source:
    """The uploaded file. Raises `gr.Error` for what is none: no other file of this machine can be named."""
    path = given.get("path") if isinstance(given, dict) else None
    if not isinstance(path, str):
        raise to_gradio_error("Choose a clip first.")
    inside = Path(path).resolve()
    if folder().resolve() not in inside.parents or not inside.is_file():
        raise to_gradio_error("The file is no longer here: choose it again.")
    return Source(inside, inside.name, inside.name)


def coded(
    source: Source, model: str, opus_kbps: list[float], old: Session | None, request: gr.Request
) -> Iterator[Shown]:
    """A clip at every bandwidth. What an example gives is kept for as long as the app runs."""
    who = visitor(request)
    run = store.begin_run(who)
    key = store.example_key(source, model, opus_kbps)
    session = store.kept.get(key) if key else None
    if session is None:
        parent = store.examples_folder() if key else None
        with closing(every_bandwidth(source, model, opus_kbps, parent)) as stages:
            for session in stages:
                if store.current.get(who) != run:
                    yield from stopped(session, who, source.title, run)
                    return
                yield progress(session, source, run)
        assert session is not None
        if key is not None:
            session = store.kept.setdefault(key, session)
        remarks = []
    else:
        remarks = [KEPT]
    if old is not None and old.folder != session.folder:
        leave(old)
    yield finished(session, source, run, remarks)


def leave(old: Session | None) -> None:
    """Remove a session that is no longer shown; one that is still being filled goes when its run notices."""
    if old is not None and old.finished:
        store.forget(old)


def stopped(session: Session, who: str, title: str, run: str) -> Iterator[Shown]:
    """The end of a run that was cancelled, or overtaken by another: that one shows its own."""
    if who in store.current:
        store.forget(session)
        yield Shown()  # what came last is sent again at the end
        return
    session.finished = True
    session.remarks.append("Cancelled: showing what was finished.")
    yield finished(session, Source(session.original, title, session.name), run)


def progress(session: Session, source: Source, run: str) -> Shown:
    """What the page shows of a session that fills."""
    return Shown(
        source=source,
        session=session,
        player=player_value(session, source.title, run),
        numbers=table(session),
        status=session.doing,
    )


def finished(session: Session, source: Source, run: str, remarks: list[str] | None = None) -> Shown:
    """What the page shows of a session that does not change any more."""
    names = [label(version) for version in session.versions]
    compared = session.original.exists() and bool(names)
    return Shown(
        source=source,
        session=session,
        player=player_value(session, source.title, run),
        numbers=table(session, remarks or []),
        choice=gr.Radio(choices=names if compared else [], value=names[min(2, len(names) - 1)] if compared else None),
        files=files_value(session),
        status="",
    )


def opened(source: Source, old: Session | None, request: gr.Request) -> Shown:
    """What an `.ecdc` file holds: there is no original to compare it with."""
    store.begin_run(visitor(request))
    session = open_ecdc(source)
    leave(old)
    shown = finished(session, source, secrets.token_hex(8))
    return shown._replace(source=None, about=models.about(session.model))
