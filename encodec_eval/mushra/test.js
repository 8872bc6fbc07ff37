// The pages of a listening test: welcome, volume, training, trials, end; those of a crowd are in crowd.js.

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
    script.onerror = () => (script.remove(), reject(new Error(t("missing", { file: `audio/${item}.js` }))));
    document.head.append(script);
  });
}

async function playerFor(item, ids, labels, attributes, session) {
  const player = el("sync-player");
  attributes.forEach((name) => player.setAttribute(name, ""));
  player.volume = session.volume;
  await loadAudio(item);
  player.versions = ids.map((id, i) => ({ label: labels[i], url: `data:audio/wav;base64,${audio[item][id]}` }));
  return player;
}

function welcome(session, resumed) {
  const field = el("input", { id: "listener", maxLength: 40, value: session.listener, autocomplete: "off" });
  const name = el("p", {}, el("label", { htmlFor: "listener", textContent: t("name_label") }), field);
  const lacking = CROWD.participant?.required && !(CROWD.participant.parameters[0] in session.about.participant);
  const begin = () => {
    session.listener = field.value.replace(/[^\p{L}\p{N} ._-]/gu, "").trim();
    go(session, Math.max(session.step, 1));
  };
  const done = () => t("welcome_back", { done: countDone(session), all: TEST.forms[session.form].length });
  show(
    ...languageChoice(() => welcome(session, resumed)),
    heading(TEST.title),
    paragraph(t(`${TEST.method}.welcome`)),
    paragraph(`${t("use_headphones")} ${saveSession(session) ? t("kept") : t("not_kept")}`),
    ...(CROWD.participant ? [] : [name]),
    ...(resumed ? [paragraph(done())] : []),
    ...(lacking
      ? [el("p", { className: "message", role: "alert", textContent: t("no_participant", { name: CROWD.participant.parameters[0] }) })]
      : [button(resumed ? t("resume") : t("begin"), begin)]),
    ...(resumed && !CROWD.participant ? [button(t("start_over"), startAnew, "secondary")] : []),
    privacyLink(),
  );
}

function startAnew() {
  forgetSession();
  welcome(newSession(), false);
}

// The level is set once: no later page has a control for it.
async function volumePage(session) {
  const { item, ids, labels, blind } = drawTrials(session)[0];
  const player = await playerFor(item, ids.slice(0, 1), labels, attributesOf(blind), session);
  const slider = el("input", { type: "range", id: "volume", min: -30, max: 0, step: 1, value: 20 * Math.log10(session.volume) });
  const describe = () => slider.setAttribute("aria-valuetext", `${slider.value} dB`);
  slider.oninput = () => (describe(), (player.volume = session.volume = 10 ** (slider.value / 20)));
  describe();
  const next = () => {
    session.about.volume_db = Number(slider.value);
    go(session, session.step + 1);
  };
  show(
    heading(t("volume.heading")),
    paragraph(t("volume.text")),
    player,
    el("p", { className: "volume" }, el("label", { htmlFor: "volume", textContent: t("volume.label") }), slider),
    button(t("next"), next),
  );
}

// What is compared is not drawn: a waveform would tell versions apart to the eye.
const attributesOf = (blind) => ["no-buttons", ...(blind ? ["no-outline"] : [])];

