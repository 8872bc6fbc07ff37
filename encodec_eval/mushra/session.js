// A listener's session: what was drawn for them, what they answered, where they are; kept in the browser's storage.
// TEST is the page's data: {id, title, method, forms: [[item id]], items: {id: {open, stimuli: [stimulus id]}}, crowd,
// words: {language: {key: text}}}.

const STORE = `mushra:${TEST.id}`;
const CROWD = TEST.crowd;
const CSV_HEAD = [
  "session_test_id", "listener", "form", "seed", "session_uuid",
  "trial_id", "rating_stimulus", "rating_score", "rating_time",
  ...(TEST.method === "mushra" ? [] : ["rating_plays"]), "rating_comment",
];
const PATIENCE = 6; // how often a request is made again that the server refused because there were too many

const served = () => location.protocol.startsWith("http");

// Behind a proxy the page may stand at /prefix without a slash: what it loads lies below all the same.
if (served() && !/(\/|\.html)$/.test(location.pathname)) {
  document.head.append(Object.assign(document.createElement("base"), { href: `${location.pathname}/` }));
}

// The words of the page in the listener's language, {placeholders} filled in.
const language = () => document.documentElement.lang;
const t = (key, values = {}) =>
  (TEST.words[language()][key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
// A text of the test's makers: the same in all languages, or one for each, the default language's where one lacks.
const said = (text) => (typeof text === "string" ? text : (text[language()] ?? text[Object.keys(TEST.words)[0]]));

// The language asked for in the address, else the first that the browser's user reads, else the test's first.
function chooseLanguage() {
  const known = Object.keys(TEST.words);
  const wanted = [new URLSearchParams(location.search).get("lang") ?? "", ...navigator.languages].map((code) => code.split("-")[0]);
  document.documentElement.lang = wanted.find((code) => known.includes(code)) ?? known[0];
}

// mulberry32: the same order for the same seed in every browser
function random(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled(list, next) {
  const out = [...list];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}

// `form` is null until the server gives one; `stored` are items answered before, of which only the server has the answers.
function newSession() {
  const bytes = crypto.getRandomValues(new Uint8Array(20));
  const id = [...bytes.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const seed = new DataView(bytes.buffer).getUint32(16);
  const form = served() ? null : (askedForm() ?? Math.floor(Math.random() * TEST.forms.length));
  return { id, seed, form, listener: "", step: 0, volume: 1, trials: {}, stored: [], about: { participant: participant() } };
}

function askedForm() {
  const asked = Number(new URLSearchParams(location.search).get("form"));
  return asked >= 1 && asked <= TEST.forms.length ? asked - 1 : undefined;
}

// What the address says of who came: the parameters that the test's settings name.
function participant() {
  const names = CROWD.participant?.parameters ?? [];
  const given = new URLSearchParams(location.search);
  return Object.fromEntries(names.filter((name) => given.get(name)).map((name) => [name, given.get(name)]));
}

// The trials in this listener's order, each with its stimuli in this listener's order.
function drawTrials({ seed, form }) {
  const next = random(seed);
  const draw = BOARDS[TEST.method].draw ?? drawStimuli;
  return shuffled(TEST.forms[form], next).map((item) => ({ item, open: TEST.items[item].open, ...draw(TEST.items[item], next) }));
}

// All stimuli, shuffled, behind the open reference if there is one; they are called A, B, C ...
function drawStimuli(data, next) {
  const stimuli = shuffled(data.stimuli, next);
  const letters = stimuli.map((id, i) => letter(i));
  if (!data.open) return { stimuli, ids: stimuli, labels: letters };
  return { stimuli, ids: [data.open, ...stimuli], labels: [t("reference"), ...letters] };
}

// Returns false where the browser keeps nothing for this page.
function saveSession(session) {
  try {
    if (session.step > 0) localStorage.setItem(STORE, JSON.stringify(session));
    else localStorage.setItem(`${STORE}:try`, ""), localStorage.removeItem(`${STORE}:try`);
    return true;
  } catch {
    return false;
  }
}

function forgetSession() {
  try {
    localStorage.removeItem(STORE);
  } catch {
    // nothing was kept
  }
}

// Another participant at the same browser is another session.
function storedSession() {
  try {
    const session = JSON.parse(localStorage.getItem(STORE));
    const same = JSON.stringify(session?.about?.participant ?? {}) === JSON.stringify(participant());
    return session && session.form in TEST.forms && same ? session : null;
  } catch {
    return null;
  }
}

const isDone = (session, item) => Boolean(session.trials[item]?.done) || session.stored.includes(item);
const countDone = (session) => TEST.forms[session.form].filter((item) => isDone(session, item)).length;

function finishedTrials(session) {
  return Object.entries(session.trials).filter(([, trial]) => trial.done);
}

function resultsCsv(session) {
  const quote = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
  const start = [TEST.id, session.listener, session.form + 1, session.seed, session.id];
  const plays = (trial) => (TEST.method === "mushra" ? [] : [Object.values(trial.plays).reduce((a, b) => a + b, 0)]);
  const rows = finishedTrials(session).flatMap(([item, trial]) =>
    Object.entries(trial.scores).map(([id, score]) => [...start, item, id, score, Math.round(trial.ms), ...plays(trial), ""]),
  );
  return [CSV_HEAD, ...rows].map((row) => row.map(quote).join(",")).join("\n") + "\n";
}

// Posts to the server; where it says that too many came at once, waits as long as it says.
async function post(path, content) {
  const body = JSON.stringify({ test: TEST.id, ...content });
  for (let tries = 1; ; tries++) {
    const response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body });
    if (response.ok) return response.json();
    if (response.status !== 429 || tries === PATIENCE) throw new Error(t("server_answered", { status: response.status }));
    await new Promise((resolve) => setTimeout(resolve, 1000 * (Number(response.headers.get("Retry-After")) || 1)));
  }
}

// Begins a session at the server, which gives the form; who comes back with the same participant's id gets theirs again.
async function openSession(session) {
  const { id, seed, about } = session;
  const form = askedForm();
  const who = CROWD.participant ? { participant: about.participant } : {};
  const given = await post("session", { session: id, seed, ...who, ...(form === undefined ? {} : { form }) });
  Object.assign(session, { id: given.session, form: given.form, seed: given.seed, stored: given.stored });
  return given;
}

// Everything finished so far; the server keeps what is new to it. Returns {stored, finished, completion}.
function sendResults(session) {
  const trials = finishedTrials(session).map(([item, { scores, ms, plays }]) => ({ item, scores, ms: Math.round(ms), plays }));
  const { participant, ...rest } = session.about;
  const about = { ...rest, language: language(), ...(CROWD.participant ? { participant } : {}) };
  return post("results", { session: session.id, listener: session.listener, form: session.form, seed: session.seed, trials, about });
}
