// The page: a clip in, every bandwidth of it out. Nothing here sends anything; the page's policy allows no other host.

const MAX_CLIP_S = 60; // what phones have the memory for
const SLOW_S = 0.5; // left out, or so many drop-outs, and live says that the device is too slow
const SLOW_DROPOUTS = 5;
const $ = (id) => document.getElementById(id);

class Page {
  constructor() {
    $("clip").onchange = () => this.guard(() => this.take($("clip").files[0]));
    $("record").onclick = () => this.guard(() => (this.recording ? this.stop() : this.record()));
    $("live").onclick = () => this.guard(() => (this.live ? this.endLive() : this.goLive()));
    $("bandwidth").oninput = () => this.showBandwidth();
    $("model").onchange = () => this.guard(() => this.openModel(fromDisk($("model").files)));
    this.guard(() => this.begin(new URLSearchParams(location.search)));
  }

  // The site says whether it has WebGPU's runtime; `?webgpu=off` leaves it alone.
  async begin(asked) {
    this.gpu = await loadRuntime(document.body.hasAttribute("data-webgpu") && asked.get("webgpu") !== "off");
    return this.openModel(fromUrl(asked.get("model") ?? "model"));
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
    const { codec, how } = await openCodec(files, this.gpu);
    await this.codec?.release();
    this.codec = codec;
    const { name, rate, stream, bandwidths, channels } = codec.config;
    this.liveCodec = stream && new LiveCodec(codec);
    $("live-part").hidden = !stream;
    $("bandwidth").max = bandwidths.length - 1;
    this.showBandwidth();
    $("about").textContent = `Model: ${name}, ${rate / 1000} kHz ${channels === 2 ? "stereo" : "mono"}. Computed by ${how}.`;
    return "Ready: open a clip or record one.";
  }

  async take(file) {
    if (!file) return "";
    const name = file.name.replace(/\.[^.]*$/, "");
    const bytes = await file.arrayBuffer();
    if (file.name.endsWith(".ecdc")) return this.openEcdc(new Uint8Array(bytes), name);
    const { rate, channels } = this.codec.config;
    let buffer;
    try {
      buffer = await new OfflineAudioContext(channels, 1, rate).decodeAudioData(bytes);
    } catch {
      throw new Error(`${file.name} is not audio that this browser can read`);
    }
    return this.compare(channelsOf(buffer, channels), name);
  }

  async compare(audio, name) {
    const { rate, bandwidths, bits, name: model } = this.codec.config;
    const length = audio[0].length;
    if (!length) throw new Error("the clip has no samples; expected 1 or more");
    if (length > MAX_CLIP_S * rate) {
      throw new Error(`the clip lasts ${(length / rate).toFixed(1)} s; expected at most ${MAX_CLIP_S} s`);
    }
    const began = performance.now();
    const coded = await this.codec.encode(audio);
    const versions = [{ label: "Original", url: wavUrl(audio, rate) }];
    const files = [];
    for (const { bandwidth, codebooks } of bandwidths) {
      const part = coded.map(({ rows, scale }) => ({ rows: rows.slice(0, codebooks), scale }));
      const ecdc = ecdcBytes(model, length, part, bits);
      const url = wavUrl(await this.codec.decode(part, length), rate);
      versions.push({ label: `${bandwidth} kbps`, url, note: `${(ecdc.length / 1000).toFixed(1)} kB` });
      files.push({ bytes: ecdc, label: `${bandwidth} kbps`, download: `${name}_${bandwidth}kbps.ecdc` });
      this.say(`Decoded ${bandwidth} kbps…`);
      await new Promise((done) => setTimeout(done)); // the page stays alive between two runs
    }
    const seconds = (performance.now() - began) / 1000;
    this.result = { coded, audio, seconds };
    await this.show(versions, files);
    return `${(length / rate).toFixed(1)} s of audio, encoded and decoded here in ${seconds.toFixed(1)} s.`;
  }

  async openEcdc(bytes, name) {
    const { rate } = this.codec.config;
    const { length, coded } = readEcdc(bytes, this.codec.config);
    if (length > MAX_CLIP_S * rate) throw new Error(`the file lasts ${length / rate} s; expected at most ${MAX_CLIP_S} s`);
    const audio = await this.codec.decode(coded, length);
    this.result = { coded, audio };
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
    $("slow").textContent = "";
    const live = new Live(this.liveCodec, (measured) => this.showLive(measured), (error) =>
      this.guard(async () => {
        await this.endLive();
        throw error;
      }),
    );
    await live.start();
    this.live = live;
    this.showBandwidth();
    $("live").textContent = "End";
    return "Live: speak, and hear yourself through the codec.";
  }

  showLive({ latency, algorithmic, dropouts, skipped }) {
    const ms = (seconds) => (1000 * seconds).toFixed(1);
    const buffers = (1000 * (latency - algorithmic)).toFixed(0);
    $("measured").textContent =
      `${(1000 * latency).toFixed(0)} ms behind: ${ms(algorithmic)} ms of the codec, ${buffers} ms of buffers. ${dropouts} drop-outs.`;
    if (!$("slow").textContent && (skipped > SLOW_S || dropouts >= SLOW_DROPOUTS)) {
      $("slow").textContent = "This device is too slow for this model now: parts of what you say are left out.";
    }
  }

  async endLive() {
    const live = this.live;
    this.live = null;
    $("live").textContent = "Start";
    await live?.stop();
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
    return this.compare(Array(this.codec.config.channels).fill(samples), "recording");
  }
}

const fromUrl = (folder) => async (name) => {
  const response = await fetch(`${folder}/${name}`);
  if (!response.ok) throw new Error(`${folder}/${name}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
};

const fromDisk = (list) => async (name) => {
  const file = [...list].find((each) => each.name === name);
  if (!file) throw new Error(`${name} is missing; expected config.json and all .onnx files of an export`);
  return new Uint8Array(await file.arrayBuffer());
};

// One channel is the mean of all; a clip with one is heard on both.
function channelsOf(buffer, count) {
  const all = Array.from({ length: buffer.numberOfChannels }, (_, c) => buffer.getChannelData(c));
  if (count > 1) return Array.from({ length: count }, (_, c) => all[c] ?? all[0]);
  if (all.length === 1) return [all[0].slice()];
  return [all[0].map((_, n) => all.reduce((sum, channel) => sum + channel[n], 0) / all.length)];
}

// A WAV file of 32-bit floats.
function wavUrl(audio, rate) {
  const view = new DataView(new ArrayBuffer(44));
  const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  const count = audio.length;
  const samples = count === 1 ? audio[0] : new Float32Array(count * audio[0].length);
  if (count > 1) audio.forEach((channel, c) => channel.forEach((x, n) => (samples[n * count + c] = x)));
  const size = 4 * samples.length;
  text(0, "RIFF");
  view.setUint32(4, 36 + size, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 3, true);
  view.setUint16(22, count, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 4 * count * rate, true);
  view.setUint16(32, 4 * count, true);
  view.setUint16(34, 32, true);
  text(36, "data");
  view.setUint32(40, size, true);
  return URL.createObjectURL(new Blob([view, samples], { type: "audio/wav" }));
}

globalThis.encodecPage = new Page();
