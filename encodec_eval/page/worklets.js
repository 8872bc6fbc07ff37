// AudioWorklets: `recorder` hands on what the microphone gives; `live` also plays what comes back.

class Recorder extends AudioWorkletProcessor {
  process([input]) {
    if (input.length) this.port.postMessage(input[0].slice());
    return true;
  }
}

// Counts in samples: what the microphone gave is `captured`; of it, `played` was heard and `discarded` came too late.
class LiveProcessor extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    Object.assign(this, processorOptions); // prebuffer, most: samples that wait at the start, and at the most
    this.parts = [];
    this.queued = this.captured = this.played = this.discarded = this.dropouts = this.calls = 0;
    this.playing = false;
    this.port.onmessage = ({ data }) => {
      this.parts.push(data);
      this.queued += data.length;
      // What a pause held up would stay behind for ever, and more so after each.
      if (this.queued > this.most) this.discarded += this.take(this.queued - this.prebuffer);
    };
  }

  process([input], [[output]]) {
    if (input.length) {
      this.captured += input[0].length;
      this.port.postMessage({ samples: input[0].slice(), at: currentTime });
    }
    if (!this.playing && this.queued >= this.prebuffer) {
      this.playing = true;
      this.discarded += this.take(this.queued - this.prebuffer);
    }
    if (this.playing && this.queued < output.length) {
      this.playing = false; // buffer again, in silence
      this.dropouts += 1;
    }
    if (this.playing) this.played += this.take(output.length, output);
    if (++this.calls % 50 === 0) {
      const { captured, played, discarded, dropouts } = this;
      this.port.postMessage({ captured, played, discarded, dropouts });
    }
    return true;
  }

  // Takes `count` samples from the queue, to `output` if there is one.
  take(count, output) {
    for (let at = 0; at < count; ) {
      const part = this.parts[0].subarray(0, count - at);
      output?.set(part, at);
      at += part.length;
      const rest = this.parts[0].subarray(part.length);
      if (rest.length) this.parts[0] = rest;
      else this.parts.shift();
    }
    this.queued -= count;
    return count;
  }
}

registerProcessor("recorder", Recorder);
registerProcessor("live", LiveProcessor);
