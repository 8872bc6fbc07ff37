// What the player looks like and how a pointer works on it; what a press means is for player.js, which extends it.

const PLAY_ICON = '<svg viewBox="0 0 18 18" aria-hidden="true"><path d="M4 1.5v15L16.5 9z"/></svg>';
const PAUSE_ICON = '<svg viewBox="0 0 18 18" aria-hidden="true"><path d="M3 2h4v14H3zM11 2h4v14h-4z"/></svg>';
const playerHtml = (words) => `
  <div class="field"><div class="wave" role="slider" tabindex="0" aria-label="${words.position}" aria-valuemin="0" aria-disabled="true">
    <svg viewBox="0 0 1000 200" preserveAspectRatio="none" aria-hidden="true"><path/></svg>
    <svg class="played" viewBox="0 0 1000 200" preserveAspectRatio="none" aria-hidden="true"><path/></svg>
    <div class="marks"></div><div class="band" hidden></div><div class="head"></div>
  </div></div>
  <p class="message" role="status"></p>
  <div class="bar">
    <button class="play" aria-label="${words.play}" disabled>${PLAY_ICON}</button><span class="time"></span>
    <button class="loop" aria-pressed="true">${words.loop}</button>
    <button class="clear" hidden>${words.whole}</button>
    <span class="hint">${words.hint}</span>
  </div>
  <div class="versions" role="group" aria-label="${words.versions}"></div>`;

class PlayerView extends HTMLElement {
  // What the player says; a page in another language sets SyncPlayer.words before it makes a player.
  static words = {
    position: "Position",
    play: "Play",
    pause: "Pause",
    loop: "Loop",
    whole: "whole clip",
    hint: "drag over the timeline to loop a part",
    versions: "Versions",
    loading: "Loading…",
    failed: "The audio could not be loaded",
    start: "Loop start",
    end: "Loop end",
    seconds: "seconds",
  };

  constructor() {
    super();
    this.words = this.constructor.words;
    this.attachShadow({ mode: "open" }).innerHTML = `<style>${PlayerView.css}</style>${playerHtml(this.words)}`;
    this.ui = Object.fromEntries(
      ["field", "wave", "marks", "band", "message", "play", "time", "loop", "clear", "hint", "versions"].map((name) => [
        name,
        this.shadowRoot.querySelector(`.${name}`),
      ]),
    );
    this.buttons = [];
    this.ui.wave.onpointerdown = (event) => this.drag(event);
    this.buildHandles();
  }

  send(name, detail = null) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  say(text) {
    this.ui.message.setAttribute("role", "status");
    this.ui.message.hidden = !text;
    this.ui.message.textContent = text;
  }

  fail(text) {
    this.say(text);
    this.ui.message.setAttribute("role", "alert");
    this.send("error", { message: text });
  }

  showPlaying(on) {
    if (on === this.shown) return;
    this.shown = on;
    this.ui.play.innerHTML = on ? PAUSE_ICON : PLAY_ICON;
    this.ui.play.setAttribute("aria-label", on ? this.words.pause : this.words.play);
    this.send(on ? "play" : "pause");
    const frame = () => {
      this.paint();
      if (this.shown) requestAnimationFrame(frame);
    };
    frame();
  }

