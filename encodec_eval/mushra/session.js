// A listener's session: what was drawn for them, what they answered, where they are; kept in the browser's storage.
// TEST is the page's data: {id, title, forms: [[item id]], items: {id: {open, stimuli: [stimulus id]}}}.

const STORE = `mushra:${TEST.id}`;
const CSV_HEAD = [
  "session_test_id", "listener", "form", "seed", "session_uuid",
  "trial_id", "rating_stimulus", "rating_score", "rating_time", "rating_comment",
];

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

function newSession(form) {
  const bytes = crypto.getRandomValues(new Uint8Array(20));
  const id = [...bytes.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const seed = new DataView(bytes.buffer).getUint32(16);
  return { id, seed, form, listener: "", step: 0, volume: 1, trials: {} };
}

// The trials in this listener's order, each with its stimuli in this listener's order.
function drawTrials({ seed, form }) {
  const next = random(seed);
  return shuffled(TEST.forms[form], next).map((item) => ({ item, stimuli: shuffled(TEST.items[item].stimuli, next) }));
}

// Returns false where the browser keeps nothing for this page.
function saveSession(session) {
  try {
    localStorage.setItem(STORE, JSON.stringify(session));
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

function storedSession() {
  try {
    const session = JSON.parse(localStorage.getItem(STORE));
    return session && session.form in TEST.forms ? session : null;
  } catch {
    return null;
  }
}

async function chooseForm() {
  const asked = Number(new URLSearchParams(location.search).get("form"));
  if (asked >= 1 && asked <= TEST.forms.length) return asked - 1;
  if (served()) return (await (await fetch("form")).json()).form;
  return Math.floor(Math.random() * TEST.forms.length);
}

const served = () => location.protocol.startsWith("http");

function finishedTrials(session) {
  return Object.entries(session.trials).filter(([, trial]) => trial.done);
}

function resultsCsv(session) {
  const quote = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
  const start = [TEST.id, session.listener, session.form + 1, session.seed, session.id];
  const rows = finishedTrials(session).flatMap(([item, trial]) =>
    Object.entries(trial.scores).map(([stimulus, score]) => [...start, item, stimulus, score, Math.round(trial.ms), ""]),
  );
  return [CSV_HEAD, ...rows].map((row) => row.map(quote).join(",")).join("\n") + "\n";
}

// Everything finished so far; the server replaces what it had of this session.
async function sendResults(session) {
  const trials = finishedTrials(session).map(([item, { scores, ms }]) => ({ item, scores, ms: Math.round(ms) }));
  const { id, listener, form, seed } = session;
  const body = JSON.stringify({ test: TEST.id, session: id, listener, form, seed, trials });
  const response = await fetch("results", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
}
