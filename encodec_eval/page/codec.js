// The codec over onnxruntime-web: audio to codes and back. No DOM.

class PageCodec {
  // `files` gives the bytes of config.json, encoder.onnx and decoder.onnx by name.
  static async open(files) {
    const values = JSON.parse(new TextDecoder().decode(await files("config.json")));
    if (!values.onnx) throw new Error("config.json is of no export; expected what `python -m codec export` writes");
    if (values.chunk_length_s !== null || values.audio_channels !== 1) {
      throw new Error("this model codes segments or several channels; expected a mono model that codes a clip whole");
    }
    const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all" };
    const encoder = await ort.InferenceSession.create(await files("encoder.onnx"), options);
    const decoder = await ort.InferenceSession.create(await files("decoder.onnx"), options);
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
    this.config = { name, codes, hop, rate, bits, codebooks: most, bandwidths, stream };
    this.encoder = encoder;
    this.decoder = decoder;
  }

  // Mono samples -> all codebooks' rows of codes. The first k rows are the code of k codebooks.
  async encode(samples) {
    const audio = new ort.Tensor("float32", samples, [1, 1, samples.length]);
    const codebooks = new ort.Tensor("int64", BigInt64Array.of(BigInt(this.config.codebooks)), [1]);
    const { codes } = await this.encoder.run({ audio, codebooks });
    return rowsOf(codes);
  }

  // Rows of codes -> `length` samples.
  async decode(rows, length) {
    const { audio } = await this.decoder.run({ codes: tensorOf(rows, this.config.codes) });
    return audio.data.slice(0, length);
  }
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
