// Boards of the methods beside MUSHRA; what a board is, stands at the head of mushra/boards.js.

// One answer to choose: radio buttons of the scale, best first, the answer kept under `id`.
function radioScale(method, scores, values, id, player, keep, legend = "") {
  const name = `answer-${id}`;
  const choices = values.map((value) => {
    const input = el("input", { type: "radio", name, value, checked: scores[id] === value });
    input.onchange = () => {
      scores[id] = value;
      keep();
    };
    return el("label", { className: "choice" }, input, el("span", { textContent: t(`${method}.${value}`) }));
  });
  return el("fieldset", { className: "choices" }, el("legend", { textContent: legend || t(`${method}.legend`) }), ...choices);
}

// A row of buttons that play, and below it one scale; the answer stands under `id`.
function oneAnswer(method, values) {
  return ({ ids, stimuli, labels }, { scores }, player, keep) => {
    const buttons = ids.map((each, i) => listenButton(player, i, labels[i]));
    const id = stimuli.at(-1);
    const element = el(
      "div",
      { className: "board answers" },
      el("div", { className: "versions" }, ...buttons),
      radioScale(method, scores, values, id, player, keep),
    );
    return { element, mark: marker(ids, buttons), complaint: () => (id in scores ? "" : t("please_answer")) };
  };
}

BOARDS.acr = oneAnswer("acr", [5, 4, 3, 2, 1]);
BOARDS.acr.draw = ({ stimuli }) => ({ stimuli, ids: stimuli, labels: [t("recording")], whole: true, blind: true });

// The open reference first, as trials are drawn without a draw of one's own; it must be heard too.
const drawWithReference = (data, next) => {
  const drawn = drawStimuli(data, next);
  return { ...drawn, must: drawn.ids };
};
BOARDS.dcr = oneAnswer("dcr", [5, 4, 3, 2, 1]);
BOARDS.dcr.draw = (data, next) => ({ ...drawWithReference(data, next), whole: true });

// Pairs in this listener's order; the answer says how the second compares with the first, and stands under its id.
const drawPair = ({ stimuli }, next) => {
  const pair = shuffled(stimuli, next);
  return { stimuli: pair, ids: pair, labels: pair.map((id, i) => letter(i)), blind: true };
};
BOARDS.ccr = oneAnswer("ccr", [3, 2, 1, 0, -1, -2, -3]);
BOARDS.ccr.draw = (data, next) => ({ ...drawPair(data, next), whole: true });
BOARDS.ab = oneAnswer("ab", [-1, 0, 1]);
BOARDS.ab.draw = drawPair;

// Which of A and B is X? 1 under the id of the one chosen, and nothing else.
BOARDS.abx = ({ ids, stimuli, labels }, { scores }, player, keep) => {
  const buttons = ids.map((each, i) => listenButton(player, i, labels[i]));
  const choices = stimuli.slice(0, 2).map((id, i) => {
    const input = el("input", { type: "radio", name: "abx", value: letter(i), checked: scores[id] === 1 });
    input.onchange = () => {
      for (const each of stimuli) delete scores[each];
      scores[id] = 1;
      keep();
    };
    return el("label", { className: "choice" }, input, el("span", { textContent: t("abx.is", { version: letter(i) }) }));
  });
  const scale = el("fieldset", { className: "choices" }, el("legend", { textContent: t("abx.legend") }), ...choices);
  const element = el("div", { className: "board answers" }, el("div", { className: "versions" }, ...buttons), scale);
  return { element, mark: marker(ids, buttons), complaint: () => (Object.keys(scores).length ? "" : t("please_answer")) };
};
BOARDS.abx.draw = ({ open, stimuli }, next) => {
  const pair = [...shuffled(stimuli, next), open];
  return { stimuli: pair, ids: pair, labels: ["A", "B", "X"], blind: true };
};

// Two sliders from 1.0 to 5.0, kept as 10 to 50; the hidden reference must get 5.0.
BOARDS.bs1116 = ({ ids, stimuli, labels }, { scores }, player, keep) => {
  const buttons = ids.map((each, i) => listenButton(player, i, labels[i]));
  const grade = (score) => (score / 10).toFixed(1);
  const words = (score) => t(`bs1116.${Math.round(score / 10)}`);
  const rows = stimuli.map((id, i) => {
    const value = el("output", { textContent: id in scores ? grade(scores[id]) : "–" });
    const meaning = el("span", { className: "meaning", textContent: id in scores ? words(scores[id]) : t("not_rated") });
    const label = t("score_of", { version: letter(i) });
    const slider = el("input", { type: "range", min: 10, max: 50, value: scores[id] ?? 10, aria: { label } });
    const rate = () => {
      scores[id] = Number(slider.value);
      value.textContent = grade(scores[id]);
      meaning.textContent = words(scores[id]);
      slider.setAttribute("aria-valuetext", `${grade(scores[id])}, ${words(scores[id])}`);
      keep();
    };
    slider.setAttribute("aria-valuetext", meaning.textContent);
    slider.onfocus = () => player.select(i + 1);
    slider.oninput = slider.onchange = slider.onpointerup = rate;
    slider.onkeyup = ({ key }) => /^(Arrow|Home|End|Page)/.test(key) && rate();
    return el("div", { className: "grade" }, buttons[i + 1], slider, value, meaning);
  });
  const steps = [1, 2, 3, 4, 5].map((step) => el("span", {}, el("b", { textContent: `${step}.0` }), el("i", { textContent: t(`bs1116.${step}`) })));
  const scale = el("div", { className: "grades", aria: { hidden: true } }, ...steps);
  const element = el("div", { className: "board answers" }, el("div", { className: "versions" }, buttons[0]), scale, ...rows);
  const complaint = () => {
    const unrated = stimuli.filter((id) => !(id in scores));
    if (unrated.length) return t("please_rate", { versions: lettersOf(stimuli, unrated) });
    return stimuli.some((id) => scores[id] === 50) ? "" : t("bs1116.no_reference");
  };
  return { element, mark: marker(ids, buttons), complaint };
};
BOARDS.bs1116.draw = drawWithReference;
