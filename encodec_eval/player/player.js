// <sync-player>: hear several versions of one clip as if there were one playback with a switch.
// Set `player.versions = [{label, url, note, group, short}]`; url is a WAV (any format the browser decodes) or a data URL;
// versions of one group stand together under its name, with the label's short form on their buttons.
// Attributes: no-buttons (the page draws its own version buttons), no-outline (no waveform is drawn), no-keys (no keyboard
// outside the player), rate (in Hz, what all versions are decoded at: give it where versions of other rates may follow).
// Events: ready, play, pause, select {index}, loop {start, end} or null, error {message}. Tests read player.probe().

const LEAD_S = 0.02; // everything is scheduled a little ahead: all sources then start on the same sample

class SyncPlayer extends PlayerView {
  static Engine = SyncEngine;
  static current = null; // the player that keys pressed elsewhere on the page go to

  constructor() {
    super();
    this.items = [];
    this.looping = true;
    this.unload();
    this.ui.play.onclick = () => this.toggle();
    this.ui.loop.onclick = () => this.setLooping(!this.looping);
    this.ui.clear.onclick = () => this.setSelection(null);
    this.shadowRoot.addEventListener("pointerdown", () => (SyncPlayer.current = this), true);
    this.shadowRoot.addEventListener("focusin", () => (SyncPlayer.current = this));
  }

