// `.ecdc` files of version 0 without a language model: the header, then of each segment its scale, where the model has
// one, and the codes frame after frame, low bits first.

const MAX_JSON = 1 << 12;
const MAX_SCALE = 1e6;

// `coded` as of PageCodec, `bits` of one code.
function ecdcBytes(name, length, coded, bits) {
  const count = coded[0].rows.length;
  const text = `{"m": ${JSON.stringify(name)}, "al": ${length}, "nc": ${count}, "lm": false}`; // spaced as Python does
  const json = new TextEncoder().encode(text);
  const sizes = coded.map(({ rows, scale }) => (scale === null ? 0 : 4) + Math.ceil((rows[0].length * count * bits) / 8));
  const bytes = new Uint8Array(9 + json.length + sizes.reduce((a, b) => a + b));
  const view = new DataView(bytes.buffer);
  bytes.set([69, 67, 68, 67]); // ECDC, then version 0
  view.setUint32(5, json.length);
  bytes.set(json, 9);
  let start = 9 + json.length;
  coded.forEach(({ rows, scale }, n) => {
    if (scale !== null) view.setFloat32(start, scale);
    let at = 8 * (start + (scale === null ? 0 : 4));
    for (let f = 0; f < rows[0].length; f++) {
      for (const row of rows) {
        for (let bit = 0; bit < bits; bit++, at++) bytes[at >> 3] |= ((row[f] >> bit) & 1) << (at & 7);
      }
    }
    start += sizes[n];
  });
  return bytes;
}

// {name, length, coded}. Throws an Error that says what is wrong with the file.
function readEcdc(bytes, config) {
  const { name, length, count, start } = readHeader(bytes);
  if (name !== config.name) throw new Error(`the file was made with model ${name}, not ${config.name}`);
  if (!Number.isInteger(length) || length < 1) throw new Error(`the file has ${length} samples; expected 1 or more`);
  if (!Number.isInteger(count) || count < 1 || count > config.codebooks) {
    throw new Error(`the file has ${count} codebooks; expected 1 to ${config.codebooks}`);
  }
  const scaleSize = config.normalize ? 4 : 0;
  // A length that no file of this size has is not worth a list of its segments.
  const most = Math.ceil((8 * bytes.length * config.hop) / (count * config.bits)) + config.hop;
  const spans = length > most ? [] : spansOf(length, config);
  const frames = spans.map(([from, to]) => Math.ceil((to - from) / config.hop));
  const sizes = frames.map((each) => scaleSize + Math.ceil((each * count * config.bits) / 8));
  const body = sizes.reduce((a, b) => a + b, 0);
  if (bytes.length !== start + body) {
    throw new Error(`the file has ${bytes.length - start} bytes of codes; expected ${body || "more"}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  let at = start;
  const coded = frames.map((each, n) => {
    const scale = scaleSize ? view.getFloat32(at) : null;
    if (scale !== null && !(scale > 0 && scale <= MAX_SCALE)) throw new Error(`the file has a scale of ${scale}; it is damaged`);
    const rows = unpacked(bytes, at + scaleSize, count, each, config.bits);
    at += sizes[n];
    return { rows, scale };
  });
  return { name, length, coded };
}

function readHeader(bytes) {
  const magic = String.fromCharCode(...bytes.slice(0, 4));
  if (bytes.length < 9 || magic !== "ECDC") throw new Error("not an .ecdc file");
  if (bytes[4] !== 0) throw new Error(`.ecdc version ${bytes[4]} needs a language model; expected version 0 without one`);
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(5);
  if (size > MAX_JSON || 9 + size > bytes.length) throw new Error("the header ends too early: the file is damaged");
  let header;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.slice(9, 9 + size)));
  } catch {
    throw new Error("the header is not JSON: the file is damaged");
  }
  const { m: name, al: length, nc: count, lm } = header ?? {};
  if (lm !== false) throw new Error("the file is coded with a language model; expected version 0 without one");
  return { name, length, count, start: 9 + size };
}

function unpacked(bytes, start, count, frames, bits) {
  const rows = Array.from({ length: count }, () => new Int32Array(frames));
  let at = 8 * start;
  for (let f = 0; f < frames; f++) {
    for (const row of rows) {
      for (let bit = 0; bit < bits; bit++, at++) row[f] |= ((bytes[at >> 3] >> (at & 7)) & 1) << bit;
    }
  }
  return rows;
}
