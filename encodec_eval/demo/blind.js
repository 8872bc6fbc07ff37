// <blind-test>: two ways to compare versions of one clip without knowing which one is heard.
// Set `blind.versions = [{label, url}]`, the original first, or name the player to take them from in the attribute `of`
// as a CSS selector. Attribute rate: as in <sync-player>. ABX asks which of A and B an unnamed X is; ranking puts
// unnamed versions in random order beside sliders and names them when asked. Tests read `blind.truth`.

const BLIND_HTML = `
  <div class="modes" role="group" aria-label="Kind of test">
    <button data-mode="abx">ABX: is there a difference?</button><button data-mode="rank">Ranking: which is better?</button>
  </div>
  <div class="pair">
    <label>A <select data-side="0" aria-label="Version A"></select></label>
    <label>B <select data-side="1" aria-label="Version B"></select></label>
    <label>Trials <select class="count"><option>8</option><option>12</option><option selected>16</option>
      <option>24</option><option>32</option></select></label>
  </div>
  <sync-player no-buttons no-keys></sync-player>
  <div class="abx">
    <div class="choices" role="group" aria-label="Listen to">
      <button><kbd>1</kbd>A</button><button><kbd>2</kbd>B</button><button><kbd>3</kbd>X</button>
    </div>
    <div class="answers"><button data-answer="0">X is A</button><button data-answer="1">X is B</button></div>
    <p class="score" role="status"></p>
    <p class="advice"></p>
    <div class="end" hidden><button class="save">Save the result</button><button class="again">Start again</button></div>
  </div>
  <div class="rank"><div class="rows"></div><button class="reveal">Reveal</button></div>`;

const shuffled = (list) => {
  const order = [...list];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
};

// Chance of `right` or more right answers of `trials` for a guesser: the one-sided binomial test with p = 1/2.
function guessingChance(trials, right) {
  let ways = 1;
  let sum = 0;
  for (let k = trials; k >= right; k--) {
    sum += ways;
    ways *= k / (trials - k + 1);
  }
  return sum / 2 ** trials;
}

