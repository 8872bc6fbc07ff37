// A scripted listener: does what the page asks for, every 100 ms, until the test is over. It cannot hear: `known` tells it
// the condition and the quality (0 to 100) behind each stimulus id, {id: [condition, quality]}. `boards`: after how many
// answered boards it stops, before "Next"; 0: never.
({ known, seed, noise, boards }) => {
  let state = seed * 2654435761 + 1;
  const uniform = () => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 374761393) | 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  // Which file is which id: the page gives its player the audio alone.
  let ids = new Map();
  const take = globalThis.mushraAudio;
  globalThis.mushraAudio = (item, files) => {
    ids = new Map(Object.entries(files).map(([id, wav]) => [`data:audio/wav;base64,${wav}`, id]));
    take(item, files);
  };
  const condition = (id) => known[id][0];
  const heard = (id) => (condition(id) === "reference" ? 100 - Math.abs(normal()) : Math.min(100, known[id][1] + noise * normal()));
  const asked = (id) => Number(/^trap(\d)$/.exec(condition(id))?.[1]);
  const clip = (value, low, high) => Math.round(Math.min(Math.max(value, low), high));
  const grade = (order) => asked(order.at(-1)) || clip(1 + heard(order.at(-1)) / 25, 1, 5);
  const gain = ([first, second]) => heard(second) - heard(first);
  const CHOICES = {
    acr: grade,
    dcr: grade,
    ccr: (order) => clip(gain(order) / 25, -3, 3),
    ab: (order) => ((change) => (Math.abs(change) < 6 ? 0 : Math.sign(change)))(gain(order)),
    abx: ([a, b, x]) => {
      const noticed = uniform() < 1 - Math.exp(-Math.abs(heard(a) - heard(b)) / 12);
      return (noticed ? condition(a) === condition(x) : uniform() < 0.5) ? "A" : "B";
    },
  };
  const answer = (method, order) => {
    if (method === "bs1116") {
      const [, a, b] = order;
      const values = [a, b].map(heard);
      const best = values[0] >= values[1] ? 0 : 1;
      const loss = Math.abs(values[0] - values[1]);
      document.querySelectorAll(".board input[type=range]").forEach((slider, i) => {
        slider.value = i === best ? 50 : clip(50 - 0.4 * loss, 10, 50);
        slider.oninput();
      });
      return;
    }
    document.querySelector(`.board input[type=radio][value="${CHOICES[method](order)}"]`).click();
  };
  const answered = new WeakSet();
  globalThis.robotPages = 0;
  setInterval(() => {
    const player = document.querySelector("main sync-player");
    const board = document.querySelector("main .board");
    if (board) {
      if (!player.probe().ready) return;
      if (!player.playing) player.play();
      const unheard = board.querySelector(".listen:not(.heard)");
      if (unheard) {
        if (unheard.getAttribute("aria-pressed") !== "true") unheard.click();
        return;
      }
      if (!answered.has(board)) {
        answered.add(board);
        globalThis.robotPages += 1;
        answer(globalThis.mushraData.method, player.versions.map(({ url }) => ids.get(url)));
      }
    }
    if (boards && globalThis.robotPages === boards) return;
    const next = document.querySelector("main > .primary:not(a)");
    if (next && !next.disabled) next.click();
  }, 100);
}
