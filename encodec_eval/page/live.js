// Hear yourself through the codec: microphone -> stream graphs -> loudspeaker, frame by frame.

const PREBUFFER_FRAMES = 6; // played that much later than it comes: less, and every pause of the page would be heard
const MAX_BEHIND_S = 0.5; // of samples that wait: more than that and the device is too slow

// The codec on a stream: pieces of any length give the audio of the whole clip.
class LiveCodec {
  static async open(files, config) {
    const options = { executionProviders: ["wasm"] };
    const encoder = await ort.InferenceSession.create(await files("encoder_stream.onnx"), options);
    const decoder = await ort.InferenceSession.create(await files("decoder_stream.onnx"), options);
    return new LiveCodec(encoder, decoder, config);
  }

  constructor(encoder, decoder, config) {
    Object.assign(this, { encoder, decoder, config });
    this.restart();
  }

  restart() {
    this.samples = new Float32Array(0);
    this.rows = null; // codes that wait for the decoder's warm-up
    this.states = {};
  }

  async push(samples, codebooks) {
    const { hop, stream } = this.config;
    this.samples = joined(this.samples, samples);
    const ready = this.samples.length - (this.samples.length % hop);
    if (ready < hop * (this.states.encoder ? 1 : stream.warmup_frames.encoder)) return new Float32Array(0);
    const audio = new ort.Tensor("float32", this.samples.slice(0, ready), [1, 1, ready]);
    this.samples = this.samples.slice(ready);
    // The decoder's first codes are decoded together, so they have one number of codebooks.
    const count = this.rows?.length ?? codebooks;
    const wanted = new ort.Tensor("int64", BigInt64Array.of(BigInt(count)), [1]);
    const { codes } = await this.run("encoder", { audio, codebooks: wanted });
    const fresh = rowsOf(codes);
    const rows = this.rows ? this.rows.map((row, k) => joined(row, fresh[k])) : fresh;
    if (!this.states.decoder && rows[0].length < stream.warmup_frames.decoder) {
      this.rows = rows;
      return new Float32Array(0);
    }
    this.rows = null;
    const decoded = await this.run("decoder", { codes: tensorOf(rows, this.config.codes) });
    return decoded.audio.data.slice();
  }

  async run(part, inputs) {
    const size = this.config.stream.state_size[part];
    const state = this.states[part] ?? new ort.Tensor("float32", new Float32Array(size), [1, size]);
    const outputs = await this[part].run({ ...inputs, state });
    this.states[part] = outputs.next_state;
    return outputs;
  }
}

// `report` is called a few times a second with {latency, dropouts, skipped}: seconds, counts, seconds.
class Live {
  constructor(codec, report) {
    Object.assign(this, { codec, report, codebooks: 1, dropouts: 0, skipped: 0, blocks: [], waiting: 0, busy: false });
  }

  async start() {
    const { rate, hop } = this.codec.config;
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: plain });
    this.context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
    await this.context.audioWorklet.addModule("worklets.js");
    const one = { channelCount: 1, channelCountMode: "explicit", outputChannelCount: [1] };
    this.node = new AudioWorkletNode(this.context, "live", { ...one, processorOptions: { prebuffer: PREBUFFER_FRAMES * hop } });
    this.node.port.onmessage = ({ data }) => (data.samples ? this.take(data.samples) : this.tell(data));
    this.codec.restart();
    this.context.createMediaStreamSource(this.stream).connect(this.node).connect(this.context.destination);
  }

  async stop() {
    this.node.port.onmessage = null;
    this.stream.getTracks().forEach((track) => track.stop());
    await this.context.close();
  }

  take(samples) {
    this.blocks.push(samples);
    this.waiting += samples.length;
    const { rate } = this.codec.config;
    if (this.waiting > MAX_BEHIND_S * rate) {
      this.skipped += this.waiting / rate;
      this.blocks = [];
      this.waiting = 0;
    }
    this.pump();
  }

  async pump() {
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.blocks.length) {
        const samples = joined(...this.blocks);
        this.blocks = [];
        this.waiting = 0;
        const audio = await this.codec.push(samples, this.codebooks);
        if (audio.length) this.node.port.postMessage(audio, [audio.buffer]);
      }
    } finally {
      this.busy = false;
    }
  }

  tell({ queued, dropouts }) {
    const { rate, hop } = this.codec.config;
    const latency = (hop + queued) / rate + this.context.baseLatency + (this.context.outputLatency || 0);
    this.report({ latency, dropouts, skipped: this.skipped });
  }
}

function joined(...parts) {
  const whole = new parts[0].constructor(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