class BlindTest extends HTMLElement {
  static chance = guessingChance;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.innerHTML = `<style>${SyncPlayer.css}${BlindTest.css}</style>${BLIND_HTML}`;
    const find = (selector) => root.querySelector(selector);
    this.all = this.buttons = [];
    this.player = find("sync-player");
    this.ui = { pair: find(".pair"), abx: find(".abx"), rank: find(".rank"), rows: find(".rows") };
    Object.assign(this.ui, { score: find(".score"), reveal: find(".reveal"), advice: find(".advice") });
    Object.assign(this.ui, { count: find(".count"), end: find(".end") });
    this.ui.answers = [...root.querySelectorAll("[data-answer]")];
    this.ui.modes = [...root.querySelectorAll("[data-mode]")];
    this.ui.sides = [...root.querySelectorAll("[data-side]")];
    this.ui.choices = [...root.querySelectorAll(".choices button")];
    this.ui.modes.forEach((button) => (button.onclick = () => this.begin(button.dataset.mode)));
    this.ui.sides.forEach((select) => (select.onchange = () => this.begin("abx")));
    this.ui.choices.forEach((button, i) => (button.onclick = () => this.listen(i)));
    this.ui.answers.forEach((button) => (button.onclick = () => this.answer(+button.dataset.answer)));
    this.ui.count.onchange = find(".again").onclick = () => this.begin("abx");
    find(".save").onclick = () => this.save();
    this.ui.reveal.onclick = () => this.reveal();
    root.addEventListener("keydown", (event) => this.key(event), true);
    const claim = () => (SyncPlayer.current = this.player);
    root.addEventListener("focusin", claim);
    this.player.addEventListener("select", ({ detail }) => this.mark(detail.index));
    for (const event of ["select", "play"]) this.player.addEventListener(event, () => this.note());
  }

  connectedCallback() {
    this.player.setAttribute("rate", this.getAttribute("rate") ?? 0);
    const source = this.hasAttribute("of") && document.querySelector(this.getAttribute("of"));
    if (!source) return;
    const take = () => (this.versions = source.versions);
    source.addEventListener("ready", take);
    if (source.buffers) take();
  }

  set versions(versions) {
    const same = versions.length === this.all.length && versions.every(({ url }, i) => url === this.all[i].url);
    if (same) return;
    this.all = versions;
    this.ui.sides.forEach((select, side) => {
      select.replaceChildren(...versions.map(({ label }, i) => new Option(label, i)));
      select.selectedIndex = Math.min(side, versions.length - 1);
    });
    this.begin("abx");
  }

  begin(mode) {
    this.mode = mode;
    this.ui.modes.forEach((button) => button.setAttribute("aria-pressed", button.dataset.mode === mode));
    this.ui.pair.hidden = this.ui.abx.hidden = mode !== "abx";
    this.ui.rank.hidden = mode !== "rank";
    if (!this.all.length) return;
    if (mode === "rank") this.beginRanking();
    else this.beginAbx();
  }

  beginAbx() {
    this.buttons = this.ui.choices;
    this.answered = [];
    this.ui.score.textContent = "";
    this.lock(false);
    this.nextTrial();
  }

  get trials() {
    return this.answered.length;
  }

  get right() {
    return this.answered.filter(({ answer, truth }) => answer === truth).length;
  }

  get wanted() {
    return Number(this.ui.count.value);
  }

  // What was fixed before the first answer stays fixed until the last.
  lock(on) {
    [...this.ui.sides, this.ui.count].forEach((select) => (select.disabled = on));
    this.ui.end.hidden = !on || this.trials < this.wanted;
  }

  // X is loaded as a third version, so that a change to it sounds and takes the same whichever it is.
  nextTrial() {
    const [a, b] = this.ui.sides.map((select) => this.all[select.selectedIndex]);
    this.truth = Math.random() < 0.5 ? 0 : 1;
    this.heard = new Set();
    this.note();
    this.show([a, b, this.truth ? b : a]);
  }

  // An answer needs all three heard in this trial.
  note() {
    if (this.mode !== "abx" || !this.heard) return;
    if (this.player.playing) this.heard.add(this.player.active);
    const done = this.trials >= this.wanted;
    this.ui.answers.forEach((button) => (button.disabled = done || this.heard.size < 3));
    const missing = ["A", "B", "X"].filter((_, i) => !this.heard.has(i));
    this.ui.advice.textContent = done
      ? "p is the chance that a guesser gets as many right, or more."
      : `Trial ${this.trials + 1} of ${this.wanted}. ` +
        (missing.length ? `Listen to ${missing.join(", ")} before you answer.` : "Which of A and B is X?");
  }

  async show(versions) {
    await this.player.load(versions);
    this.mark(this.player.active);
  }

  listen(index) {
    this.player.select(index);
    if (!this.player.playing) this.player.play();
  }

  mark(index) {
    this.buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === index));
  }

  answer(side) {
    if (!this.player.buffers || this.heard.size < 3 || this.trials >= this.wanted) return;
    this.answered.push({ truth: this.truth, answer: side });
    this.ui.choices[0].focus(); // the button that was pressed is about to be disabled, and keys would go nowhere
    this.lock(true);
    const was = `${side === this.truth ? "Right" : "Wrong"}: X was ${"AB"[this.truth]}.`;
    if (this.trials < this.wanted) {
      this.ui.score.textContent = `${was} ${this.right} of ${this.trials} right.`;
      this.nextTrial();
    } else {
      this.player.pause();
      this.ui.score.textContent = `${was} Result: ${this.result()}`;
      this.note();
    }
  }

  result() {
    const p = guessingChance(this.trials, this.right);
    const meaning = p < 0.05 ? "better than guessing." : "guessing could do as well.";
    return `${this.right} of ${this.trials} right, p = ${p.toPrecision(2)}: ${meaning}`;
  }

  // The result as a CSV: a row for each trial.
  save() {
    const [a, b] = this.ui.sides.map((select) => this.all[select.selectedIndex].label);
    const rows = this.answered.map(({ truth, answer }, i) => [i + 1, a, b, "AB"[truth], "AB"[answer], +(truth === answer)]);
    const p = guessingChance(this.trials, this.right);
    const lines = [["trial", "A", "B", "X", "answer", "right"], ...rows, ["p", "", "", "", "", p]];
    const text = lines.map((line) => line.join(",")).join("\n") + "\n";
    const link = Object.assign(document.createElement("a"), { download: `abx_${a}_${b}.csv`.replaceAll(" ", "_") });
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.click();
    URL.revokeObjectURL(link.href);
  }

  beginRanking() {
    this.truth = shuffled(this.all);
    this.ui.reveal.disabled = false;
    this.ui.rows.replaceChildren(...this.truth.map((_, i) => this.row(String.fromCharCode(65 + i), i)));
    this.buttons = [...this.ui.rows.querySelectorAll("button")];
    this.show(this.truth);
  }

  row(letter, index) {
    const row = document.createElement("div");
    const button = document.createElement("button");
    if (index < 9) button.append(Object.assign(document.createElement("kbd"), { textContent: index + 1 }));
    button.append(letter);
    button.onclick = () => this.listen(index);
    const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 100, value: 50 });
    slider.setAttribute("aria-label", `Rating of ${letter}`);
    const value = Object.assign(document.createElement("output"), { textContent: "50" });
    slider.oninput = () => (value.textContent = slider.value);
    row.append(button, slider, value);
    return row;
  }

  reveal() {
    const rows = [...this.ui.rows.children];
    rows.forEach((row, i) => {
      row.querySelector("button").append(`: ${this.truth[i].label}`);
      row.querySelector("input").disabled = true;
    });
    this.ui.rows.append(...rows.sort((a, b) => b.querySelector("input").value - a.querySelector("input").value));
    this.ui.reveal.disabled = true;
    this.dispatchEvent(new CustomEvent("reveal", { bubbles: true, composed: true }));
  }

  // Digits choose what is heard, in this element's own numbering.
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !/^[1-9]$/.test(event.key)) return;
    this.buttons[event.key - 1]?.click();
    event.stopPropagation();
    event.preventDefault();
  }
}