  showActive() {
    this.buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === this.active));
  }

  drawVersions() {
    const focused = this.buttons.indexOf(this.shadowRoot.activeElement);
    this.buttons = this.items.map((item, i) => this.versionButton(item, i));
    const groups = [];
    this.items.forEach(({ group }, i) => {
      if (!i || group !== this.items[i - 1].group) groups.push(groupOf(group));
      groups.at(-1).querySelector(".row").append(this.buttons[i]);
    });
    this.ui.versions.replaceChildren(...groups);
    this.buttons[focused]?.focus();
    this.showActive();
  }

  versionButton({ label, short, note }, i) {
    const button = document.createElement("button");
    const text = document.createElement("span");
    text.textContent = short ?? label;
    if (note) text.append(Object.assign(document.createElement("small"), { textContent: note }));
    if (i < 9) button.append(Object.assign(document.createElement("kbd"), { textContent: i + 1 }));
    button.append(text);
    button.disabled = !this.buffers?.[i];
    button.onclick = () => this.select(i);
    return button;
  }

  drawWave(buffer) {
    const outline = waveOutline(buffer);
    this.ui.wave.querySelectorAll("path").forEach((path) => path.setAttribute("d", outline));
  }

  // Parts that are marked on the waveform, such as those a line lost: [[start, end], ...] in seconds.
  set marks(marks) {
    this.marked = marks;
    this.drawMarks();
  }

  drawMarks() {
    const marks = this.duration ? (this.marked ?? []) : [];
    const percent = (seconds) => `${(100 * seconds) / this.duration}%`;
    this.ui.marks.replaceChildren(
      ...marks.map(([start, end]) => {
        const mark = document.createElement("div");
        Object.assign(mark.style, { left: percent(start), width: percent(end - start) });
        return mark;
      }),
    );
  }

  paint() {
    const percent = (seconds) => `${this.duration ? (100 * seconds) / this.duration : 0}%`;
    const at = this.position;
    this.ui.wave.style.setProperty("--at", percent(at));
    this.ui.wave.setAttribute("aria-valuenow", at.toFixed(2));
    this.ui.wave.setAttribute("aria-valuetext", `${at.toFixed(1)} ${this.words.seconds}`);
    this.ui.time.textContent = `${at.toFixed(1)} / ${this.duration.toFixed(1)} s`;
    const { band, clear, hint } = this.ui;
    const selection = this.selection;
    band.hidden = clear.hidden = !selection;
    hint.hidden = Boolean(selection);
    this.handles.forEach((handle) => (handle.hidden = !selection));
    if (!selection) return;
    Object.assign(band.style, { left: percent(selection.start), width: percent(selection.end - selection.start) });
    for (const handle of this.handles) {
      handle.style.left = percent(selection[handle.edge]);
      handle.setAttribute("aria-valuemax", this.duration.toFixed(2));
      handle.setAttribute("aria-valuenow", selection[handle.edge].toFixed(2));
      handle.setAttribute("aria-valuetext", `${selection[handle.edge].toFixed(2)} ${this.words.seconds}`);
    }
  }

  buildHandles() {
    this.handles = ["start", "end"].map((edge) => {
      const handle = Object.assign(document.createElement("div"), { className: "handle", tabIndex: 0, edge });
      handle.setAttribute("role", "slider");
      handle.setAttribute("aria-label", this.words[edge]);
      handle.setAttribute("aria-valuemin", "0");
      handle.onpointerdown = (event) => {
        event.stopPropagation();
        const commit = () => this.setSelection(this.selection);
        this.follow(event, (seconds) => this.preview(this.withEdge(edge, seconds)), commit);
      };
      this.ui.field.append(handle);
      return handle;
    });
  }

  withEdge(edge, seconds) {
    const { start, end } = this.selection;
    if (edge === "start") return { start: Math.min(seconds, end - MIN_LOOP_S), end };
    return { start, end: Math.max(seconds, start + MIN_LOOP_S) };
  }

  // A drag selects the part to loop; a press without movement goes there.
  drag(event) {
    if (!this.buffers) return;
    const first = this.secondsAt(event);
    let moved = false;
    const move = (seconds, x) => {
      moved = moved || Math.abs(x - event.clientX) > 4;
      if (moved) this.preview({ start: Math.min(first, seconds), end: Math.max(first, seconds) });
    };
    this.follow(event, move, () => (moved ? this.setSelection(this.selection) : this.seek(first)));
  }

  follow(event, move, done = () => {}) {
    const target = event.currentTarget;
    target.setPointerCapture(event.pointerId);
    target.onpointermove = (e) => move(this.secondsAt(e), e.clientX);
    target.onpointerup = target.onpointercancel = (e) => {
      target.onpointermove = target.onpointerup = target.onpointercancel = null;
      if (e.type === "pointerup") done();
    };
  }

  secondsAt(event) {
    const box = this.ui.wave.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * this.duration;
  }
}

// A row of buttons, under a name if the versions in it have one.
function groupOf(name) {
  const group = Object.assign(document.createElement("div"), { className: "group" });
  const row = Object.assign(document.createElement("div"), { className: "row" });
  if (name !== undefined) {
    const className = name ? "heading" : "heading empty";
    group.append(Object.assign(document.createElement("div"), { className, textContent: name || "\u00a0" }));
  }
  if (name) {
    row.setAttribute("role", "group");
    row.setAttribute("aria-label", name);
  }
  group.append(row);
  return group;
}

// Outline of the peaks of the first channel in a box of 1000 x 200, scaled to the largest: a map, not a level meter.
function waveOutline(buffer, columns = 500) {
  const samples = buffer.getChannelData(0);
  const peaks = Array.from({ length: columns }, (_, i) => {
    let peak = 0;
    const end = Math.floor(((i + 1) * samples.length) / columns);
    for (let n = Math.floor((i * samples.length) / columns); n < end; n++) peak = Math.max(peak, Math.abs(samples[n]));
    return peak;
  });
  const top = Math.max(...peaks) || 1;
  const points = (sign) => peaks.map((peak, i) => `${i * (1000 / columns)} ${100 - sign * (1 + (97 * peak) / top)}`);
  return `M${points(1).join("L")}L${points(-1).reverse().join("L")}Z`;
}
