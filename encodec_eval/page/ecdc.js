// `.ecdc` files of version 0 without a language model: the header, then the codes frame after frame, low bits first.

const MAX_JSON = 1 << 12;

function ecdcBytes(name, length, codes, bits) {
  const text = `{"m": ${JSON.stringify(name)}, "al": ${length}, "nc": ${codes.length}, "lm": false}`; // spaced as Python does
  const json = new TextEncoder().encode(text);
  const frames = codes[0].length;
  const bytes = new Uint8Array(9 + json.length + Math.ceil((frames * codes.length * bits) / 8));
  const view = new DataView(bytes.buffer);
  bytes.set([69, 67, 68, 67]); // ECDC, then version 0
  view.setUint32(5, json.length);
  bytes.set(json, 9);
  let at = 8 * (9 + json.length);
  for (let f = 0; f < frames; f++) {
    for (const row of codes) {
      for (let bit = 0; bit < bits; bit++, at++) bytes[at >> 3] |= ((row[f] >> bit) & 1) << (at & 7);
    }
  }
  return bytes;
}

// {name, length, codes}: K rows of F codes. Throws an Error that says what is wrong with the file.
function readEcdc(bytes, config) {
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
  if (name !== config.name) throw new Error(`the file was made with model ${name}, not ${config.name}`);
  if (!Number.isInteger(length) || length < 1) throw new Error(`the file has ${length} samples; expected 1 or more`);
  if (!Number.isInteger(count) || count < 1 || count > config.codebooks) {
    throw new Error(`the file has ${count} codebooks; expected 1 to ${config.codebooks}`);
  }
  const frames = Math.ceil(length / config.hop);
  const body = Math.ceil((frames * count * config.bits) / 8);
  if (bytes.length !== 9 + size + body) {
    throw new Error(`the file has ${bytes.length - 9 - size} bytes of codes; expected ${body}`);
  }
  const codes = Array.from({ length: count }, () => new Int32Array(frames));
  let at = 8 * (9 + size);
  for (let f = 0; f < frames; f++) {
    for (const row of codes) {
      for (let bit = 0; bit < config.bits; bit++, at++) row[f] |= ((bytes[at >> 3] >> (at & 7)) & 1) << bit;
    }
  }
  return { name, length, codes };
}
