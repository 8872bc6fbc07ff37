// The codec over onnxruntime-web: audio to codes and back. No DOM.
//
// Audio is a Float32Array for each channel. Coded is a list of segments {rows, scale}, one where a clip is coded whole:
// K rows of F codes, and the loudness scale of a model with `normalize`, else null.

const LOG_ERRORS = 3; // not that shapes are computed on the processor
const PIECE_FRAMES = 75; // coded at once where a clip is a stream: what the graphs need in between is small

class PageCodec {
  // `files` gives the bytes of config.json and of the graphs by name: those of streams where the export has them, which
  // code whole clips too, piece by piece. `provider` is "wasm" or "webgpu".
  static async open(files, provider = "wasm") {
    const values = JSON.parse(new TextDecoder().decode(await files("config.json")));
    if (!values.onnx) throw new Error("config.json is of no export; expected what `python -m codec export` writes");
    const suffix = values.onnx.state_size?.encoder ? "_stream" : "";
    const encoder = await sessionOf(await files(`encoder${suffix}.onnx`), provider);
    const decoder = await sessionOf(await files(`decoder${suffix}.onnx`), provider);
    return new PageCodec(values, encoder, decoder);
  }

  constructor(values, encoder, decoder) {
    const hop = values.upsampling_ratios.reduce((a, b) => a * b);
    const rate = values.sampling_rate;
    const bits = Math.ceil(Math.log2(values.codebook_size));
    const perCodebook = bits * Math.ceil(rate / hop);
    const most = Math.floor((1000 * values.target_bandwidths.at(-1)) / perCodebook);
    const count = (bandwidth) => Math.min(Math.max(1, Math.floor((1000 * bandwidth) / perCodebook)), most);
    const bandwidths = values.target_bandwidths.map((bandwidth) => ({ bandwidth, codebooks: count(bandwidth) }));
    const { model: name, codes, state_size, warmup_frames } = values.onnx;
    const stream = state_size?.encoder ? { state_size, warmup_frames } : null;
    const { audio_channels: channels, normalize } = values;
    const segment = values.chunk_length_s === null ? null : Math.trunc(values.chunk_length_s * rate);
    const stride = segment && (values.overlap === null ? segment : Math.max(1, Math.trunc((1 - values.overlap) * segment)));
    this.config = { name, codes, hop, rate, bits, codebooks: most, bandwidths, stream, channels, normalize, segment, stride };
    this.encoder = encoder;
    this.decoder = decoder;
  }

  async release() {
    await this.encoder.release();
    await this.decoder.release();
  }

  // All codebooks' rows: the first k are the code of k codebooks.
  async encode(audio) {
    const { codebooks, hop, stream } = this.config;
    const coded = [];
    let state = stream && this.newState("encoder");
    for (const [start, end] of stream ? piecesOf(audio[0].length, hop * this.pieceFrames) : spansOf(audio[0].length, this.config)) {
      const samples = audio.map((channel) => channel.subarray(start, end));
      const outputs = await this.runEncoder(samples, codebooks, state);
      state = outputs.next_state;
      coded.push({ rows: rowsOf(outputs.codes), scale: outputs.scale?.data[0] ?? null });
    }
    if (!stream) return coded;
    return [{ rows: coded[0].rows.map((_, k) => joined(...coded.map(({ rows }) => rows[k]))), scale: null }];
  }

  // `length` samples, the segments faded into each other where they overlap.
  async decode(coded, length) {
    const { channels, stride, stream } = this.config;
    if (stream) return this.decodeStream(coded[0].rows, length);
    const pieces = [];
    for (const { rows, scale } of coded) pieces.push(channelsOfTensor((await this.runDecoder(rows, scale)).audio));
    if (pieces.length === 1) return pieces[0].map((channel) => channel.slice(0, length));
    return Array.from({ length: channels }, (_, c) => overlapAdd(pieces.map((piece) => piece[c]), stride, length));
  }

