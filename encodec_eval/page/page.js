// The page: a clip in, every bandwidth of it out. Nothing here sends anything; the page's policy allows no other host.

const MAX_CLIP_S = 60; // what phones have the memory for
const $ = (id) => document.getElementById(id);

class Page {
  constructor() {
    $("clip").onchange = () => this.guard(() => this.take($("clip").files[0]));
    $("record").onclick = () => this.guard(() => (this.recording ? this.stop() : this.record()));
    $("live").onclick = () => this.guard(() => (this.live ? this.endLive() : this.goLive()));
    $("bandwidth").oninput = () => this.showBandwidth();
    $("model").onchange = () => this.guard(() => this.openModel(fromDisk($("model").files)));
    this.guard(() => this.openModel(fromUrl(new URLSearchParams(location.search).get("model") ?? "model")));
  }

  // One thing at a time; what fails is said.
  async guard(action) {
    this.say("Working…");
    for (const id of ["clip", "record", "live", "model"]) $(id).disabled = true;
    try {
      this.say((await action()) ?? "");
    } catch (error) {
      this.say(error.message, "alert");
    }
    const { recording, live } = this;
    $("model").disabled = Boolean(recording || live);
    $("record").disabled = !this.codec || Boolean(live);
    $("clip").disabled = !this.codec || Boolean(recording || live);
    $("live").disabled = !this.codec || Boolean(recording);
    $("clip").value = "";
  }

  say(text, role = "status") {
    $("message").setAttribute("role", role);
    $("message").textContent = text;
  }

  async openModel(files) {
    this.codec = await PageCodec.open(files);
    const { name, rate, stream, bandwidths } = this.codec.config;
    this.liveCodec = stream && (await LiveCodec.open(files, this.codec.config));
    $("live-part").hidden = !stream;
    $("bandwidth").max = bandwidths.length - 1;
    this.showBandwidth();
    $("about").textContent = `Model: ${name}, ${rate / 1000} kHz`;
    return "Ready: open a clip or record one.";
  }

