// Hear yourself through the codec: microphone -> stream graphs -> loudspeaker, frame by frame.

const PREBUFFER_FRAMES = 6; // played that much later than it comes: less, and every pause of the page would be heard
const MAX_BEHIND_S = 0.5; // of samples that wait: more than that and the device is too slow
const MAX_EXCESS_S = 0.2; // of played samples that wait beyond the prebuffer

// The codec on a stream: pieces of any length give the audio of the whole clip.
class LiveCodec {
  constructor(codec) {
    Object.assign(this, { codec, config: codec.config });
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
    const whole = this.samples.subarray(0, ready);
    this.samples = this.samples.slice(ready);
    // The decoder's first codes are decoded together, so they have one number of codebooks.
    const count = this.rows?.length ?? codebooks;
    const encoded = await this.codec.runEncoder([whole], count, this.states.encoder ?? this.codec.newState("encoder"));
    this.states.encoder = encoded.next_state;
    const fresh = rowsOf(encoded.codes);
    const rows = this.rows ? this.rows.map((row, k) => joined(row, fresh[k])) : fresh;
    if (!this.states.decoder && rows[0].length < stream.warmup_frames.decoder) {
      this.rows = rows;
      return new Float32Array(0);
    }
    this.rows = null;
    const decoded = await this.codec.runDecoder(rows, null, this.states.decoder ?? this.codec.newState("decoder"));
    this.states.decoder = decoded.next_state;
    return decoded.audio.data.slice();
  }
}

// `codec` is a LiveCodec, or has its `config`, `restart` and `push`. `report` is called a few times a second with
// {latency, algorithmic, dropouts, skipped}: seconds, seconds of a frame, counts, seconds left out because they came
// too late. `fail` is called once with the error that ended it; `stop` is still to be called.
class Live {
  constructor(codec, report, fail, { worklets = "worklets.js", prebufferFrames = PREBUFFER_FRAMES } = {}) {
    Object.assign(this, { codec, report, fail, worklets, prebufferFrames });
    Object.assign(this, { codebooks: 1, skipped: 0, blocks: [], waiting: 0, busy: false });
  }

  async start() {
    const { rate, hop } = this.codec.config;
    if (!navigator.mediaDevices) throw new Error("the browser gives its microphone only to https and localhost");
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: plain });
    try {
      await this.connect(rate, this.prebufferFrames * hop);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async connect(rate, prebuffer) {
    this.context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
    await this.context.audioWorklet.addModule(this.worklets);
    const one = { channelCount: 1, channelCountMode: "explicit", outputChannelCount: [1] };
    const processorOptions = { prebuffer, most: prebuffer + Math.round(MAX_EXCESS_S * rate) };
    this.node = new AudioWorkletNode(this.context, "live", { ...one, processorOptions });
    this.node.port.onmessage = ({ data }) => (data.samples ? this.take(data.samples, data.at) : this.tell(data));
    this.stream.getTracks().forEach((track) => (track.onended = () => this.end(new Error("the microphone is gone"))));
    this.codec.restart();
    this.context.createMediaStreamSource(this.stream).connect(this.node).connect(this.context.destination);
  }

  async stop() {
    this.ended = true;
    if (this.node) this.node.port.onmessage = null;
    this.stream.getTracks().forEach((track) => track.stop());
    await this.context?.close();
  }

  end(error) {
    if (this.ended) return;
    this.ended = true;
    this.fail(error);
  }

  // Samples captured at `at` s. Those of a page that is too slow wait for its turn as messages, so their age counts too.
  take(samples, at) {
    if (this.context.currentTime - at > MAX_BEHIND_S) {
      this.skipped += samples.length;
      return;
    }
    this.blocks.push(samples);
    this.waiting += samples.length;
    if (this.waiting > MAX_BEHIND_S * this.codec.config.rate) {
      this.skipped += this.waiting;
      this.blocks = [];
      this.waiting = 0;
    }
    this.pump();
  }

  async pump() {
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.blocks.length && !this.ended) {
        const samples = joined(...this.blocks);
        this.blocks = [];
        this.waiting = 0;
        const audio = await this.codec.push(samples, this.codebooks);
        if (audio.length) this.node.port.postMessage(audio, [audio.buffer]);
      }
    } catch (error) {
      this.end(error);
    } finally {
      this.busy = false;
    }
  }

  tell({ captured, played, discarded, dropouts }) {
    const { rate, hop } = this.codec.config;
    const behind = (captured - played - discarded - this.skipped) / rate;
    const latency = behind + this.context.baseLatency + (this.context.outputLatency || 0);
    this.measured = { latency, algorithmic: hop / rate, dropouts, skipped: (discarded + this.skipped) / rate };
    this.report(this.measured);
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