  async decodeStream(rows, length) {
    const { channels, hop } = this.config;
    const audio = Array.from({ length: channels }, () => new Float32Array(length));
    let state = this.newState("decoder");
    for (const [start, end] of piecesOf(rows[0].length, this.pieceFrames)) {
      const outputs = await this.runDecoder(rows.map((row) => row.subarray(start, end)), null, state);
      state = outputs.next_state;
      const pieces = channelsOfTensor(outputs.audio);
      pieces.forEach((piece, c) => audio[c].set(piece.subarray(0, length - start * hop), start * hop));
    }
    return audio;
  }

  get pieceFrames() {
    const { encoder, decoder } = this.config.stream.warmup_frames;
    return Math.max(PIECE_FRAMES, encoder, decoder);
  }

  newState(part) {
    const size = this.config.stream.state_size[part];
    return new ort.Tensor("float32", new Float32Array(size), [1, size]);
  }

  // The graph's outputs for samples of each channel, with the state of a stream.
  runEncoder(samples, codebooks, state) {
    const audio = new ort.Tensor("float32", joined(...samples), [1, samples.length, samples[0].length]);
    const count = new ort.Tensor("int64", BigInt64Array.of(BigInt(codebooks)), [1]);
    return this.encoder.run({ audio, codebooks: count, ...(state && { state }) });
  }

  runDecoder(rows, scale, state) {
    const inputs = { codes: tensorOf(rows, this.config.codes), ...(state && { state }) };
    if (scale !== null) inputs.scale = new ort.Tensor("float32", Float32Array.of(scale), [1, 1]);
    return this.decoder.run(inputs);
  }
}

function piecesOf(length, size) {
  return Array.from({ length: Math.ceil(length / size) }, (_, n) => [n * size, Math.min((n + 1) * size, length)]);
}

function channelsOfTensor({ data, dims: [, channels, size] }) {
  return Array.from({ length: channels }, (_, c) => data.subarray(c * size, (c + 1) * size));
}

async function sessionOf(bytes, provider) {
  const options = {
    executionProviders: provider === "wasm" ? ["wasm"] : [provider, "wasm"],
    logSeverityLevel: LOG_ERRORS,
  };
  const session = await ort.InferenceSession.create(bytes, options);
  bytes.buffer.transfer?.(0); // given back now: the collector of garbage would keep it until later
  return session;
}

// Start and end of each segment of a clip.
function spansOf(length, { segment, stride }) {
  if (segment === null) return [[0, length]];
  return Array.from({ length: Math.ceil(length / stride) }, (_, n) => [n * stride, Math.min(n * stride + segment, length)]);
}

// Weighted by a triangle as long as the first piece, as in Python.
function overlapAdd(pieces, stride, length) {
  const audio = new Float32Array(length);
  const weights = new Float32Array(length);
  const full = pieces[0].length;
  pieces.forEach((piece, n) => {
    for (let i = 0, at = n * stride; i < piece.length && at < length; i++, at++) {
      const weight = 0.5 - Math.abs((i + 1) / (full + 1) - 0.5);
      audio[at] += weight * piece[i];
      weights[at] += weight;
    }
  });
  return audio.map((x, at) => x / weights[at]);
}

function rowsOf(codes) {
  const [, count, frames] = codes.dims;
  const flat = Int32Array.from(codes.data, Number);
  return Array.from({ length: count }, (_, k) => flat.slice(k * frames, (k + 1) * frames));
}

// `type` is int32 or int64, as the export has it.
function tensorOf(rows, type) {
  const frames = rows[0].length;
  const wide = type === "int64";
  const flat = wide ? new BigInt64Array(rows.length * frames) : new Int32Array(rows.length * frames);
  rows.forEach((row, k) => flat.set(wide ? BigInt64Array.from(row, BigInt) : row, k * frames));
  return new ort.Tensor(type, flat, [1, rows.length, frames]);
}
