"""A page on which one clip is heard at every bandwidth of EnCodec, beside Opus, with the numbers and the files.

    python app.py

This file is the layout; what happens is in `encodec_eval.demo`.
"""

import importlib.util
import os
import signal

from encodec_eval.demo import temporary

# Read when Gradio is imported: everything that it and the app write goes into one folder, which goes when the app ends.
os.environ["GRADIO_TEMP_DIR"] = str(temporary.make_folder())
# Read by oneDNN, here and in the helpers: it keeps 1024 compiled kernels by default, and compiles new ones for every
# length of a clip, which took 3 MB a clip. One clip needs fewer than 64.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")

import gradio as gr
import torch

from encodec_eval.demo import api, components, device, endpoints, line, live, page, store
from encodec_eval.demo.models import about, offered_models
from encodec_eval.demo.session import FORMATS, HELPERS
from encodec_eval.demo.settings import (
    CLEAN_EVERY_S,
    EXAMPLES,
    KEEP_S,
    MAX_CLIP_S,
    MAX_UPLOAD_MB,
    OPUS_KBPS,
    QUEUE_LENGTH,
    TITLE,
    VISITORS_AT_ONCE,
    VISITORS_REMEMBERED,
)
from encodec_eval.demo.theme import THEME
from encodec_eval.demo.values import FILES, PICTURE

LAUNCH = {"max_file_size": f"{MAX_UPLOAD_MB}mb", "theme": THEME, "head": components.HEAD}
LAUNCH |= {"state_session_capacity": VISITORS_REMEMBERED}
LAUNCH |= {"footer_links": ["api"], "mcp_server": importlib.util.find_spec("mcp") is not None}
LAUNCH |= device.launch_arguments()
PRIVATE = {"show_progress": "hidden", "api_visibility": "private"}
gr.set_static_paths([store.examples_folder()])

with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(CLEAN_EVERY_S, KEEP_S)) as demo:
    names = list(offered_models())
    source = gr.State(None, time_to_live=KEEP_S)
    session = gr.State(None, time_to_live=KEEP_S, delete_callback=store.forget)
    gr.HTML(
        f"<h1>{TITLE}</h1><p>Hear what the neural audio codec EnCodec makes of speech and music at every bandwidth, "
        "switching without a gap.</p>",
        elem_id="top",
    )
    with gr.Column(elem_id="choose"):
        gr.HTML("<h2>Start with an example</h2>", apply_default_css=False)
        with gr.Row(elem_id="examples"):
            examples = [gr.Button(f"{each.title}\n{each.about}") for each in EXAMPLES]
        gr.HTML("<h2>Or with a clip of your own, or an .ecdc file</h2>", apply_default_css=False)
        clip = gr.HTML(
            elem_id="clip", **components.clip_input_arguments(MAX_CLIP_S, MAX_UPLOAD_MB, f"{FORMATS}, .ecdc")
        )
    with gr.Row(elem_id="settings"):
        model = gr.Radio(names, value=names[0], label="Model", elem_id="model")
        opus = gr.CheckboxGroup([(f"{k} kbps", k) for k in OPUS_KBPS], label="Compare with Opus", value=[12])
    voice = gr.HTML(about(names[0]), elem_id="voice", apply_default_css=False)
    status = gr.HTML("", elem_id="status", **components.status_arguments())
    # There from the start, and hidden by CSS: a value that comes with the component that shows it can be lost.
    with gr.Column(elem_id="results"):
        player = gr.HTML(elem_id="player", **components.player_arguments("rate=48000", with_name=True))
        numbers = gr.HTML(elem_id="numbers", apply_default_css=False)
        with gr.Accordion("See what changed", open=False, elem_classes="compares"):
            choice = gr.Radio([], show_label=False, container=False, elem_id="Version-to-see")
            seen = gr.HTML(html_template=PICTURE, elem_id="picture", apply_default_css=False)
        with gr.Accordion("Send it over a line", open=False, elem_classes="compares"):
            over_line = line.controls(session)
        with gr.Accordion("Test yourself blind", open=False, elem_classes="compares"):
            gr.HTML(elem_id="blind", **components.blind_arguments("#player sync-player", "rate=48000"))
        with gr.Accordion("Download the files", open=False):
            files = gr.HTML(html_template=FILES, elem_id="files", apply_default_css=False)
    with gr.Accordion("Hear yourself live", open=False):
        gr.HTML(
            "<p>Your microphone goes through the codec on this server and back to you. <b>Wear headphones</b> to "
            "avoid feedback. Nothing is kept.</p>",
            apply_default_css=False,
        )
        live.control(model)
    with gr.Accordion("Run it on your device", open=False):
        gr.HTML(device.about(), elem_id="device", apply_default_css=False)

    shown = [source, session, player, numbers, choice, files, voice, status]
    working = {"outputs": shown, "api_visibility": "private", "show_progress_on": status, "trigger_mode": "multiple"}
    started = [
        clip.upload(page.on_upload, [clip, model, opus, session], **working),
        *(button.click(page.on_example(i), [model, opus, session], **working) for i, button in enumerate(examples)),
        gr.on([model.input, opus.input], page.on_settings, [source, model, opus, session], **working),
    ]
    for run in started:
        run.success(page.on_picture, [session, choice], seen, **PRIVATE)
        run.success(line.on_versions, session, [over_line.version, over_line.heard], **PRIVATE)
    choice.input(page.on_picture, [session, choice], seen, **PRIVATE)
    player.clear(page.on_clear, session, shown, queue=False, **PRIVATE)
    status.submit(page.on_cancel, queue=False, **PRIVATE)

    gr.api(endpoints.models, api_name="models", queue=False)
    with gr.Group(visible=False):
        sent, packed, named = api.file_input("clip"), api.file_input("ecdc"), api.unconverted(gr.Textbox(names[0]))
        answer = [gr.JSON(), gr.File(file_count="multiple")]
        gr.Button().click(endpoints.reconstruct, [sent, named], answer, api_name="reconstruct")
        kbps, lm, file = api.unconverted(gr.Number(6)), gr.Checkbox(False), gr.File()
        gr.Button().click(endpoints.encode, [sent, named, kbps, lm], file, api_name="encode")
        gr.Button().click(endpoints.decode, packed, file, api_name="decode")

demo.queue(default_concurrency_limit=VISITORS_AT_ONCE, max_size=QUEUE_LENGTH)
api.limit_queue(demo._queue)
if LAUNCH["mcp_server"]:
    api.answer_mcp_in_json()

if __name__ == "__main__":
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // VISITORS_AT_ONCE))
    HELPERS.warm_up()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that temporary files are removed then as well
    demo.launch(**LAUNCH, prevent_thread_lock=True)
    api.close_event_loops()
    demo.block_thread()
    temporary.end_process()
