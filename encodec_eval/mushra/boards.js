// Boards: where a listener answers. BOARDS[method](trial, kept, player, keep) -> {element, mark, complaint}:
// `trial` {item, open, stimuli, ids, labels}: `ids` is what the player plays, in its order, `labels` what it is called;
// `kept` {scores, heard, plays, ms}: the board fills `scores` {stimulus or pair id: integer} and calls keep() after it;
// `mark(active, isHeard)`: ten times a second, the index that is heard now and whether enough of an id was heard;
// `complaint()`: what is missing before the next trial, "" if nothing.
// BOARDS[method].draw(data, next) -> {stimuli, ids, labels, must, whole, blind} may replace the drawing of a trial's order;
// `data` is the item's {open, stimuli}, `next` the listener's random numbers. Every id of `must` (`stimuli` without it) must
// be heard before "Next", with `whole` to its end, as the toolkit for P.808 asks; `blind`: the first version is one to be
// judged, so its waveform is not drawn.
// Words are t("key", {placeholder: value}), from the files of languages; those of a method begin with its name:
// METHOD.welcome, METHOD.question, METHOD.training, METHOD.trial are shown by the pages around the board.

const HEARD_S = 0.5;
const WHOLE = 0.9; // of a version: the end of a recording is often silent
const BOARDS = {};

const letter = (i) => String.fromCharCode(65 + i);
const lettersOf = (stimuli, ids) => ids.map((id) => letter(stimuli.indexOf(id))).join(", ");

// The seconds that must be heard of a version, before which there is no "Next".
function neededOf({ ids, whole }, player, id) {
  return whole ? WHOLE * (player.buffers?.[ids.indexOf(id)].duration ?? Infinity) : HEARD_S;
}

// The button that makes the player play version `i`, with its key.
function listenButton(player, i, label) {
  const made = el("button", { className: "listen", onclick: () => (player.select(i), player.playing || player.play()) });
  if (i < 9) made.append(el("kbd", { textContent: i + 1 }));
  made.append(el("span", { textContent: label }));
  return made;
}

// Shows on the buttons, one for each of `ids`, which is heard now and which were heard.
function marker(ids, buttons) {
  const mark = (active, isHeard) =>
    buttons.forEach((each, i) => {
      each.setAttribute("aria-pressed", i === active);
      each.classList.toggle("heard", isHeard(ids[i]));
    });
  mark(0, () => false);
  return mark;
}

const MUSHRA_LABELS = ["excellent", "good", "fair", "poor", "bad"];

// Reference button, then one column (a row on a phone) for each stimulus: button, slider, score.
BOARDS.mushra = ({ ids, stimuli, labels }, { scores }, player, keep) => {
  const buttons = ids.map((id, i) => listenButton(player, i, labels[i]));
  const words = (score) => t(`mushra.${MUSHRA_LABELS[Math.min(4, Math.floor((100 - score) / 20))]}`);
  const columns = stimuli.map((id, i) => {
    const value = el("output", { textContent: scores[id] ?? "–" });
    const label = t("score_of", { version: letter(i) });
    const slider = el("input", { type: "range", min: 0, max: 100, value: scores[id] ?? 0, aria: { label } });
    const describe = () =>
      slider.setAttribute("aria-valuetext", scores[id] === undefined ? t("not_rated") : `${scores[id]}, ${words(scores[id])}`);
    const rate = () => {
      scores[id] = Number(slider.value);
      value.textContent = slider.value;
      column.classList.add("rated");
      describe();
      keep();
    };
    slider.onfocus = () => player.select(i + 1);
    slider.oninput = slider.onchange = slider.onpointerup = rate;
    slider.onkeyup = ({ key }) => /^(Arrow|Home|End|Page)/.test(key) && rate();
    const column = el("div", { className: id in scores ? "column rated" : "column" }, buttons[i + 1], slider, value);
    describe();
    return column;
  });
  const steps = MUSHRA_LABELS.map((name) => el("span", { textContent: t(`mushra.${name}`) }));
  const scale = el("div", { className: "scale", aria: { hidden: true } }, ...steps);
  const open = el("div", { className: "open" }, buttons[0], scale);
  const element = el("div", { className: "board" }, open, el("div", { className: "columns" }, ...columns));
  const complaint = () => {
    const unrated = stimuli.filter((id) => !(id in scores));
    if (unrated.length) return t("please_rate", { versions: lettersOf(stimuli, unrated) });
    return stimuli.some((id) => scores[id] === 100) ? "" : t("mushra.no_reference");
  };
  return { element, mark: marker(ids, buttons), complaint };
};
