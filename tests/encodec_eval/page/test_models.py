"""Other models on the page: segments with scales in stereo, and networks of the released sizes with random weights."""

import io

import numpy as np
import pytest
import torch

import codec
from encodec_eval import page as static_page
from tests.benchmarks.page import served
from tests.oracles import noise, random_facebook, save_th

pytestmark = [pytest.mark.slow, pytest.mark.browser]
AUDIO = "encodecPage.result.audio.map((channel) => Array.from(channel))"


def saved(page, number):
    with page.expect_download() as download:
        page.locator("#files a").nth(number).click()
    with open(download.value.path(), "rb") as file:
        return file.read()


@pytest.fixture(params=["24khz", "48khz"])
def model(request, tmp_path):
    return codec.EncodecModel.from_pretrained(save_th(random_facebook(request.param), tmp_path))


@pytest.fixture
def url(model, runtime, tmp_path):
    pytest.importorskip("onnxscript")
    onnx = pytest.importorskip("codec.onnx.export")
    onnx.export(model, tmp_path / "export", int_codes=True)
    static_page.build(tmp_path / "site", tmp_path / "export", runtime)
    with served(tmp_path / "site") as url:
        yield url


def test_codes_files_and_audio_are_those_of_python(page, url, model, tmp_path):
    config = model.config
    rate = config.sampling_rate
    length = 2 * rate + 337 if config.segmented else rate // 2 + 37  # three segments, the last one short
    codec.audio.save(tmp_path / "clip.wav", noise(config.audio_channels, length, dtype=torch.float32), rate)
    wav = codec.audio.load(tmp_path / "clip.wav")[0]
    page.goto(url)
    page.get_by_text("Ready: open").wait_for(timeout=60_000)
    page.locator("#clip").set_input_files(tmp_path / "clip.wav")
    page.get_by_text("encoded and decoded here in").wait_for(timeout=120_000)
    versions = len(config.target_bandwidths)
    data, theirs = saved(page, versions - 1), codec.compress(model, wav, config.target_bandwidths[-1])
    assert len(data) == len(theirs)
    codes = [
        torch.cat([piece.codes for piece in codec.ecdc.read_codes(io.BytesIO(each), model)], dim=1).numpy()
        for each in (data, theirs)
    ]
    equal = (codes[0] == codes[1]).mean()
    assert equal >= 0.995, f"{equal:.2%} of the codes are Python's"
    (tmp_path / "theirs.ecdc").write_bytes(theirs)
    page.locator("#clip").set_input_files(tmp_path / "theirs.ecdc")
    page.get_by_text("Decoded theirs.ecdc here.").wait_for(timeout=60_000)
    audio = np.array(page.evaluate(AUDIO))
    expected = codec.decompress(theirs, model)[0].numpy()
    assert audio.shape == expected.shape
    np.testing.assert_allclose(audio, expected, atol=1e-5 * max(1, np.abs(expected).max()))
