"""Live: a visitor's microphone through the codec on this server and back, piece by piece.

The browser sends a piece as soon as the answer to the last one is there. (Gradio's own streaming audio would code the
answer again, as AAC in segments of HTTP Live Streaming: seconds late, and nobody would hear this codec alone.)
"""

import base64
import binascii
import json
import secrets
import threading
import time
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import torch

import codec
from codec import DecoderStream, EncoderStream
from encodec_eval.demo import models
from encodec_eval.demo.coding import ERRORS
from encodec_eval.demo.settings import VISITORS_AT_ONCE
from encodec_eval.systems.encodec import load_encodec, read_config

MOST = VISITORS_AT_ONCE  # visitors who are live at once
IDLE_S = 10.0  # without a piece, and a stream is forgotten: its page was closed
MAX_PIECE_S = 2.0
DEFAULT_KBPS = 6.0
DEVICE = "cpu"  # also where there is a GPU: frames of 13 ms are too small for one
_PAGE = Path(__file__).parents[1] / "page"
_TEMPLATE = (
    '<div class="bar"><button type="button" disabled>Start</button><label>Bandwidth <output></output> '
    '<input type="range" min="0" step="1"></label></div><p role="status"></p><p class="measured"></p>'
    '<p class="slow" role="alert"></p>'
)


class Stream:
    """One visitor's encoder and decoder."""

    def __init__(self, model: codec.EncodecModel) -> None:
        self.encoder, self.decoder = EncoderStream(model, DEFAULT_KBPS), DecoderStream(model)
        self.used = time.monotonic()
        self.lock = threading.Lock()

    def push(self, pcm: bytes, bandwidth: float) -> bytes:
        """The audio that the next samples complete, both as 16-bit PCM; frames from here on have that bandwidth.

        Raises `ValueError` for a bandwidth that the model lacks.
        """
        samples = torch.from_numpy(np.frombuffer(pcm, "<i2").astype(np.float32) / 32768)
        with self.lock, torch.inference_mode():
            self.encoder.model.config.codebooks_for(bandwidth)
            self.encoder.bandwidth = bandwidth
            audio = [self.decoder.push(codes, scale) for codes, scale in self.encoder.push(samples[None, None])]
            self.used = time.monotonic()
        if not audio:
            return b""
        return (32768 * torch.cat(audio, dim=-1)[0, 0]).round().clamp(-32768, 32767).numpy().astype("<i2").tobytes()


class Streams:
    """Those of all visitors, by names that nobody can guess. They go when their visitor ends them, or sends no more."""

    def __init__(self, most: int = MOST, idle_s: float = IDLE_S) -> None:
        self.most, self.idle_s = most, idle_s
        self._streams: dict[str, Stream] = {}
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def __len__(self) -> int:
        return len(self._streams)

    def open(self, model: codec.EncodecModel) -> str | None:
        """The name of a new stream; None where as many as can be are live."""
        with self._lock:
            self._forget_idle()
            if len(self._streams) >= self.most:
                return None
            name = secrets.token_urlsafe(24)
            self._streams[name] = Stream(model)
            if self._timer is None:
                self._watch()
            return name

    def get(self, name: object) -> Stream | None:
        return self._streams.get(name) if isinstance(name, str) else None

    def end(self, name: object) -> None:
        with self._lock:
            if isinstance(name, str):
                self._streams.pop(name, None)

    def _forget_idle(self) -> None:
        oldest = time.monotonic() - self.idle_s
        self._streams = {name: stream for name, stream in self._streams.items() if stream.used > oldest}

    def _watch(self) -> None:
        self._timer = threading.Timer(self.idle_s, self._look)
        self._timer.daemon = True
        self._timer.start()

    def _look(self) -> None:
        with self._lock:
            self._forget_idle()
            self._timer = None
            if self._streams:
                self._watch()


STREAMS = Streams()


def live_start(model: Any) -> dict[str, Any]:
    """A new stream of an offered model: `{"name": ...}`, or why there is none: `{"error": ...}`."""
    about = describe(model)
    if "error" in about:
        return {"error": about["error"]}
    try:
        name = STREAMS.open(load_encodec(models.offered_models()[model], DEVICE))
    except ERRORS:
        return {"error": f"{model} cannot be loaded now."}
    return {"name": name} if name else {"error": f"{MOST} visitors are live already. Try again later."}


def live_push(piece: Any) -> dict[str, Any]:
    """What a piece `{"name", "bandwidth", "audio"}` completes: `{"audio"}`, or `{"error"}`.

    Audio is 16-bit PCM in base64, the bandwidth in kbps.
    """
    given = piece if isinstance(piece, dict) else {}
    stream = STREAMS.get(given.get("name"))
    if stream is None:
        return {"error": "The server has ended this stream."}
    bandwidth, audio = given.get("bandwidth"), given.get("audio")
    try:
        pcm = base64.b64decode(audio, validate=True) if isinstance(audio, str) else b"-"
    except binascii.Error:
        pcm = b"-"
    most = int(MAX_PIECE_S * stream.encoder.model.config.sampling_rate)
    if len(pcm) % 2 or len(pcm) > 2 * most:
        return {"error": f"audio: expected at most {MAX_PIECE_S:g} s of 16-bit samples in base64"}
    if isinstance(bandwidth, bool) or not isinstance(bandwidth, int | float):
        return {"error": "bandwidth: expected a number of kbps"}
    try:
        return {"audio": base64.b64encode(stream.push(pcm, bandwidth)).decode()}
    except ValueError as error:
        return {"error": str(error)}


def live_end(name: Any) -> None:
    """Free a stream."""
    STREAMS.end(name)


def describe(model: Any) -> dict[str, Any]:
    """The control's value for an offered model: its name, rate, hop and bandwidths, or an error."""
    offered = models.offered_models()
    if not isinstance(model, str) or model not in offered:
        return {"error": f"There is no such model: expected {', '.join(offered)}."}
    config = read_config(offered[model])
    if (
        config.segmented
        or config.audio_channels != 1
        or not config.use_causal_conv
        or config.norm_type != "weight_norm"
    ):
        return {"error": f"{model} waits for whole segments or for what comes later. Choose a causal 24 kHz model."}
    bandwidths = list(config.target_bandwidths)
    chosen = bandwidths.index(DEFAULT_KBPS) if DEFAULT_KBPS in bandwidths else 0
    about = {"rate": config.sampling_rate, "hop": config.hop_length, "bandwidths": bandwidths, "chosen": chosen}
    return {"model": model, **about}


def control(model: gr.Radio) -> gr.HTML:
    """Lay the control out, for the model that is chosen there."""
    names = list(models.offered_models())
    shown = gr.HTML(
        describe(names[0]),
        elem_id="live",
        html_template=_TEMPLATE,
        js_on_load=_script(),
        apply_default_css=False,
        server_functions=[live_start, live_push, live_end],
    )
    model.input(describe, model, shown, queue=False, show_progress="hidden", api_visibility="private")
    return shown


def _script() -> str:
    worklets = json.dumps((_PAGE / "worklets.js").read_text("utf-8"))
    sources = [(_PAGE / "live.js").read_text("utf-8"), (Path(__file__).parent / "live.js").read_text("utf-8")]
    return "{\n" + f"const WORKLETS = {worklets};\n" + "".join(sources) + "\n}"
