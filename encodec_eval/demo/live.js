// The app's control "Live": the page's `Live` over a codec that is on the server. `element`, `props`, `server` and
// `watch` are what Gradio gives to the script of a component.

const SERVER_PREBUFFER_FRAMES = 15; // 200 ms: what the way to a server and back varies by
const SLOW = "The server or the line to it is too slow now: parts of what you say are left out.";

class ServerCodec {
  constructor(name, about, chosen) {
    Object.assign(this, { name, config: about, chosen });
  }

  restart() {}

  async push(samples) {
    const pcm = Int16Array.from(samples, (x) => Math.max(-32768, Math.min(32767, Math.round(32768 * x))));
    const audio = btoa(String.fromCharCode(...new Uint8Array(pcm.buffer)));
    const answer = await server.live_push({ name: this.name, bandwidth: this.chosen(), audio });
    if (!answer || answer.error) throw new Error(answer?.error ?? "The server gives no answer.");
    const bytes = Uint8Array.from(atob(answer.audio), (c) => c.charCodeAt(0));
    return Float32Array.from(new Int16Array(bytes.buffer), (x) => x / 32768);
  }

  end() {
    return server.live_end(this.name);
  }
}

class LiveControl {
  constructor() {
    const find = (selector) => element.querySelector(selector);
    [this.button, this.range, this.output] = ["button", "input", "output"].map(find);
    [this.status, this.measured, this.slow] = ["[role=status]", ".measured", ".slow"].map(find);
    this.button.onclick = () => (this.live ? this.stop() : this.start());
    this.range.oninput = () => this.showBandwidth();
    addEventListener("pagehide", () => this.stop());
    this.describe();
  }

  describe() {
    const about = props.value ?? {};
    this.stop(about.error ?? "");
    this.about = about;
    this.button.disabled = this.range.disabled = Boolean(about.error);
    if (about.error) return;
    this.range.max = about.bandwidths.length - 1;
    this.range.value = about.chosen;
    this.showBandwidth();
  }

  get bandwidth() {
    return this.about.bandwidths[this.range.value];
  }

  showBandwidth() {
    this.range.setAttribute("aria-valuetext", (this.output.textContent = `${this.bandwidth} kbps`));
  }

  async start() {
    this.button.disabled = true;
    this.slow.textContent = this.measured.textContent = "";
    const worklets = URL.createObjectURL(new Blob([WORKLETS], { type: "text/javascript" }));
    try {
      const { name, error } = (await server.live_start(this.about.model)) ?? { error: "The server gives no answer." };
      if (error) throw new Error(error);
      this.codec = new ServerCodec(name, this.about, () => this.bandwidth);
      const live = new Live(this.codec, (found) => this.show(found), (failed) => this.stop(failed.message), {
        worklets,
        prebufferFrames: SERVER_PREBUFFER_FRAMES,
      });
      await live.start();
      this.live = live;
      this.status.textContent = "Live: speak, and hear yourself through the codec.";
      this.button.textContent = "End";
    } catch (error) {
      await this.stop(error.message);
    } finally {
      URL.revokeObjectURL(worklets);
      this.button.disabled = false;
    }
  }

  show({ latency, algorithmic, dropouts, skipped }) {
    const ms = (seconds, digits = 0) => `${(1000 * seconds).toFixed(digits)} ms`;
    this.measured.textContent =
      `${ms(latency)} behind: ${ms(algorithmic, 1)} of the codec, ${ms(latency - algorithmic)} of buffers and the line. ` +
      `${dropouts} drop-outs.`;
    if (!this.slow.textContent && (skipped > 0.5 || dropouts >= 5)) this.slow.textContent = SLOW;
  }

  async stop(message = "") {
    const { live, codec } = this;
    this.live = this.codec = null;
    this.status.textContent = message;
    this.button.textContent = "Start";
    await Promise.all([live?.stop(), codec?.end()]);
  }
}

element.control = new LiveControl();
watch("value", () => element.control.describe());
