// The pages that a crowd needs: language, consent, questions, headphone check, breaks, the way back to the platform.

const LANGUAGES = { en: "English", de: "Deutsch", es: "Español", fr: "Français", ja: "日本語" };

// A choice of language where the test has more than one.
function languageChoice(again) {
  const codes = Object.keys(TEST.words);
  if (codes.length < 2) return [];
  const options = codes.map((code) => el("option", { value: code, lang: code, textContent: LANGUAGES[code] ?? code, selected: code === language() }));
  const select = el("select", { id: "language" }, ...options);
  select.onchange = () => {
    document.documentElement.lang = select.value;
    speakPlayer();
    again();
    document.getElementById("language").focus();
  };
  return [el("p", { className: "language" }, el("label", { htmlFor: "language", textContent: t("language") }), select)];
}

// The player's own words, in the page's language.
function speakPlayer() {
  SyncPlayer.words = Object.fromEntries(
    Object.keys(SyncPlayer.words).map((name) => [name, t(`player.${name}`)]),
  );
}

function privacyLink() {
  const href = `${served() ? "privacy" : "privacy.html"}#${language()}`;
  return el("p", { className: "privacy" }, el("a", { href, target: "_blank", rel: "noopener", textContent: t("privacy.link") }));
}

function consentPage(session) {
  const agree = () => {
    session.about.consent = true;
    go(session, session.step + 1);
  };
  const decline = () => show(heading(t("consent.declined")), paragraph(t("consent.nothing_stored")));
  show(
    heading(t("consent.heading")),
    ...said(CROWD.consent).split(/\n\s*\n/).map(paragraph),
    privacyLink(),
    button(t("consent.agree"), agree),
    button(t("consent.decline"), decline, "secondary"),
  );
}

function questionsPage(session, after) {
  const questions = CROWD.questionnaire.filter((question) => question.after === after);
  const answers = (session.about.answers ??= {});
  const message = el("p", { className: "message", role: "alert" });
  const fields = questions.map((question) => questionField(question, answers));
  const next = () => {
    const open = questions.findIndex((question, i) => !fields[i].read(question));
    if (open >= 0) {
      message.textContent = t("questions.missing", { question: said(questions[open].text) });
      fields[open].element.querySelector("input, textarea").focus();
      return;
    }
    if (served()) sendResults(session).catch(() => {}); // the next answer sends them again
    go(session, session.step + 1);
  };
  show(heading(t("questions.heading")), ...fields.map(({ element }) => element), message, button(t("next"), next));
}

// {element, read}: `read` takes the answer over; false if one is needed and lacks, or is out of range.
function questionField(question, answers) {
  const id = `question-${question.id}`;
  const text = `${said(question.text)}${question.required ? " *" : ""}`;
  const take = (value) => {
    if (value === undefined) delete answers[question.id];
    else answers[question.id] = value;
    return value !== undefined || !question.required;
  };
  if (question.kind === "choice") {
    const inputs = question.choices.map((_, i) => el("input", { type: "radio", name: id, value: i, checked: answers[question.id] === i }));
    const labels = question.choices.map((choice, i) => el("label", { className: "choice" }, inputs[i], el("span", { textContent: said(choice) })));
    const element = el("fieldset", { className: "question" }, el("legend", { textContent: text }), ...labels);
    const read = () => {
      const chosen = inputs.findIndex((input) => input.checked);
      return take(chosen < 0 ? undefined : chosen);
    };
    return { element, read };
  }
  const number = question.kind === "number";
  const input = number ? el("input", { type: "number", id, step: "any" }) : el("textarea", { id, maxLength: 2000, rows: 2 });
  if (number) for (const edge of ["min", "max"]) if (question[edge] !== null) input[edge] = question[edge];
  input.required = question.required;
  input.value = answers[question.id] ?? "";
  const read = () => {
    if (number && (input.value || input.validity.badInput)) return input.checkValidity() && take(Number(input.value));
    return take(input.value.trim() || undefined);
  };
  return { element: el("p", { className: "question" }, el("label", { htmlFor: id, textContent: text }), input), read };
}

