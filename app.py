"""A page on which one clip is heard at every bandwidth of EnCodec, beside Opus, with the numbers and the files.

    python app.py

The functions are plain Python; `demo` is the page.
"""

import atexit
import hashlib
import html
import importlib.util
import math
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

# Read when Gradio is imported: everything that it and the app write goes into one folder, which goes when the app ends.
os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="encodec-app-")

import gradio as gr
import torch

import codec
from codec.hub import hub_reachable
from codec.weights import DEFAULT_MODEL
from encodec_eval.datasets import BUNDLED
from encodec_eval.demo import components, spectrograms
from encodec_eval.demo.numbers import label, table
from encodec_eval.demo.session import Session, hear, listen, load_clip
from encodec_eval.systems import Encodec
from encodec_eval.systems.encodec import load_language_model
from encodec_eval.types import EvalError, UndefinedError

TEMPORARY = Path(os.environ["GRADIO_TEMP_DIR"])
atexit.register(shutil.rmtree, TEMPORARY, ignore_errors=True)

try:
    import spaces

    on_gpu = spaces.GPU
except ImportError:  # only Hugging Face's ZeroGPU machines have it

    def on_gpu(function):
        return function


MAX_UPLOAD = "64mb"
VISITORS_AT_ONCE = 2
QUEUE_LENGTH = 40
KEEP_S = 7200
OPUS_KBPS = [6, 12, 24]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
EXAMPLES = [
    ("Speech, 16 kHz", "librispeech-mini/test-other/1688/142285/1688-142285-0008.flac"),
    ("Speech, 48 kHz", "clips-48k/p228_023.flac"),
    ("Jazz", "clips-48k/macleod_vibe_ace.flac"),
    ("Guitar", "clips-48k/guit_em9.flac"),
]
EXAMPLE_DIGESTS = {hashlib.sha256((BUNDLED / path).read_bytes()).digest() for _, path in EXAMPLES}
TITLE = "EnCodec, heard and measured"
KEPT = "This example was worked out before and kept: the speeds are those of then."
ACCENT, ACCENT_DARK = "#0b6a6f", "#56c4c0"
THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.teal,
    neutral_hue=gr.themes.colors.slate,
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
).set(
    body_background_fill_dark="#0c1014",
    block_background_fill_dark="#1a2028",
    border_color_primary_dark="#3a4450",
    body_text_color_subdued="#5b6675",
    body_text_color_subdued_dark="#9ba8b8",
    button_primary_background_fill=ACCENT,
    button_primary_background_fill_hover="#0d7d83",
    button_primary_background_fill_dark=ACCENT_DARK,
    button_primary_background_fill_hover_dark="#74d3cf",
    button_primary_text_color_dark="#0d1518",
    checkbox_background_color_selected=ACCENT,
    checkbox_background_color_selected_dark=ACCENT_DARK,
    checkbox_label_background_fill="transparent",
    checkbox_label_background_fill_dark="transparent",
    checkbox_label_border_color="*border_color_primary",
    color_accent=ACCENT,
)
LAUNCH = {"max_file_size": MAX_UPLOAD, "theme": THEME, "css_paths": components.CSS}
LAUNCH |= {"footer_links": ["api"], "mcp_server": importlib.util.find_spec("mcp") is not None}


def max_clip_s() -> float:
    """The length limit in `$ENCODEC_MAX_CLIP_S`; ends the program where that is none."""
    given = os.environ.get("ENCODEC_MAX_CLIP_S", "30")
    with suppress(ValueError):
        if 0 < float(given) < math.inf:
            return float(given)
    print(f"ENCODEC_MAX_CLIP_S: {given!r} is not a number of seconds above 0", file=sys.stderr)
    raise SystemExit(2)


