// <clip-input>: a file to choose, to drop or to record. Attributes: max-seconds, max-mb, formats (a text).
// The page sets `input.send = async (file) => {}`, which brings a file to the server; an error it throws is shown.
// Recordings are PCM as the microphone gives it: no echo cancellation, no noise suppression, no gain control, no Opus.

const CLIP_INPUT_HTML = `
  <div class="drop">
    <label class="choose"><input type="file"><span>Choose a file</span></label><span class="or">or drop it here, or</span>
    <button class="record" type="button">Record</button>
    <p class="formats"></p>
  </div>
  <p class="message" role="status"></p>`;

const RECORDER_WORKLET = `registerProcessor("pcm", class extends AudioWorkletProcessor {
  process([channels]) {
    if (channels.length) this.port.postMessage(channels.map((samples) => samples.slice()));
    return true;
  }
});`;

const MICROPHONE_ERRORS = {
  NotAllowedError: "The browser may not use the microphone. Allow it for this page, with the icon next to the address, and press Record again.",
  NotFoundError: "No microphone was found. Connect one and press Record again.",
  NotReadableError: "Another program uses the microphone. Close it and press Record again.",
};

class Recorder {
  static async start(maxSeconds, onTime, onEnd) {
    if (!navigator.mediaDevices) throw Object.assign(new Error("Recording needs https or localhost."), { name: "insecure" });
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: { ideal: 2 } };
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    const recorder = new Recorder();
    Object.assign(recorder, { stream, maxSeconds, onTime, onEnd, blocks: [], samples: 0 });
    try {
      await recorder.listen();
    } catch (error) {
      recorder.release();
      throw error;
    }
    return recorder;
  }

  async listen() {
    this.context = new AudioContext();
    const module = URL.createObjectURL(new Blob([RECORDER_WORKLET], { type: "text/javascript" }));
    await this.context.audioWorklet.addModule(module);
    URL.revokeObjectURL(module);
    const node = new AudioWorkletNode(this.context, "pcm", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => this.take(data);
    this.context.createMediaStreamSource(this.stream).connect(node);
    this.stream.getTracks().forEach((track) => (track.onended = () => this.stop()));
  }

  take(channels) {
    if (this.stopped) return;
    this.blocks.push(channels);
    this.samples += channels[0].length;
    this.onTime(this.samples / this.context.sampleRate);
    if (this.samples >= this.maxSeconds * this.context.sampleRate) this.stop();
  }

  stop() {
    if (this.stopped) return;
    this.stopped = true;
    const rate = this.context.sampleRate;
    this.release();
    this.onEnd(this.samples ? wavFile(this.blocks, rate, Math.floor(this.maxSeconds * rate)) : null);
  }

  release() {
    this.stream.getTracks().forEach((track) => track.stop());
    this.context?.close();
  }
}

// 16-bit PCM of blocks of channels; as many channels as the last block has, since a device may begin with one.
function wavFile(blocks, rate, maxSamples) {
  const channels = Math.min(blocks.at(-1).length, 2);
  const length = Math.min(blocks.reduce((sum, block) => sum + block[0].length, 0), maxSamples);
  const view = new DataView(new ArrayBuffer(44 + 2 * channels * length));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, view.byteLength - 8, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * channels * rate, true);
  view.setUint16(32, 2 * channels, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, view.byteLength - 44, true);
  let at = 0;
  for (const block of blocks) {
    for (let n = 0; n < block[0].length && at < length; n++, at++) {
      for (let c = 0; c < channels; c++) {
        const sample = Math.round(32768 * (block[c] ?? block[0])[n]);
        view.setInt16(44 + 2 * (at * channels + c), Math.min(Math.max(sample, -32768), 32767), true);
      }
    }
  }
  return new File([view.buffer], "recording.wav", { type: "audio/wav" });
}

class ClipInput extends HTMLElement {
  constructor() {
    super();
    this.attachShadow({ mode: "open" }).innerHTML = `<style>${ClipInput.css}</style>${CLIP_INPUT_HTML}`;
    const find = (selector) => this.shadowRoot.querySelector(selector);
    this.ui = { drop: find(".drop"), file: find("input"), record: find(".record"), message: find(".message") };
    this.ui.formats = find(".formats");
    this.ui.file.onchange = () => {
      this.give(this.ui.file.files[0]);
      this.ui.file.value = "";
    };
    this.ui.record.onclick = () => this.record();
    this.ui.drop.ondragover = (event) => {
      event.preventDefault();
      this.ui.drop.classList.add("over");
    };
    this.ui.drop.ondragleave = () => this.ui.drop.classList.remove("over");
    this.ui.drop.ondrop = (event) => {
      event.preventDefault();
      this.ui.drop.classList.remove("over");
      this.give(event.dataTransfer.files[0]);
    };
  }

  connectedCallback() {
    this.ui.formats.textContent = `${this.getAttribute("formats")}, up to ${this.getAttribute("max-seconds")} s`;
  }

  disconnectedCallback() {
    this.recorder?.stop();
  }

  say(text, role = "status") {
    this.ui.message.setAttribute("role", role);
    this.ui.message.textContent = text;
  }

  async give(file) {
    if (!file) return;
    const maxMb = Number(this.getAttribute("max-mb"));
    if (file.size > maxMb * 2 ** 20) return this.say(`${file.name} has ${(file.size / 2 ** 20).toFixed(0)} MB: expected at most ${maxMb}.`, "alert");
    if (!file.size) return this.say(`${file.name} is empty.`, "alert");
    this.say(`Uploading ${file.name}…`);
    try {
      await this.send(file);
      this.say("");
    } catch (error) {
      this.say(`${file.name} could not be uploaded: ${error.message}`, "alert");
    }
  }

  async record() {
    if (this.recorder) return this.recorder.stop();
    const max = Number(this.getAttribute("max-seconds"));
    const onTime = (seconds) => this.say(`Recording: ${seconds.toFixed(0)} of ${max} s`);
    const onEnd = (file) => {
      this.recorder = null;
      this.ui.record.textContent = "Record";
      this.say("");
      this.give(file);
    };
    try {
      this.recorder = await Recorder.start(max, onTime, onEnd);
      this.ui.record.textContent = "Stop";
    } catch (error) {
      this.say(MICROPHONE_ERRORS[error.name] ?? error.message, "alert");
    }
  }
}