// Six sounds, each heard once; the answers of all attempts are kept, and the server judges them again.
async function headphonesPage(session) {
  const { check, pass, attempts, exclude, right } = CROWD.headphones;
  const given = (session.about.headphones ??= []);
  const counts = given.map((attempt) => attempt.filter((choice, n) => choice === right[n]).length);
  const passed = counts.some((count) => count >= pass);
  const next = () => go(session, session.step + 1);
  if (passed || (given.length >= attempts && !exclude)) {
    if (served()) await sendResults(session);
    if (passed) show(heading(t("headphones.heading")), paragraph(t("headphones.passed")), button(t("next"), next));
    else show(heading(t("headphones.heading")), paragraph(t("headphones.failed_stay")), button(t("next"), next));
    return;
  }
  if (given.length >= attempts) {
    failedPage(served() ? await sendResults(session) : {});
    return;
  }
  await loadAudio("headphones");
  show(
    heading(t("headphones.heading")),
    ...(given.length ? [paragraph(t("headphones.again"))] : []),
    paragraph(t("headphones.text")),
    paragraph(t(`headphones.${check}`)),
    button(t("begin"), () => headphoneTrials(session, right.length)),
  );
}

function failedPage(answer) {
  const back = completionOf(answer, t("headphones.back"));
  show(heading(t("headphones.failed")), paragraph(t("headphones.failed_text")), ...back);
}

async function headphoneTrials(session, count) {
  const context = new AudioContext();
  const order = shuffled(Array.from({ length: count }, (_, n) => n), Math.random);
  const picked = [];
  for (const [i, n] of order.entries()) picked[n] = await headphoneTrial(context, n, i + 1, count);
  context.close();
  session.about.headphones.push(picked);
  go(session, session.step);
}

// Resolves to what was picked, 0 to 2. The sound plays once.
async function headphoneTrial(context, n, place, count) {
  const { check } = CROWD.headphones;
  const bytes = Uint8Array.from(atob(audio.headphones[`h${n}`]), (c) => c.charCodeAt(0)).buffer;
  const buffer = await context.decodeAudioData(bytes);
  return new Promise((resolve) => {
    const state = el("p", { role: "status", className: "still" });
    const choices = [0, 1, 2].map((i) => button(t("headphones.sound", { n: i + 1 }), () => resolve(i)));
    choices.forEach((each) => (each.disabled = true));
    const play = button(t("headphones.play"), () => {
      play.disabled = true;
      state.textContent = t("headphones.playing");
      const source = new AudioBufferSourceNode(context, { buffer });
      source.connect(context.destination);
      source.onended = () => {
        state.textContent = t("headphones.choose");
        choices.forEach((each) => (each.disabled = false));
        choices[0].focus();
      };
      context.resume();
      source.start();
    });
    show(
      el("p", { className: "progress", textContent: t("trial_of", { n: place, all: count }) }),
      heading(t(`headphones.${check}_question`)),
      el("p", {}, play),
      state,
      el("div", { className: "picks", role: "group", aria: { label: t(`headphones.${check}_question`) } }, ...choices),
    );
  });
}

function breakPage(session, n) {
  const all = TEST.forms[session.form].length;
  const next = () => go(session, session.step + 1);
  show(heading(t("break.heading")), paragraph(t("break.text", { done: n + 1, all })), button(t("resume"), next));
}

// Code and link by which the platform knows who is done; only the server tells them.
function completionOf({ completion }, text = t("end.back")) {
  const { code, link } = completion ?? {};
  return [
    ...(code ? [el("p", {}, `${t("end.code")} `, el("code", { className: "code", textContent: code }))] : []),
    ...(link ? [el("p", {}, el("a", { className: "primary", href: link, rel: "noreferrer", textContent: text }))] : []),
  ];
}
