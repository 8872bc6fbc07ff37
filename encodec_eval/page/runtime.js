// Which of onnxruntime-web's builds computes: WebAssembly, or WebGPU where the site has it and the device too. No DOM
// but for the script that it adds.

const CHECK_FRAMES = 24;
const CHECK_SHARE = 0.995; // of the codes, and audio this close, as for every export
const CHECK_AUDIO = 1e-4;

// `gpu` is whether to look for WebGPU. Returns whether it was found; why not is no error.
async function loadRuntime(gpu) {
  const found = gpu && (await hasGpu());
  await new Promise((done, fail) => {
    const src = `ort/ort.${found ? "webgpu" : "wasm"}.min.js`;
    const onerror = () => fail(new Error(`${src} cannot be loaded`));
    document.head.append(Object.assign(document.createElement("script"), { src, onload: done, onerror }));
  });
  ort.env.wasm.numThreads = 1; // more need headers that static hosts do not send
  ort.env.wasm.wasmPaths = new URL("ort/", location.href).href;
  return found;
}

// A processor that stands in for a GPU is no gain.
async function hasGpu() {
  try {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
    return Boolean(adapter) && !adapter.info?.isFallbackAdapter;
  } catch {
    return false;
  }
}

// {codec, how}: the codec on the GPU where that gives what WebAssembly gives, and sooner; `how` says which it is, and why.
async function openCodec(files, gpu) {
  const plain = await PageCodec.open(files, "wasm");
  if (!gpu) return { codec: plain, how: "WebAssembly on one processor core" };
  let other = null;
  try {
    other = await PageCodec.open(files, "webgpu");
    const fault = await faultOf(other, plain);
    if (!fault) {
      await plain.release();
      return { codec: other, how: "WebGPU" };
    }
    await other.release();
    return { codec: plain, how: `WebAssembly on one processor core: WebGPU ${fault}` };
  } catch (error) {
    await other?.release().catch(() => {});
    return { codec: plain, how: `WebAssembly on one processor core: WebGPU failed (${error.message})` };
  }
}

// What is wrong with `codec` beside `plain`, "" if nothing: each codes a short signal.
async function faultOf(codec, plain) {
  const { hop, channels } = plain.config;
  const audio = checkSignal(CHECK_FRAMES * hop, channels);
  const [expected, found] = [await timed(plain, audio), await timed(codec, audio)];
  const same = shareOfEqual(expected.coded, found.coded);
  if (!(same >= CHECK_SHARE)) return `gives other codes (${(100 * same).toFixed(1)} % are the same)`;
  const decoded = await codec.decode(expected.coded, audio[0].length);
  const peak = expected.audio[0].reduce((most, x) => Math.max(most, Math.abs(x)), 1);
  const near = decoded.every((channel, c) => channel.every((x, n) => Math.abs(x - expected.audio[c][n]) <= CHECK_AUDIO * peak));
  if (!near) return "gives other audio";
  if (found.seconds >= expected.seconds) return `takes ${(found.seconds / expected.seconds).toFixed(1)} times as long`;
  return "";
}

// The second run's time: the first compiles.
async function timed(codec, audio) {
  for (let run = 0; ; run++) {
    const began = performance.now();
    const coded = await codec.encode(audio);
    const decoded = await codec.decode(coded, audio[0].length);
    if (run === 1) return { coded, audio: decoded, seconds: (performance.now() - began) / 1000 };
  }
}

// A chirp in noise, the same on every device; a channel's noise is its own.
function checkSignal(length, channels) {
  let seed = 1;
  const noise = () => (seed = (seed * 16807) % 2147483647) / 2147483647 - 0.5;
  return Array.from({ length: channels }, () => Float32Array.from({ length }, (_, n) => 0.3 * Math.sin(1e-5 * n * n) + 0.04 * noise()));
}

function shareOfEqual(expected, found) {
  let equal = 0;
  let all = 0;
  expected.forEach(({ rows }, n) =>
    rows.forEach((row, k) =>
      row.forEach((code, f) => {
        all += 1;
        equal += code === found[n].rows[k][f];
      }),
    ),
  );
  return equal / all;
}