def own_models() -> dict[str, str]:
    """The checkpoint folders in `$ENCODEC_MODELS` by their last part; ends the program where one is none."""
    folders = [Path(folder) for folder in os.environ.get("ENCODEC_MODELS", "").split(os.pathsep) if folder]
    try:
        for folder in folders:
            if not folder.is_dir():
                raise codec.CheckpointError(f"{folder} is not a folder")
            codec.weights.find(folder)
    except codec.CheckpointError as error:
        print(f"ENCODEC_MODELS: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    return {folder.resolve().name: str(folder.resolve()) for folder in folders}


MAX_CLIP_S = max_clip_s()
OWN_MODELS = own_models()


def offered_models() -> dict[str, str]:
    """Names to choose from and what each loads, the default first.

    They are the checkpoints on this machine, facebook's if they can be downloaded, and those of `own_models`, which
    take the place of others of that last part.
    """
    here = codec.available_models()
    if DEFAULT_MODEL not in here and hub_reachable():
        here = [DEFAULT_MODEL, "facebook/encodec_48khz", *here]
    return {name: name for name in here if Path(name).name not in OWN_MODELS} | OWN_MODELS


def system(model: str, bandwidths: tuple[float, ...] | None = None) -> Encodec:
    """One of the offered models; raises `EvalError` for any other: a visitor names no path and no repository."""
    models = offered_models()
    if model not in models:
        raise EvalError(f"there is no model {model!r} here; allowed are {', '.join(models)}")
    return Encodec(models[model], bandwidths, DEVICE, title=model)


def about(model: str) -> str:
    """Whose voice this is, and what that means: HTML."""
    config = codec.EncodecConfig.from_json_file(codec.weights.find(offered_models()[model]).config)
    what = f"{config.sampling_rate // 1000} kHz {'stereo' if config.audio_channels == 2 else 'mono'}"
    if model in OWN_MODELS:
        text = f"a {what} checkpoint that was added to this page."
    elif model.startswith("facebook/"):
        text = f"the {what} model that Meta AI published with the paper."
    else:
        released = f"facebook/encodec_{config.sampling_rate // 1000}khz"
        text = f"a small {what} model trained for this project. {released} is larger and sounds better."
    return f"<p><b>{html.escape(model)}</b>: {html.escape(text)}</p>"


SESSIONS = TEMPORARY / "sessions"
EXAMPLE_SESSIONS = TEMPORARY / "examples"  # served by path, so that Gradio does not delete what is kept
gr.set_static_paths([EXAMPLE_SESSIONS])
kept: dict[tuple[bytes, str, tuple[float, ...]], Session] = {}


def new_session(model: str, parent: Path | None = None) -> Session:
    """A session in a folder of its own, under a name that nobody can guess. What is left of old ones is removed."""
    parent = parent or SESSIONS
    parent.mkdir(exist_ok=True)
    for old in SESSIONS.glob("*"):
        with suppress(FileNotFoundError):  # another thread was faster
            if old.stat().st_mtime < time.time() - KEEP_S:
                shutil.rmtree(old, ignore_errors=True)
    folder = parent / secrets.token_urlsafe(24)
    folder.mkdir(mode=0o700)
    return Session(folder, model)


def forget(session: Session | None) -> None:
    """Remove a session's files, unless it is kept."""
    if session is not None and session.folder not in {each.folder for each in kept.values()}:
        shutil.rmtree(session.folder, ignore_errors=True)


@on_gpu
def every_bandwidth(
    path: str | None, model: str, opus_kbps: list[float], parent: Path | None = None
) -> Iterator[Session]:
    """A clip at every bandwidth of a model and at the given rates of Opus; yields the session as it fills.

    Raises `gr.Error` with one line for everything a visitor can get wrong.
    """
    if path is None:
        raise gr.Error("Choose a clip first.", print_exception=False)
    session = None
    try:
        audio, sample_rate = load_clip(Path(path), MAX_CLIP_S)
        encodec = system(model)
        session = new_session(model, parent)
        for _ in listen(session, audio, sample_rate, encodec, sorted(opus_kbps)):
            yield session
    except (codec.CodecError, EvalError, OSError) as error:
        forget(session)
        raise told(error, Path(path)) from error


def example_key(path: str | None, model: str, opus_kbps: list[float]) -> tuple[bytes, str, tuple[float, ...]] | None:
    """What the result for an example depends on; None if the clip is not one."""
    if path is None or not Path(path).is_file():
        return None
    digest = hashlib.sha256(Path(path).read_bytes()).digest()
    return (digest, model, tuple(sorted(opus_kbps))) if digest in EXAMPLE_DIGESTS else None


def open_ecdc(path: str) -> Session:
    """A session with what a visitor's `.ecdc` file holds. Errors as in `every_bandwidth`."""
    session = new_session("")
    try:
        hear(session, Path(path).read_bytes(), MAX_CLIP_S, offered_models())
    except (codec.CodecError, EvalError, OSError) as error:
        forget(session)
        raise told(error, Path(path)) from error
    return session


def told(error: Exception, path: Path) -> gr.Error:
    """An error as the visitor reads it: without the folders of this machine, without markup from a file's name."""
    text = str(error)
    for private in (path, *map(Path, OWN_MODELS.values())):
        text = text.replace(str(private), private.name)
    return gr.Error(html.escape(text), print_exception=False)


def shown_in_player(session: Session) -> dict[str, Any]:
    """The value of the player: the original and every version, with files for Gradio to serve."""
    names = [(label(version), version.point.series, version.wav) for version in session.versions]
    if session.original.exists():
        names.insert(0, ("Original", "", session.original))
    return {
        "versions": [
            {"label": text, "note": note, "audio": gr.FileData(path=str(wav)).model_dump()} for text, note, wav in names
        ]
    }


def taken_away(session: Session) -> dict[str, Any]:
    """The value of the list of files."""
    rows = [(label(version), version.files) for version in session.versions]
    if session.original.exists():
        rows.insert(0, ("Original", [session.original]))
    return {
        "zip": gr.FileData(path=str(session.archive())).model_dump(),
        "rows": [{"name": name, "files": [download(path) for path in paths]} for name, paths in rows],
    }


def download(path: Path) -> dict[str, Any]:
    """A file to take away, and what its link says."""
    kind = "with LM" if path.name.endswith(".lm.ecdc") else path.suffix
    text = f"{kind}, {path.stat().st_size / 1000:.1f} kB"
    return {"name": path.name, "text": text, "file": gr.FileData(path=str(path)).model_dump()}


def picture(session: Session | None, chosen: str | None) -> dict[str, Any] | None:
    """The spectrograms of one version, for the template that shows them; None if there is nothing to show."""
    versions = {label(version): version for version in session.versions} if session else {}
    if session is None or chosen not in versions or not session.original.exists():
        return None
    version = versions[chosen]
    path = session.folder / f"{version.wav.stem}.png"
    if path.exists():
        return {"name": chosen, "image": gr.FileData(path=str(path)).model_dump()}
    try:
        figure = spectrograms.draw(
            *codec.audio.load(session.original), *codec.audio.load(version.wav), chosen, version.codes
        )
    except (codec.CodecError, UndefinedError) as error:
        raise gr.Error(html.escape(f"No picture: {error}"), print_exception=False) from error
    # Whoever else looks at a kept session must not find half a picture.
    spectrograms.save(figure, path.with_suffix(f".{secrets.token_hex(8)}.png")).replace(path)
    return {"name": chosen, "image": gr.FileData(path=str(path)).model_dump()}


def on_listen(path: str | None, model: str, opus_kbps: list[float], old: Session | None) -> Iterator[dict[Any, Any]]:
    """What the page shows while a clip is worked on. What an example gives is kept for as long as the app runs."""
    key = example_key(path, model, opus_kbps)
    session = kept.get(key)
    if session is not None:
        yield progress(session, KEPT)
    else:
        for session in every_bandwidth(path, model, opus_kbps, EXAMPLE_SESSIONS if key else None):
            yield progress(session)
    taken = taken_away(session)
    if key is not None:
        kept.setdefault(key, session)
    if old is not None and old.folder != session.folder:
        forget(old)
    names = [label(version) for version in session.versions]
    yield {choice: gr.Radio(choices=names, value=names[min(2, len(names) - 1)]), files: taken}


def on_open(path: str, old: Session | None) -> dict[Any, Any]:
    """What the page shows of an `.ecdc` file."""
    session = open_ecdc(path)
    forget(old)
    return {
        **progress(session),
        voice: about(session.model),
        choice: gr.Radio(choices=[], value=None),
        files: taken_away(session),
    }


def progress(session: Session, *remarks: str) -> dict[Any, Any]:
    """What the page shows of a session, finished or not. Without an original there is nothing to compare with."""
    compared = session.original.exists()
    return {
        state: session,
        heard: shown_in_player(session),
        numbers: table(session, remarks),
        results: gr.Column(visible=True),
        changed: gr.Accordion(visible=compared),
        blind: gr.Accordion(visible=compared),
    }


def hand_over(session: Session, *paths: Path) -> list[str]:
    """An endpoint's files. Gradio deletes them after a while; what else the session has goes now."""
    for path in set(session.folder.iterdir()) - set(paths):
        path.unlink()
    return [str(path) for path in paths]


def reconstruct(clip: str, model: str) -> tuple[list[dict[str, object]], list[str]]:
    """Encode and decode an audio clip at every bandwidth of an EnCodec model and measure what that costs and loses.

    Args:
        clip: the audio file: mono or stereo, WAV, FLAC, OGG, Opus or MP3.
        model: one of the names that /models returns.

    Returns:
        One row of numbers for each bandwidth, and as many WAV files in the same order.
    """
    *_, session = every_bandwidth(clip, model, [])
    return session.rows(), hand_over(session, *(version.wav for version in session.versions))


@on_gpu
def encode(clip: str, model: str, bandwidth: float, language_model: bool) -> str:
    """Compress an audio clip to an .ecdc file.

    Args:
        clip: the audio file: mono or stereo, WAV, FLAC, OGG, Opus or MP3.
        model: one of the names that /models returns.
        bandwidth: in kbps, one of the model's.
        language_model: whether to make the file smaller with the model's language model.

    Returns:
        The .ecdc file.
    """
    session = new_session(model)
    try:
        audio, sample_rate = load_clip(Path(clip), MAX_CLIP_S)
        encodec = system(model, (bandwidth,))
        for output in encodec.outputs(audio, sample_rate, encodec.points):
            session.add(output, audio.shape[-1] / sample_rate)
        if language_model:
            session.add_entropy_coded(session.versions[0], encodec.loaded, load_language_model(encodec.model))
    except (codec.CodecError, EvalError, OSError) as error:
        forget(session)
        raise told(error, Path(clip)) from error
    return hand_over(session, session.versions[0].files[-1])[0]


def decode(ecdc: str) -> str:
    """Decode an .ecdc file of one of the models that /models returns.

    Args:
        ecdc: the .ecdc file.

    Returns:
        The audio as a WAV file.
    """
    session = open_ecdc(ecdc)
    return hand_over(session, session.versions[0].wav)[0]


def models() -> list[str]:
    """The names of the EnCodec models that can be used here, the default first."""
    return list(offered_models())


# Templates get only texts made here: Gradio evaluates them as JavaScript, so nothing a visitor names may enter them.
PICTURE = """{{#if value}}<img src="{{value.image.url}}" alt="Spectrograms of the original and of {{value.name}}, their
difference, and the entropy of each codebook's entries.">{{/if}}"""
FILES = """{{#if value}}<table>{{#each value.rows}}<tr><th scope="row">{{name}}</th>{{#each files}}<td>
<a href="{{file.url}}" download="{{name}}">{{text}}</a></td>{{/each}}</tr>{{/each}}</table>
<p><a href="{{value.zip.url}}" download="versions.zip">All of it with the numbers, ZIP</a></p>{{/if}}"""

with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(600, KEEP_S)) as demo:
    names = list(offered_models())
    state = gr.State(None, time_to_live=KEEP_S, delete_callback=forget)
    gr.HTML(
        f"<h1>{TITLE}</h1><p>One clip at every bandwidth of the neural codec, switched without a gap.</p>",
        elem_id="top",
    )
    with gr.Row(elem_id="choose"):
        with gr.Column(scale=3):
            clip = gr.Audio(
                label=f"Clip, up to {MAX_CLIP_S:g} s", type="filepath", sources=["upload", "microphone"], buttons=[]
            )
            examples = gr.Examples(
                [[str(BUNDLED / path)] for _, path in EXAMPLES],
                clip,
                label="Or one of these",
                example_labels=[name for name, _ in EXAMPLES],
                cache_examples=False,
                api_visibility="private",
            )
        with gr.Column(scale=2):
            model = gr.Radio(names, value=names[0], label="Model")
            opus = gr.CheckboxGroup([(f"{k} kbps", k) for k in OPUS_KBPS], label="Opus beside it", value=[12])
            button = gr.Button("Listen", variant="primary", size="lg")
            opener = gr.UploadButton("Open an .ecdc file", file_types=[".ecdc"], variant="secondary", size="md")
    voice = gr.HTML(about(names[0]), elem_id="voice", apply_default_css=False)
    # Hidden, not absent: a value that comes with the component that shows it can be lost on the way to its script.
    with gr.Column(visible="hidden", elem_id="results") as results:
        heard = gr.HTML(elem_id="player", **components.player_arguments("rate=48000"))
        numbers = gr.HTML(elem_id="numbers", apply_default_css=False)
        with gr.Accordion("See what changed", open=False) as changed:
            choice = gr.Radio([], show_label=False, container=False)
            seen = gr.HTML(html_template=PICTURE, elem_id="picture")
        with gr.Accordion("Test yourself blind", open=False) as blind:
            gr.HTML(elem_id="blind", **components.blind_arguments("#player sync-player", "rate=48000"))
        with gr.Accordion("Take the files", open=False):
            files = gr.HTML(html_template=FILES, elem_id="files", apply_default_css=False)

    inputs, outputs = [clip, model, opus, state], [state, heard, numbers, results, changed, blind, choice, files]
    page = {"show_progress": "hidden", "api_visibility": "private"}
    listening = {"fn": on_listen, "inputs": inputs, "outputs": outputs, **page}
    for started in (
        gr.on([button.click, clip.upload, clip.stop_recording], **listening),
        examples.load_input_event.success(**listening),
    ):
        started.success(picture, [state, choice], seen, **page)
    choice.input(picture, [state, choice], seen, **page)
    opener.upload(on_open, [opener, state], [*outputs, voice], **page).success(picture, [state, choice], seen, **page)
    model.change(about, model, voice, **page)

    gr.api(models, api_name="models")
    with gr.Group(visible=False):
        sent = gr.File(type="filepath")
        named = gr.Textbox(names[0])
        answer = [gr.JSON(), gr.File(file_count="multiple")]
        gr.Button().click(reconstruct, [sent, named], answer, api_name="reconstruct")
        kbps, lm, file = gr.Number(6), gr.Checkbox(False), gr.File()
        gr.Button().click(encode, [sent, named, kbps, lm], file, api_name="encode")
        gr.Button().click(decode, sent, file, api_name="decode")

demo.queue(default_concurrency_limit=VISITORS_AT_ONCE, max_size=QUEUE_LENGTH)

if __name__ == "__main__":
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // VISITORS_AT_ONCE))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that temporary files are removed then as well
    demo.launch(**LAUNCH)
