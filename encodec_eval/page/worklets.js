// AudioWorklets: `recorder` hands on what the microphone gives; `live` also plays what comes back.

class Recorder extends AudioWorkletProcessor {
  process([input]) {
    if (input.length) this.port.postMessage(input[0].slice());
    return true;
  }
}

class LiveProcessor extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.prebuffer = processorOptions.prebuffer;
    this.parts = [];
    this.queued = this.dropouts = this.calls = 0;
    this.playing = false;
    this.port.onmessage = ({ data }) => {
      this.parts.push(data);
      this.queued += data.length;
    };
  }

  process([input], [[output]]) {
    if (input.length) this.port.postMessage({ samples: input[0].slice() });
    if (!this.playing && this.queued >= this.prebuffer) this.playing = true;
    if (this.playing && this.queued < output.length) {
      this.playing = false; // buffer again, in silence
      this.dropouts += 1;
    }
    if (this.playing) this.play(output);
    if (++this.calls % 50 === 0) this.port.postMessage({ queued: this.queued, dropouts: this.dropouts });
    return true;
  }

  play(output) {
    for (let at = 0; at < output.length; ) {
      const part = this.parts[0].subarray(0, output.length - at);
      output.set(part, at);
      at += part.length;
      const rest = this.parts[0].subarray(part.length);
      if (rest.length) this.parts[0] = rest;
      else this.parts.shift();
    }
    this.queued -= output.length;
  }
}

registerProcessor("recorder", Recorder);
registerProcessor("live", LiveProcessor);