  connectedCallback() {
    this.ui.versions.hidden = this.hasAttribute("no-buttons");
    this.onkey = (event) => this.key(event);
    document.addEventListener("keydown", this.onkey);
    this.timer = setInterval(() => this.engine?.scheduleWraps(this.engine.context.currentTime + WRAP_AHEAD_S), 250);
    if (!SyncPlayer.current?.isConnected) SyncPlayer.current = this;
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this.onkey);
    clearInterval(this.timer);
    this.unload();
  }

  set versions(versions) {
    this.load(versions);
  }

  get versions() {
    return this.items;
  }

  // Resolves to true when all versions can be heard; to false when one failed (message shown, error sent) or a later
  // call overtook this one. A list with the same first version is the same clip: position, loop and playback continue, and
  // what an overtaken call brings is heard until the later one is there.
  async load(versions) {
    const same = this.items.length > 0 && this.items[0].url === versions[0]?.url;
    if (!same) this.unload();
    this.items = versions;
    if (!same) this.say(versions.length ? this.words.loading : "");
    this.drawVersions();
    if (!versions.length) return false;
    const known = this.known;
    let buffers;
    try {
      buffers = await loadBuffers(versions.map(({ url }) => url), Number(this.getAttribute("rate")), known);
    } catch (error) {
      if (this.items === versions) this.fail(`${this.words.failed}: ${error.message}`);
      return false;
    }
    const overtaken = this.items !== versions;
    const more = known === this.known && buffers.length > (this.buffers?.length ?? 0);
    if (overtaken && !more) return false;
    this.take(buffers);
    return !overtaken;
  }

  take(buffers) {
    this.buffers = buffers;
    this.duration = buffers[0].duration;
    if (this.active >= buffers.length) this.active = 0;
    this.engine?.replace(buffers, this.active, this.soon);
    this.ui.wave.setAttribute("aria-valuemax", this.duration.toFixed(2));
    this.ui.wave.removeAttribute("aria-disabled");
    this.ui.play.disabled = false;
    this.say("");
    if (!this.hasAttribute("no-outline")) this.drawWave(buffers[0]);
    this.drawMarks();
    this.drawVersions();
    this.paint();
    this.send("ready");
  }

  unload() {
    this.engine?.context.close();
    this.engine = this.buffers = null;
    this.known = new Map();
    this.selection = null;
    this.active = this.startAt = this.duration = 0;
    this.ui.play.disabled = true;
    this.ui.wave.setAttribute("aria-disabled", "true");
    this.showPlaying(false);
    this.paint();
  }

  // The context is made by the first user action, as browsers demand.
  ensureEngine() {
    if (!this.engine) {
      const context = new AudioContext({ sampleRate: this.buffers[0].sampleRate, latencyHint: "interactive" });
      this.engine = new SyncEngine(context, this.buffers);
      this.engine.active = this.active;
      this.engine.output.gain.value = this.level ?? 1;
      this.engine.onend = () => this.showPlaying(false);
      this.engine.offset = this.startAt;
      this.engine.setLoop(this.wantedLoop(), 0);
    }
    this.engine.context.resume();
    return this.engine;
  }

  get soon() {
    return this.engine.context.currentTime + LEAD_S;
  }

  get playing() {
    return Boolean(this.engine?.voice);
  }

  get position() {
    return this.engine ? this.engine.position(this.engine.context.currentTime) : this.startAt;
  }

  play(at = this.position) {
    if (!this.buffers) return;
    if (SyncPlayer.current !== this) SyncPlayer.current?.pause();
    SyncPlayer.current = this;
    const engine = this.ensureEngine();
    engine.start(at, this.soon);
    this.showPlaying(true);
  }

  pause() {
    if (!this.playing) return;
    this.engine.stop(this.soon);
    this.showPlaying(false);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  seek(seconds) {
    if (!this.buffers) return;
    const at = Math.min(Math.max(seconds, 0), this.duration);
    if (this.playing) this.play(at);
    else if (this.engine) this.engine.offset = at;
    else this.startAt = at;
    this.paint();
  }

  select(index) {
    if (!this.buffers?.[index]) return;
    this.active = index;
    this.engine?.select(index, this.soon);
    this.showActive();
    this.send("select", { index });
  }

  // One gain for all versions: their levels relative to each other are never touched.
  set volume(gain) {
    this.level = gain;
    if (this.engine) this.engine.output.gain.setTargetAtTime(gain, this.engine.context.currentTime, 0.01);
  }

  get volume() {
    return this.level ?? 1;
  }

  wantedLoop() {
    return this.looping ? (this.selection ?? { start: 0, end: this.duration }) : null;
  }

  setLooping(on) {
    this.looping = on;
    this.ui.loop.setAttribute("aria-pressed", on);
    this.engine?.setLoop(this.wantedLoop(), this.soon);
    this.send("loop", this.wantedLoop());
    this.paint();
  }

  // Shows a selection without playing it: a drag is heard when it ends.
  preview(selection) {
    this.selection = selection && fitLoop(selection, this.duration, this.buffers[0].sampleRate);
    this.paint();
  }

  setSelection(selection) {
    if (!this.buffers) return;
    this.preview(selection);
    this.setLooping(this.looping || Boolean(selection));
  }

  probe() {
    const engine = this.engine;
    return {
      ready: Boolean(this.buffers),
      playing: this.playing,
      active: this.active,
      position: this.position,
      duration: this.duration,
      loop: this.wantedLoop(),
      volume: this.volume,
      time: engine?.context.currentTime ?? null,
      sampleRate: this.buffers?.[0].sampleRate ?? null,
      gains: engine?.voice?.gains.map((node) => node.gain.value) ?? null,
      started: engine?.voice?.from ?? null,
    };
  }
  key(event) {
    const target = event.composedPath()[0];
    const inside = event.composedPath().includes(this);
    if (event.ctrlKey || event.metaKey || event.altKey || !this.buffers) return;
    if (!inside && (this.hasAttribute("no-keys") || SyncPlayer.current !== this || isTyping(target))) return;
    if (!this.act(event, target)) return;
    event.preventDefault();
  }

  act({ key, shiftKey }, target) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key] * (shiftKey ? 0.1 : 0.5);
    if (/^[1-9]$/.test(key) && key <= this.items.length) this.select(key - 1);
    else if (key === " " && !target.matches?.(USES_SPACE)) this.toggle();
    else if (step && this.handles.includes(target)) {
      this.setSelection(this.withEdge(target.edge, this.selection[target.edge] + step));
    }
    else if (step && target === this.ui.wave) this.seek(this.position + step);
    else if (key === "Home" && target === this.ui.wave) this.seek(0);
    else if (key === "[") this.setSelection({ start: this.position, end: this.selection?.end ?? this.duration });
    else if (key === "]") this.setSelection({ start: this.selection?.start ?? 0, end: this.position });
    else if (key === "Escape" && this.selection) this.setSelection(null);
    else return false;
    return true;
  }
}

const TYPING = "input:not([type=range],[type=button],[type=checkbox],[type=radio]), textarea, select, [contenteditable=true]";
const USES_SPACE = "button, summary, input:not([type=range])";
const isTyping = (target) => target instanceof Element && target.matches(TYPING);
