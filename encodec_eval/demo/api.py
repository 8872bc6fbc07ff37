"""What Gradio lacks: inputs that are refused by name, answers of MCP in JSON, a fair queue, a quiet end."""

import asyncio
import gc
import json
from collections.abc import Iterable
from typing import Any

import gradio as gr
from gradio import mcp, processing_utils
from gradio.queueing import Event, Queue
from gradio_client.utils import is_file_obj_with_meta, traverse

from encodec_eval.demo.coding import to_gradio_error
from encodec_eval.demo.settings import QUEUE_LENGTH

MAX_OF_A_SESSION = 4
MAX_OF_AN_ADDRESS = 3 * QUEUE_LENGTH // 4


def file_input(label: str) -> gr.File:
    """An input for a file that was uploaded; for anything else its label and what was expected are said.

    (Gradio takes a class that inherits from a component for one with files of its own for the browser.)
    """
    file = gr.File(label=label, type="filepath")
    schema = file.api_info()

    def preprocess(payload: Any) -> Any:
        if payload is None:
            return None
        if not (is_file_obj_with_meta(payload) and isinstance(payload.get("path"), str)):  # those Gradio has checked
            raise to_gradio_error(f"{label} is {shortened(payload)}: expected an uploaded file", markup=False)
        return payload["path"]  # what Gradio's own returns, after making an empty file that it leaves behind

    file.data_model = None  # it would refuse other types with a traceback and no name
    file.api_info = lambda: schema  # type: ignore[method-assign]
    file.preprocess = preprocess  # type: ignore[method-assign]
    return file


def unconverted(component: gr.components.Component) -> gr.components.Component:
    """An input whose value the endpoint checks itself: Gradio converts it or fails without its name."""
    component.preprocess = lambda payload: payload  # type: ignore[method-assign]
    return component


def shortened(value: object) -> str:
    """A value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def limit_queue(queue: Queue) -> None:
    """Refuse what would let one client fill the queue: more than 4 calls of a session, running or waiting, and more of
    an address than three quarters of the queue. Calls through MCP share one session, and this machine's address."""
    push = queue.push

    async def limited(body: Any, request: Any, username: str | None) -> Any:
        waiting = list(_waiting(queue))
        address = _address(request)
        from_mcp = request.headers.get("x-gradio-user") == "mcp"
        of_session = sum(event.session_hash == body.session_hash for event in waiting)
        if of_session >= MAX_OF_A_SESSION and not from_mcp:
            return False, f"{of_session} calls of yours are waiting: expected at most {MAX_OF_A_SESSION}.", "queue_full"
        of_address = sum(_address(event.request) == address for event in waiting)
        if of_address >= MAX_OF_AN_ADDRESS:
            return False, f"{of_address} calls from your address are waiting. Try again later.", "queue_full"
        return await push(body, request, username)

    queue.push = limited  # type: ignore[method-assign]


def _waiting(queue: Queue) -> Iterable[Event]:
    for events in queue.event_queue_per_concurrency_id.values():
        yield from events.queue
    for job in queue.active_jobs:
        yield from job or ()


def _address(request: Any) -> str:
    return request.client.host if request.client else ""


def close_event_loops() -> None:
    """Close the event loops that Gradio makes for its locks and forgets.

    Python may collect their sockets first, and then prints "Invalid file descriptor: -1" for each.
    """
    for each in gc.get_objects():
        if issubclass(type(each), asyncio.AbstractEventLoop) and not each.is_running():
            each.close()


def answer_mcp_in_json() -> None:
    """Make tools of MCP answer in JSON, files by their URL; Gradio answers in Python's notation, with server paths."""

    def texts(self: Any, data: Any, root_url: str) -> list[Any]:
        with_urls = processing_utils.add_root_url(data, root_url, None)
        plain = traverse(with_urls, lambda file: file.get("url"), is_file_obj_with_meta)
        answers = [each if isinstance(each, str) else json.dumps(each) for each in plain]
        return [self.types.TextContent(type="text", text=answer) for answer in answers]

    mcp.GradioMCPServer.postprocess_output_data = texts  # type: ignore[method-assign]
