"""The control "Send it over a line": a version with packets lost, and the player that marks them."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np
import torch

import codec
from encodec_eval import player
from encodec_eval.channels.line import Loss, Packets
from encodec_eval.demo import models, store
from encodec_eval.demo.coding import ERRORS, on_gpu, to_gradio_error
from encodec_eval.demo.components import _FOLLOW_THEME
from encodec_eval.demo.numbers import label
from encodec_eval.demo.session import Session, Version
from encodec_eval.types import EvalError

PACKET_S = 0.04
MAX_LOSS_PERCENT = 30
MAX_BURST = 8
CONCEALMENTS = {
    "Repeat and fade": "repeat",
    "Fade the latents": "zero",
    "Language model": "lm",
    "First 2 codebooks twice": "copy2",
}
_SHOW = """
const player = element.querySelector("sync-player");
const show = () => {
  const value = props.value || {};
  player.marks = value.marks || [];
  player.versions = (value.versions || []).map((version) => ({ url: version.audio && version.audio.url, ...version }));
  element.querySelector("p").textContent = value.note || "";
  player.hidden = !value.versions;
};
show();
watch("value", show);
"""


class Controls(NamedTuple):
    """The components of the control."""

    version: gr.Radio
    loss: gr.Slider
    burst: gr.Slider
    concealment: gr.Radio
    send: gr.Button
    heard: gr.HTML


def controls(session: gr.State) -> Controls:
    """Lay the control out, for the session of that state."""
    with gr.Row():
        version = gr.Radio([], label="Version", elem_id="line-version")
        concealment = gr.Radio(list(CONCEALMENTS), value=next(iter(CONCEALMENTS)), label="Concealment")
    with gr.Row():
        loss = gr.Slider(0, MAX_LOSS_PERCENT, 10, step=1, label="Packets lost, %", elem_id="line-loss")
        burst = gr.Slider(1, MAX_BURST, 2, step=1, label="Lost in a row, on average", elem_id="line-burst")
    send = gr.Button("Send", elem_id="line-send", variant="primary")
    heard = gr.HTML(
        elem_id="line",
        html_template='<p role="status"></p><sync-player rate="48000" no-keys></sync-player>',
        js_on_load=player.script() + _FOLLOW_THEME + _SHOW,
        apply_default_css=False,
    )
    made = Controls(version, loss, burst, concealment, send, heard)
    send.click(on_send, [session, *made[:4]], heard, api_visibility="private", show_progress_on=send)
    return made


def on_versions(session: Session | None) -> tuple[Any, None]:
    """Another session is there: its versions to choose from, and nothing heard yet."""
    names = [label(version) for version in coded(session)]
    return gr.Radio(choices=names, value=names[min(2, len(names) - 1)] if names else None), None


def coded(session: Session | None) -> list[Version]:
    """The versions that are made of codes, of a session with an original."""
    if session is None or not session.original.exists():
        return []
    return [version for version in session.versions if version.codes is not None]


@on_gpu
def on_send(
    session: Session | None, chosen: str | None, loss_percent: float, burst: float, concealment: str
) -> dict[str, Any]:
    """The value of the player: the version as it was sent, and as it was heard. Raises `gr.Error`."""
    found = [version for version in coded(session) if label(version) == chosen]
    if session is None or not found or concealment not in CONCEALMENTS:
        raise to_gradio_error("Choose a version first.")
    try:
        return sent(session, found[0], loss_percent / 100, burst, CONCEALMENTS[concealment])
    except ERRORS as error:
        raise to_gradio_error(error) from error


def sent(session: Session, version: Version, share: float, burst: float, concealment: str) -> dict[str, Any]:
    """A version over a line that loses that share of its packets. The same settings lose the same packets."""
    if not 0 <= share <= MAX_LOSS_PERCENT / 100 or not 1 <= burst <= MAX_BURST:
        raise EvalError(
            f"{100 * share:g} % in bursts of {burst:g}: expected 0 to {MAX_LOSS_PERCENT} and 1 to {MAX_BURST}"
        )
    system = models.system(session.model, (version.point.nominal_kbps or 0,))
    line = system.line(*codec.audio.load(session.original), PACKET_S)
    packets: Packets = list(line.packets(version.point, concealment))
    arrived = Loss(share, burst).carry(packets, np.random.default_rng(0))
    with torch.inference_mode():
        audio = line.decode(version.point, concealment, arrived).cpu()
    settings = hashlib.sha256(f"{share} {burst} {concealment}".encode()).hexdigest()[:8]
    path = store.new_session(session.model, session.name).folder / f"{version.wav.stem}_line_{settings}.wav"
    codec.audio.save(path, audio, line.sample_rate)
    lost = [n for n, packet in enumerate(arrived) if packet is None]
    seconds = 8 / 1000 / (len(packets) * line.packet_s)
    kbps = seconds * sum(len(packet) for packet in packets if packet is not None)
    return {
        "versions": [
            {"label": "As sent", "audio": file(version.wav)},
            {"label": f"As heard, {100 * len(lost) / len(packets):.0f} % lost", "audio": file(path)},
        ],
        "marks": [[n * line.packet_s, (n + 1) * line.packet_s] for n in lost],
        "note": f"{len(lost)} of {len(packets)} packets of {1000 * line.packet_s:g} ms lost, at {kbps:.1f} kbps",
    }


def file(path: Path) -> dict[str, Any]:
    return gr.FileData(path=str(path)).model_dump()
