"""A static page that runs the codec in the visitor's browser: files for any web host, and no server code.

`codec.js` runs an exported model by onnxruntime-web, `runtime.js` chooses WebGPU or WebAssembly for it, `ecdc.js` reads
and writes `.ecdc` files, `page.js` is the page.
"""

import base64
import hashlib
import html
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from encodec_eval import player
from encodec_eval.types import EvalError

PACKAGE, VERSION, LICENCE = "onnxruntime-web", "1.30.0", "MIT"
INTEGRITY = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
RUNTIME_FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
WEBGPU_FILES = ("ort.webgpu.min.js", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm")
CONFIG = "config.json"
GRAPHS = ("encoder.onnx", "decoder.onnx")
STREAM_GRAPHS = (
    "encoder_stream.onnx",
    "decoder_stream.onnx",
)  # of `export --stream`: these alone, and the page is live
# The browser itself keeps audio from going to another host.
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self' blob:; media-src blob:; worker-src 'self' blob:; form-action 'none'; base-uri 'none'"
)
_SCRIPTS = ("ecdc.js", "codec.js", "runtime.js", "live.js", "page.js")
_FOLDER = Path(__file__).parent


def build(folder: Path, export: Path, runtime: Path, webgpu: bool = False) -> None:
    """Write the page to `folder`, with the model that `python -m codec export` wrote to `export`.

    `runtime` is the file that `fetch_runtime` gives. With `webgpu` the page, 27 MB larger, computes on a visitor's GPU
    where that gives the same codes sooner. Raises `EvalError` for an export or a package that is not whole.
    """
    about = _about(export)
    (folder / "model").mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, *_graphs(about)):
        shutil.copyfile(export / name, folder / "model" / name)
    _unpack(runtime, folder / "ort", (*RUNTIME_FILES, *WEBGPU_FILES * webgpu))
    for name in ("worklets.js", "page.css"):
        shutil.copyfile(_FOLDER / name, folder / name)
    scripts = "".join((_FOLDER / name).read_text("utf-8") for name in _SCRIPTS)
    (folder / "page.js").write_text(f"{player.script()}\n{scripts}", "utf-8")
    (folder / "index.html").write_text(_index(str(about.get("model", "")), webgpu), "utf-8")


def _about(export: Path) -> dict[str, Any]:
    """What the export says of itself, once all that the page needs of it is there."""
    missing = [CONFIG]
    about: dict[str, Any] = {}
    if (export / CONFIG).is_file():
        about = json.loads((export / CONFIG).read_text("utf-8")).get("onnx", {})
        missing = [name for name in _graphs(about) if not (export / name).is_file()]
    if missing:
        raise EvalError(f"{export} lacks {', '.join(missing)}; expected what `python -m codec export` writes")
    return about


def _graphs(about: dict[str, Any]) -> tuple[str, ...]:
    return STREAM_GRAPHS if about.get("state_size") else GRAPHS


def fetch_runtime(folder: Path) -> Path:
    """onnxruntime-web as npm packs it, fetched to `folder`. Raises `EvalError` without npm or a network."""
    npm = shutil.which("npm")
    if npm is None:
        raise EvalError(f"npm fetches {PACKAGE} and is not installed; or give its package by --runtime FILE")
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--pack-destination", str(folder), "--silent"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        reason = (error.stderr or "") if isinstance(error, subprocess.CalledProcessError) else "no answer in 300 s"
        raise EvalError(
            f"npm could not fetch {PACKAGE} {VERSION}: {str(reason).strip() or 'no reason given'}"
        ) from error
    return folder / f"{PACKAGE}-{VERSION}.tgz"


def _unpack(runtime: Path, folder: Path, names: tuple[str, ...]) -> None:
    """The files of the package that the page needs, once its hash is that of the version named here."""
    found = base64.b64encode(hashlib.sha512(runtime.read_bytes()).digest()).decode()
    if found != INTEGRITY:
        raise EvalError(f"{runtime} has sha512 {found[:12]}…; {PACKAGE} {VERSION} has {INTEGRITY[:12]}…")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(runtime) as archive:
        for name in names:
            member = archive.extractfile(f"package/dist/{name}")
            assert member is not None
            (folder / name).write_bytes(member.read())
    (folder / "NOTICE.txt").write_text(f"{PACKAGE} {VERSION}, licence {LICENCE}, from npm\n", "utf-8")


def _index(model: str, webgpu: bool) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>EnCodec on your device</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page.css">
</head>
<body{" data-webgpu" * webgpu}>
<main>
<h1>EnCodec on your device</h1>
<p>Audio stays on this device: it is encoded and decoded in this page and sent nowhere.</p>
<div class="bar">
<label>Open a clip or an .ecdc file <input id="clip" type="file" accept="audio/*,.flac,.wav,.ecdc" disabled></label>
<button id="record" disabled>Record</button>
</div>
<p id="message" role="status"></p>
<section id="result" hidden>
<h2>Listen</h2>
<sync-player id="player"></sync-player>
<div id="save" hidden><h2>Save as .ecdc</h2><div id="files"></div></div>
</section>
<section id="live-part" hidden>
<h2>Live</h2>
<p>Hear your microphone through the codec as you speak. Wear headphones to avoid feedback.</p>
<div class="bar">
<button id="live" disabled>Start</button>
<label>Bandwidth <output id="chosen"></output> <input id="bandwidth" type="range" min="0" value="2" step="1"></label>
</div>
<p id="measured"></p>
<p id="slow" role="alert"></p>
</section>
<h2>Another model</h2>
<label>config.json and the .onnx files of an export <input id="model" type="file" multiple></label>
<p id="about">Model: {html.escape(model)}</p>
</main>
<footer>Runs by {PACKAGE} {VERSION} ({LICENCE}), whose files lie beside this page.</footer>
<script src="page.js"></script>
</body>
</html>
"""
