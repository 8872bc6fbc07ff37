// The pages of a listening test: welcome, volume, training, trials, end.

const LABELS = ["Excellent", "Good", "Fair", "Poor", "Bad"];
const HEARD_S = 0.5;
const KEPT = "Your progress is kept in this browser: you may close the page and come back.";
const NOT_KEPT = "This browser keeps no progress: do not close or reload the page before the end.";
const audio = {}; // item id -> {stimulus id: base64 WAV}; only the present item is kept

globalThis.mushraAudio = (item, files) => (audio[item] = files);

function el(tag, properties = {}, ...children) {
  const { aria = {}, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children);
  return element;
}

function show(...children) {
  const main = document.querySelector("main");
  main.replaceChildren(...children);
  main.querySelector("h1")?.focus();
  scrollTo(0, 0);
}

const heading = (text) => el("h1", { tabIndex: -1, textContent: text });
const paragraph = (text) => el("p", { textContent: text });
const button = (text, onclick, className = "primary") => el("button", { className, textContent: text, onclick });

function loadAudio(item) {
  for (const other of Object.keys(audio)) if (other !== item) delete audio[other];
  if (audio[item]) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const script = el("script", { src: `audio/${item}.js`, onload: () => (script.remove(), resolve()) });
    script.onerror = () => (script.remove(), reject(new Error(`audio/${item}.js is missing`)));
    document.head.append(script);
  });
}

async function playerFor(item, ids, attributes, session) {
  const player = el("sync-player");
  attributes.forEach((name) => player.setAttribute(name, ""));
  player.volume = session.volume;
  await loadAudio(item);
  player.versions = ids.map((id, i) => ({ label: i ? letter(i - 1) : "Reference", url: `data:audio/wav;base64,${audio[item][id]}` }));
  return player;
}

const letter = (i) => String.fromCharCode(65 + i);
const lettersOf = (stimuli, ids) => ids.map((id) => letter(stimuli.indexOf(id))).join(", ");

function welcome(session, resumed) {
  const field = el("input", { id: "listener", maxLength: 40, value: session.listener, autocomplete: "off" });
  const begin = () => {
    session.listener = field.value.replace(/[^\p{L}\p{N} ._-]/gu, "").trim();
    go(session, Math.max(session.step, 1));
  };
  show(
    heading(TEST.title),
    paragraph("You will hear short recordings in several versions and say how close each one is to the reference."),
    paragraph(`Use headphones in a quiet room. ${saveSession(session) ? KEPT : NOT_KEPT}`),
    el("p", {}, el("label", { htmlFor: "listener", textContent: "Your name or code (optional)" }), field),
    ...(resumed ? [paragraph(`Welcome back. ${finishedTrials(session).length} of ${TEST.forms[session.form].length} trials are done.`)] : []),
    button(resumed ? "Resume" : "Begin", begin),
    ...(resumed ? [button("I am someone else: start over", startAnew, "secondary")] : []),
  );
}

async function startAnew() {
  forgetSession();
  welcome(newSession(await chooseForm()), false);
}

async function volumePage(session) {
  const item = drawTrials(session)[0].item;
  const player = await playerFor(item, [TEST.items[item].open], ["no-buttons"], session);
  const slider = el("input", { type: "range", id: "volume", min: -30, max: 0, step: 1, value: 20 * Math.log10(session.volume) });
  slider.oninput = () => (player.volume = session.volume = 10 ** (slider.value / 20));
  show(
    heading("Set the volume"),
    paragraph("Play the recording and set a comfortable level, here or on your device. Leave it there until the end."),
    player,
    el("p", { className: "volume" }, el("label", { htmlFor: "volume", textContent: "Volume" }), slider),
    button("Next", () => go(session, 2)),
  );
}

async function trialPage(session, trial, { title, text, next, record }) {
  const ids = [TEST.items[trial.item].open, ...trial.stimuli];
  const player = await playerFor(trial.item, ids, ["no-buttons"], session);
  const kept = (record && session.trials[trial.item]) || { scores: {}, heard: {}, ms: 0 };
  const heard = Object.fromEntries(ids.map((id) => [id, kept.heard[id] ?? 0]));
  const message = el("p", { className: "message", role: "alert" });
  const keep = () => record && ((session.trials[trial.item] = kept), saveSession(session));
  const stop = watchListening(player, (seconds) => {
    kept.ms += seconds * 1000;
    if (player.playing) kept.heard[ids[player.active]] = heard[ids[player.active]] += seconds;
    board.mark(player.active, heard);
    allow();
  });
  const board = scoreBoard(ids, kept.scores, player, keep);
  const following = button(record ? "Next" : "Begin the test", () => {
    message.textContent = complaint(trial.stimuli, kept.scores);
    if (message.textContent) return;
    stop();
    kept.done = true;
    keep();
    next();
  });
  const stillToHear = el("p", { className: "still", id: "still" });
  following.setAttribute("aria-describedby", "still");
  // Every version must be heard before the next trial; what is missing is shown beside the button.
  const allow = () => {
    const unheard = trial.stimuli.filter((id) => heard[id] < HEARD_S);
    const text = unheard.length ? `Still to hear: ${lettersOf(trial.stimuli, unheard)}.` : "";
    if (stillToHear.textContent !== text) stillToHear.textContent = text;
    following.disabled = unheard.length > 0;
  };
  allow();
  show(
    el("p", { className: "progress", textContent: title }),
    heading("How close to the reference is each version?"),
    paragraph(text),
    player,
    board.element,
    stillToHear,
    message,
    following,
  );
}

