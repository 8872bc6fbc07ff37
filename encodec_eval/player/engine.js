// Plays N equally long buffers from one clock and lets exactly one of them be heard. No DOM: it also runs in an
// OfflineAudioContext, where the tests read its output sample by sample. Times are seconds of context.currentTime.

const FADE_S = 0.005; // raised-cosine fades at switches, no cross-fade, and loops of half a second or more: BS.1534-3
const MIN_LOOP_S = 0.5;
const GUARD_S = 0.0005; // two automation curves of one parameter must not touch
const WRAP_AHEAD_S = 4; // a hidden tab runs timers once a second

const RISE = Float32Array.from({ length: 65 }, (_, i) => 0.5 - 0.5 * Math.cos((Math.PI * i) / 64));
const FALL = RISE.slice().reverse();
const DIP = Float32Array.from([...FALL, ...RISE]);

const toGrid = (seconds, rate) => Math.round(seconds * rate) / rate;

// The nearest allowed loop: inside the clip, half a second or more, on whole samples.
function fitLoop({ start, end }, duration, rate) {
  const length = Math.min(Math.max(end - start, MIN_LOOP_S), duration);
  const first = toGrid(Math.min(Math.max(start, 0), duration - length), rate);
  return { start: first, end: Math.min(toGrid(first + length, rate), duration) };
}

class SyncEngine {
  constructor(context, buffers) {
    this.context = context;
    this.buffers = buffers;
    this.duration = buffers[0].duration;
    this.active = 0;
    this.loop = null;
    this.offset = 0; // position while nothing plays
    this.voice = null;
    this.output = context.createGain();
    this.output.connect(context.destination);
  }

  // Starts, loop points and times lie on whole samples: otherwise the browser interpolates between them.
  start(offset, when) {
    const rate = this.context.sampleRate;
    const from = toGrid(this.voice ? this.stop(when) : when, rate);
    const loop = this.loop;
    let begin = Math.min(Math.max(toGrid(offset, rate), 0), this.duration);
    if (loop && (begin < loop.start || begin > loop.end - 2 * FADE_S)) begin = loop.start;
    if (!loop && begin > this.duration - 2 * FADE_S) begin = 0;

    const edge = this.context.createGain();
    const wrap = this.context.createGain();
    wrap.connect(edge).connect(this.output);
    edge.gain.value = 0;
    edge.gain.setValueCurveAtTime(RISE, from, FADE_S);
    const gains = this.buffers.map((_, i) => new GainNode(this.context, { gain: i === this.active ? 1 : 0 }));
    const sources = this.buffers.map((buffer, i) => {
      const source = new AudioBufferSourceNode(this.context, { buffer });
      if (loop) Object.assign(source, { loop: true, loopStart: loop.start, loopEnd: loop.end });
      source.connect(gains[i]).connect(wrap);
      source.start(from, begin);
      return source;
    });
    const voice = { sources, gains, wrap, edge, from, begin, loop, settled: from };
    voice.nextWrap = loop ? from + loop.end - begin : Infinity;
    this.voice = voice;
    this.scheduleWraps(from + WRAP_AHEAD_S);
    sources[0].onended = () => {
      sources.forEach((source) => source.disconnect());
      edge.disconnect();
      if (this.voice !== voice) return;
      this.voice = null;
      this.offset = 0;
      this.onend?.();
    };
  }

  // Fades out and returns the time at which silence is reached.
  stop(when) {
    const voice = this.voice;
    if (!voice) return when;
    const fall = Math.max(when, voice.from + FADE_S + GUARD_S);
    this.offset = this.position(fall);
    this.voice = null;
    voice.edge.gain.setValueCurveAtTime(FALL, fall, FADE_S);
    voice.sources.forEach((source) => source.stop(fall + FADE_S + GUARD_S));
    return fall + FADE_S + GUARD_S;
  }

  select(index, when) {
    if (index === this.active) return;
    const voice = this.voice;
    if (voice) {
      const fall = Math.max(when, voice.settled);
      voice.gains[this.active].gain.setValueCurveAtTime(FALL, fall, FADE_S);
      voice.gains[index].gain.setValueCurveAtTime(RISE, fall + FADE_S, FADE_S);
      voice.settled = fall + 2 * FADE_S + GUARD_S;
    }
    this.active = index;
  }

  // Other versions of the same clip: playback continues where it is.
  replace(buffers, active, when) {
    this.buffers = buffers;
    this.active = active;
    this.duration = buffers[0].duration;
    if (this.voice) this.start(this.position(when), when);
  }

  setLoop(loop, when) {
    this.loop = loop;
    if (this.voice) this.start(this.position(when), when);
    else if (this.loop && (this.offset < this.loop.start || this.offset > this.loop.end)) this.offset = this.loop.start;
  }

  position(time) {
    const voice = this.voice;
    if (!voice) return this.offset;
    const x = voice.begin + Math.max(time - voice.from, 0);
    if (!voice.loop || x < voice.loop.end) return Math.min(x, this.duration);
    return voice.loop.start + ((x - voice.loop.start) % (voice.loop.end - voice.loop.start));
  }

  // Each jump back from loop end to loop start is faded like a switch.
  scheduleWraps(until) {
    const voice = this.voice;
    while (voice && voice.nextWrap < until) {
      voice.wrap.gain.setValueCurveAtTime(DIP, voice.nextWrap - FADE_S, 2 * FADE_S);
      voice.nextWrap += voice.loop.end - voice.loop.start;
    }
  }
}

// Base64 data URLs are decoded here because pages opened from disk, or with a strict policy, may not fetch them.
async function audioBytes(url) {
  const data = /^data:[^,]*;base64,/.exec(url);
  if (data) return Uint8Array.from(atob(url.slice(data[0].length)), (c) => c.charCodeAt(0)).buffer;
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return response.arrayBuffer();
}

function wavRate(bytes) {
  const view = new DataView(bytes);
  return bytes.byteLength > 28 && view.getUint32(0) === 0x52494646 ? view.getUint32(24, true) : 0;
}

// Decodes all URLs at one rate (the one given, else the highest that a WAV header names, else 48 kHz), padded with
// silence to one length. `known` maps a URL to the promise of its buffer: what it has is not fetched again, even while
// it is still on its way, and it follows `urls`.
async function loadBuffers(urls, fixedRate = 0, known = new Map()) {
  const missing = urls.filter((url) => !known.has(url));
  const files = Promise.all(missing.map(audioBytes));
  const decoder = files.then((all) => {
    const rate = fixedRate || Math.max(...all.map(wavRate)) || 48000;
    return new OfflineAudioContext(1, 1, Math.min(Math.max(rate, 8000), 96000));
  });
  missing.forEach((url, i) => {
    const buffer = decoder.then(async (context) => context.decodeAudioData((await files)[i]));
    known.set(url, buffer);
    buffer.catch(() => known.delete(url)); // the next call tries again
  });
  [...known.keys()].filter((url) => !urls.includes(url)).forEach((url) => known.delete(url));
  const decoded = await Promise.all(urls.map((url) => known.get(url)));
  const length = Math.max(...decoded.map((buffer) => buffer.length));
  return decoded.map((buffer) => padded(buffer, length));
}

function padded(buffer, length) {
  if (buffer.length === length) return buffer;
  const { numberOfChannels, sampleRate } = buffer;
  const longer = new AudioBuffer({ length, numberOfChannels, sampleRate });
  for (let c = 0; c < numberOfChannels; c++) longer.copyToChannel(buffer.getChannelData(c), c);
  return longer;
}
