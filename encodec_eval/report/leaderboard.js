// The leaderboard's table and clips. `clips` = {set: [{clip, file}]}; a file calls leaderboard.bring(file, [clip,
// versions]), so that audio is loaded when it is asked for, from disk too.

const leaderboard = (() => {
  const $ = (id) => document.getElementById(id);
  const body = document.querySelector("tbody");
  const headings = [...document.querySelectorAll("th[data-first]")];
  const player = document.querySelector("sync-player");
  const brought = new Map();

  const value = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.value === undefined) return cell.textContent;
    return cell.dataset.value === "" ? NaN : Number(cell.dataset.value);
  };

  // Rows without a value stand last in both orders.
  function sort(heading) {
    const column = heading.cellIndex;
    const other = { ascending: "descending", descending: "ascending" };
    const order = heading.ariaSort ? other[heading.ariaSort] : heading.dataset.first;
    headings.forEach((each) => each.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const compare = (a, b) => {
      const [x, y] = [value(a, column), value(b, column)];
      if (typeof x === "string") return sign * x.localeCompare(y, undefined, { numeric: true });
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return sign * (x - y);
    };
    body.append(...[...body.rows].sort(compare));
  }

  function filter() {
    const text = $("system").value.trim().toLowerCase();
    const limit = $("rate").value === "" ? Infinity : Number($("rate").value);
    const rows = [...body.rows];
    for (const row of rows) {
      const rate = Number(row.cells[2].dataset.value || 0); // what has no rate is no codec: it stays
      row.hidden = row.dataset.set !== $("set").value || rate > limit;
      row.hidden ||= !`${row.cells[0].textContent} ${row.cells[1].textContent}`.toLowerCase().includes(text);
    }
    const shown = rows.filter((row) => !row.hidden);
    $("count").textContent = `${shown.length} of ${rows.length} rows`;
  }

  // A metric that the chosen set does not have has no column.
  function chooseSet() {
    const rows = [...body.rows].filter((row) => row.dataset.set === $("set").value);
    headings.forEach((heading, column) => {
      const empty = heading.className === "number" && rows.every((row) => row.cells[column].textContent === "-");
      for (const row of document.querySelectorAll("tr")) row.cells[column].hidden = empty;
    });
    const offered = clips[$("set").value] || [];
    $("clip").replaceChildren(...offered.map(({ clip, file }) => new Option(clip, file)));
    $("listen").hidden = !offered.length;
    filter();
    chooseClip();
  }

  function chooseClip() {
    const file = $("clip").value;
    if (!file) return;
    if (brought.has(file)) {
      player.versions = brought.get(file);
      return;
    }
    const script = document.createElement("script");
    script.src = file;
    document.head.append(script);
  }

  function bring(file, [, versions]) {
    brought.set(file, versions);
    if ($("clip").value === file) player.versions = versions;
  }

  for (const heading of headings) heading.querySelector("button").onclick = () => sort(heading);
  $("set").onchange = chooseSet;
  $("system").oninput = $("rate").oninput = filter;
  $("clip").onchange = chooseClip;
  setTimeout(chooseSet); // after `leaderboard` is there for what brings clips
  return { bring };
})();