  async take(file) {
    if (!file) return "";
    const name = file.name.replace(/\.[^.]*$/, "");
    const bytes = await file.arrayBuffer();
    if (file.name.endsWith(".ecdc")) return this.openEcdc(new Uint8Array(bytes), name);
    const { rate } = this.codec.config;
    let buffer;
    try {
      buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes);
    } catch {
      throw new Error(`${file.name} is not audio that this browser can read`);
    }
    return this.compare(mono(buffer), name);
  }

  async compare(samples, name) {
    const { rate, bandwidths, bits, name: model } = this.codec.config;
    if (!samples.length) throw new Error("the clip has no samples; expected 1 or more");
    if (samples.length > MAX_CLIP_S * rate) {
      throw new Error(`the clip lasts ${(samples.length / rate).toFixed(1)} s; expected at most ${MAX_CLIP_S} s`);
    }
    const began = performance.now();
    const codes = await this.codec.encode(samples);
    const versions = [{ label: "Original", url: wavUrl(samples, rate) }];
    const files = [];
    for (const { bandwidth, codebooks } of bandwidths) {
      const rows = codes.slice(0, codebooks);
      const ecdc = ecdcBytes(model, samples.length, rows, bits);
      const audio = await this.codec.decode(rows, samples.length);
      versions.push({ label: `${bandwidth} kbps`, url: wavUrl(audio, rate), note: `${(ecdc.length / 1000).toFixed(1)} kB` });
      files.push({ bytes: ecdc, label: `${bandwidth} kbps`, download: `${name}_${bandwidth}kbps.ecdc` });
      this.say(`Decoded ${bandwidth} kbps…`);
      await new Promise((done) => setTimeout(done)); // the page stays alive between two runs
    }
    const seconds = (performance.now() - began) / 1000;
    this.result = { codes, samples, seconds };
    await this.show(versions, files);
    return `${(samples.length / rate).toFixed(1)} s of audio, encoded and decoded here in ${seconds.toFixed(1)} s.`;
  }

  async openEcdc(bytes, name) {
    const { rate } = this.codec.config;
    const { length, codes } = readEcdc(bytes, this.codec.config);
    if (length > MAX_CLIP_S * rate) throw new Error(`the file lasts ${length / rate} s; expected at most ${MAX_CLIP_S} s`);
    const audio = await this.codec.decode(codes, length);
    this.result = { codes, samples: audio };
    await this.show([{ label: name, url: wavUrl(audio, rate), note: `${(bytes.length / 1000).toFixed(1)} kB` }], []);
    return `Decoded ${name}.ecdc here.`;
  }

  async show(versions, files) {
    for (const url of this.urls ?? []) URL.revokeObjectURL(url);
    const links = files.map(({ bytes, label, download }) => {
      const href = URL.createObjectURL(new Blob([bytes]));
      return Object.assign(document.createElement("a"), { href, download, textContent: label });
    });
    this.urls = [...versions.map(({ url }) => url), ...links.map(({ href }) => href)];
    $("files").replaceChildren(...links);
    $("result").hidden = false;
    $("save").hidden = !links.length;
    await $("player").load(versions);
  }

  showBandwidth() {
    const { bandwidth, codebooks } = this.codec.config.bandwidths[$("bandwidth").value];
    $("bandwidth").setAttribute("aria-valuetext", ($("chosen").textContent = `${bandwidth} kbps`));
    if (this.live) this.live.codebooks = codebooks;
  }

  async goLive() {
    const live = new Live(this.liveCodec, ({ latency, dropouts, skipped }) => {
      const slow = skipped ? ` This device is too slow: ${skipped.toFixed(1)} s were left out.` : "";
      $("measured").textContent = `${(1000 * latency).toFixed(0)} ms behind, ${dropouts} drop-outs.${slow}`;
    });
    await live.start();
    this.live = live;
    this.showBandwidth();
    $("live").textContent = "End";
    return "Live: speak, and hear yourself through the codec.";
  }

  async endLive() {
    await this.live.stop();
    this.live = null;
    $("live").textContent = "Start";
  }

  async record() {
    const { rate } = this.codec.config;
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: plain });
    const context = new AudioContext({ sampleRate: rate });
    await context.audioWorklet.addModule("worklets.js");
    const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    const blocks = [];
    node.port.onmessage = ({ data }) => {
      blocks.push(data);
      if (blocks.length * data.length >= MAX_CLIP_S * rate && this.recording) $("record").click();
    };
    context.createMediaStreamSource(stream).connect(node);
    this.recording = { stream, context, blocks };
    $("record").textContent = "Stop";
    return "Recording…";
  }

  async stop() {
    const { stream, context, blocks } = this.recording;
    this.recording = null;
    $("record").textContent = "Record";
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
    const size = blocks.reduce((sum, block) => sum + block.length, 0);
    const samples = new Float32Array(Math.min(size, MAX_CLIP_S * this.codec.config.rate));
    let at = 0;
    for (const block of blocks) {
      const part = block.subarray(0, samples.length - at);
      samples.set(part, at);
      at += part.length;
    }
    return this.compare(samples, "recording");
  }
}

const fromUrl = (folder) => async (name) => {
  const response = await fetch(`${folder}/${name}`);
  if (!response.ok) throw new Error(`${folder}/${name}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
};

const fromDisk = (list) => async (name) => {
  const file = [...list].find((each) => each.name === name);
  if (!file) throw new Error(`${name} is missing; expected config.json, encoder.onnx and decoder.onnx`);
  return new Uint8Array(await file.arrayBuffer());
};

function mono(buffer) {
  const sum = buffer.getChannelData(0).slice();
  for (let c = 1; c < buffer.numberOfChannels; c++) buffer.getChannelData(c).forEach((x, n) => (sum[n] += x));
  return buffer.numberOfChannels === 1 ? sum : sum.map((x) => x / buffer.numberOfChannels);
}

// A WAV file of 32-bit floats.
function wavUrl(samples, rate) {
  const view = new DataView(new ArrayBuffer(44));
  const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  const size = 4 * samples.length;
  text(0, "RIFF");
  view.setUint32(4, 36 + size, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 3, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 4 * rate, true);
  view.setUint16(32, 4, true);
  view.setUint16(34, 32, true);
  text(36, "data");
  view.setUint32(40, size, true);
  return URL.createObjectURL(new Blob([view, samples], { type: "audio/wav" }));
}

ort.env.wasm.numThreads = 1; // more need headers that static hosts do not send
ort.env.wasm.wasmPaths = new URL("ort/", location.href).href;
globalThis.encodecPage = new Page();