async function trialPage(session, trial, { title, text, label, next, record }) {
  const { ids, labels } = trial;
  const player = await playerFor(trial.item, ids, labels, attributesOf(trial.blind), session);
  const kept = (record && session.trials[trial.item]) || { scores: {}, heard: {}, plays: {}, ms: 0 };
  const heard = Object.fromEntries(ids.map((id) => [id, kept.heard[id] ?? 0]));
  const isHeard = (id) => heard[id] >= neededOf(trial, player, id);
  const message = el("p", { className: "message", role: "alert" });
  const keep = () => record && ((session.trials[trial.item] = kept), saveSession(session));
  let playing = -1;
  const stop = watchListening(player, (seconds) => {
    kept.ms += seconds * 1000;
    const now = player.playing ? player.active : -1;
    if (now !== playing && now >= 0) kept.plays[ids[now]] = (kept.plays[ids[now]] ?? 0) + 1;
    playing = now;
    if (player.playing) kept.heard[ids[player.active]] = heard[ids[player.active]] += seconds;
    board.mark(player.active, isHeard);
    allow();
  });
  const board = BOARDS[TEST.method](trial, kept, player, keep);
  const following = button(label, () => {
    message.textContent = board.complaint();
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
    const unheard = (trial.must ?? trial.stimuli).filter((id) => !isHeard(id));
    const names = unheard.map((id) => labels[ids.indexOf(id)]).join(", ");
    const left = unheard.length ? t(trial.whole ? "still_to_hear_whole" : "still_to_hear", { versions: names }) : "";
    if (stillToHear.textContent !== left) stillToHear.textContent = left;
    following.disabled = unheard.length > 0;
  };
  allow();
  show(
    el("p", { className: "progress", textContent: title }),
    heading(t(`${TEST.method}.question`)),
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

function endPage(session) {
  const link = el("a", { className: "primary", textContent: t("end.download"), download: `${TEST.id}-${session.id.slice(0, 8)}.csv` });
  link.href = URL.createObjectURL(new Blob([resultsCsv(session)], { type: "text/csv" }));
  const status = el("p", { role: "status" });
  const completion = el("div");
  const another = CROWD.participant ? [] : [button(t("end.another"), startAnew, "secondary")];
  show(heading(t("end.heading")), status, completion, ...(session.stored.length ? [] : [link]), ...another);
  if (!served()) {
    status.textContent = t("end.download_and_send");
    return;
  }
  const send = () =>
    sendResults(session).then(
      (answer) => {
        status.textContent = t("end.saved");
        completion.replaceChildren(...completionOf(answer));
      },
      (error) => status.replaceChildren(`${t("end.not_sent", { error: error.message })} `, button(t("try_again"), send)),
    );
  send();
}

// The pages of this test, in order; a session's step is an index into them.
function pagesOf(session) {
  const { consent, questionnaire, headphones, training, break_every: every } = CROWD;
  const count = TEST.forms[session.form ?? 0].length;
  const trials = Array.from({ length: count }, (_, n) => [
    ["trial", n],
    ...(every && (n + 1) % every === 0 && n + 1 < count ? [["break", n]] : []),
  ]);
  return [
    ["welcome"],
    ...(consent ? [["consent"]] : []),
    ...(questionnaire.some(({ after }) => !after) ? [["questions", false]] : []),
    ...(headphones ? [["headphones"]] : []),
    ["volume"],
    ...Array.from({ length: training }, (_, n) => ["training", n]),
    ...trials.flat(),
    ...(questionnaire.some(({ after }) => after) ? [["questions", true]] : []),
    ["end"],
  ];
}

const PAGES = {
  consent: consentPage,
  questions: questionsPage,
  headphones: headphonesPage,
  volume: volumePage,
  training: (session, n) => {
    const trials = drawTrials(session);
    const given = CROWD.training_trials[session.form];
    const trial = trials.find(({ item }) => item === given[n % given.length]) ?? trials[n % trials.length];
    const last = n + 1 === CROWD.training;
    const title = CROWD.training === 1 ? t("training") : t("training_of", { n: n + 1, all: CROWD.training });
    const label = last ? t("begin_the_test") : t("next");
    const next = () => go(session, session.step + 1);
    return trialPage(session, trial, { title, text: t(`${TEST.method}.training`), label, next, record: false });
  },
  trial: (session, n) => {
    const trials = drawTrials(session);
    const title = t("trial_of", { n: n + 1, all: trials.length });
    const next = () => {
      if (served()) sendResults(session).catch(() => {}); // the last page sends all again and tells of failures
      go(session, session.step + 1);
    };
    return trialPage(session, trials[n], { title, text: t(`${TEST.method}.trial`), label: t("next"), next, record: true });
  },
  break: breakPage,
  end: endPage,
};

async function go(session, step) {
  show(paragraph(t("loading")));
  try {
    if (served() && session.form === null && pagesOf(session)[step][0] !== "consent") {
      const given = await openSession(session);
      if (given.failed) return failedPage(given);
      if (given.finished) step = pagesOf(session).length - 1;
    }
    const pages = pagesOf(session);
    const order = session.form === null ? [] : drawTrials(session);
    // What the server has from another browser is not asked for twice.
    const passed = ([name, n]) =>
      (name === "trial" && isDone(session, order[n].item)) || (name === "break" && session.stored.includes(order[n].item));
    while (passed(pages[step])) step++;
    session.step = step;
    if (session.form !== null) saveSession(session);
    await PAGES[pages[step][0]](session, pages[step][1]);
  } catch (error) {
    show(heading(t("not_loaded")), paragraph(error.message), button(t("try_again"), () => go(session, step)));
  }
}
