"""Which of onnxruntime-web's builds the page takes. There is no GPU here: a stub stands in for one, whose sessions are
WebAssembly's, beside which WebAssembly's own are slowed, or the other way round."""

import pytest

from encodec_eval import page as static_page
from tests.benchmarks.page import served

pytestmark = [pytest.mark.slow, pytest.mark.browser]

STUB = """
Object.defineProperty(Navigator.prototype, "gpu", {
  get: () => ({ requestAdapter: async () => ({ info: { isFallbackAdapter: FALLBACK } }) }),
});
let runtime;
Object.defineProperty(globalThis, "ort", { configurable: true, get: () => runtime, set: (given) => {
  const create = given.InferenceSession.create.bind(given.InferenceSession);
  const later = () => new Promise((done) => setTimeout(done, 1500));
  const session = async (bytes, options) => {
    const gpu = options.executionProviders[0] === "webgpu";
    if (gpu && FAULT === "fails") throw new Error("no device");
    const made = await create(bytes, { ...options, executionProviders: ["wasm"] });
    let runs = 0; // the page's check takes two
    const run = async (inputs) => {
      const outputs = await made.run(inputs);
      if (gpu && FAULT === "codes" && outputs.codes) outputs.codes.data.fill(7);
      if (gpu && FAULT === "audio" && outputs.audio) outputs.audio.data[50] += 0.1;
      if (runs++ < 2 && gpu === (FAULT === "slow")) await later();
      return outputs;
    };
    return { run, gpu, release: () => made.release() };
  };
  runtime = { ...given, InferenceSession: { create: session } };
} });
"""


@pytest.fixture(scope="module")
def site(export, runtime, tmp_path_factory):
    folder = tmp_path_factory.mktemp("webgpu")
    static_page.build(folder, export, runtime, webgpu=True)
    return folder


@pytest.fixture(scope="module")
def url(site):
    with served(site) as url:
        yield url


def about(page, url):
    """What the page says that computes, and the files of onnxruntime-web that it asked for."""
    asked = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.goto(url)
    page.get_by_text("Ready: open").wait_for(timeout=90_000)
    return page.locator("#about").inner_text(), [name for name in asked if name.startswith("ort")]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("", "Computed by WebGPU."),
        ("fails", "WebGPU failed (no device)."),
        ("codes", "WebGPU gives other codes ("),
        ("audio", "WebGPU gives other audio."),
        ("slow", "WebGPU takes "),
    ],
)
def test_webgpu_computes_where_it_gives_the_same_sooner(page, url, clip, fault, said):
    page.add_init_script(STUB.replace("FAULT", repr(fault)).replace("FALLBACK", "false"))
    text, asked = about(page, url)
    assert said in text
    assert ("WebAssembly on one processor core" in text) == bool(fault)
    assert static_page.WEBGPU_FILES[0] in asked
    assert page.evaluate("encodecPage.codec.encoder.gpu") == (not fault)
    if fault in ("", "fails"):  # the sessions that are left work
        page.locator("#clip").set_input_files(clip[0])
        page.get_by_text("encoded and decoded here in").wait_for(timeout=90_000)


def test_a_device_without_webgpu_loads_none_of_it(page, url):
    text, asked = about(page, url)
    assert text.endswith("Computed by WebAssembly on one processor core.")
    assert sorted(asked) == sorted(static_page.RUNTIME_FILES)


@pytest.mark.parametrize(("fallback", "query"), [("true", ""), ("false", "?webgpu=off")])
def test_a_processor_in_place_of_a_gpu_and_a_visitor_s_no_are_left_alone(page, url, fallback, query):
    page.add_init_script(STUB.replace("FAULT", '""').replace("FALLBACK", fallback))
    text, asked = about(page, url + query)
    assert text.endswith("Computed by WebAssembly on one processor core.")
    assert static_page.WEBGPU_FILES[0] not in asked


def test_a_page_without_its_runtime_does_not_look_for_it(page, export, runtime, tmp_path):
    static_page.build(tmp_path, export, runtime)
    assert not (tmp_path / "ort" / static_page.WEBGPU_FILES[2]).exists()
    page.add_init_script(STUB.replace("FAULT", '""').replace("FALLBACK", "false"))
    with served(tmp_path) as url:
        assert about(page, url)[0].endswith("Computed by WebAssembly on one processor core.")