// Calls back ten times a second with the time passed, until the player leaves the page or it is stopped.
function watchListening(player, tick) {
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    if (player.isConnected) tick((now - last) / 1000);
    last = now;
  }, 100);
  return () => clearInterval(timer);
}

function complaint(stimuli, scores) {
  const unrated = stimuli.filter((id) => !(id in scores));
  if (unrated.length) return `Please rate ${lettersOf(stimuli, unrated)} too.`;
  if (!stimuli.some((id) => scores[id] === 100)) return "One version is the reference itself: give it 100.";
  return "";
}

// Reference button, then one column (a row on a phone) for each stimulus: button, slider, score.
function scoreBoard(ids, scores, player, keep) {
  const buttons = ids.map((id, i) => {
    const made = el("button", { className: "listen", onclick: () => (player.select(i), player.playing || player.play()) });
    if (i < 9) made.append(el("kbd", { textContent: i + 1 }));
    made.append(el("span", { textContent: i ? letter(i - 1) : "Reference" }));
    return made;
  });
  const columns = ids.slice(1).map((id, i) => {
    const value = el("output", { textContent: scores[id] ?? "–" });
    const slider = el("input", { type: "range", min: 0, max: 100, value: scores[id] ?? 0, aria: { label: `Score of ${letter(i)}` } });
    const describe = () => slider.setAttribute("aria-valuetext", scores[id] === undefined ? "not rated" : `${scores[id]}, ${labelOf(scores[id])}`);
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
  const scale = el("div", { className: "scale", aria: { hidden: true } }, ...LABELS.map((text) => el("span", { textContent: text })));
  const element = el("div", { className: "board" }, el("div", { className: "open" }, buttons[0], scale), el("div", { className: "columns" }, ...columns));
  const mark = (active, heard) =>
    buttons.forEach((each, i) => {
      each.setAttribute("aria-pressed", i === active);
      each.classList.toggle("heard", heard[ids[i]] >= HEARD_S);
    });
  mark(0, Object.fromEntries(ids.map((id) => [id, 0])));
  return { element, mark };
}

const labelOf = (score) => LABELS[Math.min(4, Math.floor((100 - score) / 20))];

function endPage(session) {
  const link = el("a", { className: "primary", textContent: "Download results (CSV)", download: `${TEST.id}-${session.id.slice(0, 8)}.csv` });
  link.href = URL.createObjectURL(new Blob([resultsCsv(session)], { type: "text/csv" }));
  const status = el("p", { role: "status" });
  show(heading("Thank you"), status, link, button("Next listener", startAnew, "secondary"));
  if (!served()) {
    status.textContent = "All trials are done. Download your results and send the file to whoever asked you to listen.";
    return;
  }
  const send = () =>
    sendResults(session).then(
      () => (status.textContent = "All trials are done and your results have been saved."),
      (error) => status.replaceChildren(`Your results could not be sent (${error.message}). `, button("Try again", send)),
    );
  send();
}

async function go(session, step) {
  session.step = step;
  saveSession(session);
  const trials = drawTrials(session);
  show(paragraph("Loading…"));
  try {
    if (step === 1) await volumePage(session);
    else if (step === 2) {
      const text = "Nothing is recorded yet. Compare every version with the reference; find out how far apart they are.";
      const start = { title: "Training", text, next: () => go(session, 3), record: false };
      await trialPage(session, trials[0], start);
    } else if (step - 3 < trials.length) {
      const text = "Give 100 to what you cannot tell from the reference. One of the versions is the reference itself.";
      const next = () => {
        if (served()) sendResults(session).catch(() => {}); // the last page sends all again and tells of failures
        go(session, step + 1);
      };
      await trialPage(session, trials[step - 3], { title: `Trial ${step - 2} of ${trials.length}`, text, next, record: true });
    } else endPage(session);
  } catch (error) {
    show(heading("The audio could not be loaded"), paragraph(error.message), button("Try again", () => go(session, step)));
  }
}

(async () => {
  const stored = storedSession();
  welcome(stored ?? newSession(await chooseForm()), stored?.step > 0);
})();
