"""The page with the bundled model, and a clip. onnxruntime-web comes from $ONNXRUNTIME_WEB (npm's .tgz) or from npm;
without both the tests are skipped."""

import os
from pathlib import Path

import pytest

import codec
from encodec_eval import page as static_page
from encodec_eval.datasets import BUNDLED
from encodec_eval.types import EvalError

SPEECH = BUNDLED / "librispeech-mini/test-other/1688/142285/1688-142285-0008.flac"
TINY = "encodec_24khz_tiny"
RATE = 24_000


@pytest.fixture(scope="session")
def runtime(tmp_path_factory):
    given = os.environ.get("ONNXRUNTIME_WEB")
    try:
        return Path(given) if given else static_page.fetch_runtime(tmp_path_factory.mktemp("npm"))
    except EvalError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def export(tmp_path_factory):
    """The bundled model, exported once a session: it takes a minute."""
    pytest.importorskip("onnxscript")
    onnx = pytest.importorskip("codec.onnx.export")
    folder = tmp_path_factory.mktemp("export")
    onnx.export(codec.load_model(TINY), folder, int_codes=True, stream=True)
    return folder


@pytest.fixture(scope="session")
def site(export, runtime, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    static_page.build(folder, export, runtime)
    return folder


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """Ten seconds of speech at the model's rate, as the page and Python both read it: `(path, [1, T])`."""
    wav, rate = codec.audio.load(SPEECH)
    wav = codec.audio.resample(wav, rate, RATE)
    wav = wav.repeat(1, 1 + 10 * RATE // wav.shape[1])[:, : 10 * RATE]
    path = tmp_path_factory.mktemp("clip") / "speech.wav"
    codec.audio.save(path, wav, RATE)
    return path, codec.audio.load(path)[0]
