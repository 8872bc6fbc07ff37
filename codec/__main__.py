"""`ecdc` (also `python -m codec`): compress audio files to `.ecdc`, decompress them, and tell what they hold."""

import argparse
import contextlib
import hashlib
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from codec import audio, ecdc
from codec.ecdc import Segment, scale_bytes
from codec.errors import CodecError, EcdcError
from codec.lm.model import LanguageModel, language_model_for
from codec.model import EncodecModel, load_model

PIPE = "-"
LONG_S = 30.0


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 2 after a one-line error."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser, commands = _parsers()
    if arguments and arguments[0] in commands:
        # Intermixed: OUT may follow options.
        options = commands[arguments[0]].parse_intermixed_args(arguments[1:])
    else:
        options = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        options.run(options)
    except (CodecError, OSError) as error:
        print(f"ecdc: {error}", file=sys.stderr)
        return 2
    return 0


def _parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    parser = argparse.ArgumentParser(prog="ecdc", description=__doc__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    commands = {}

    def command(name: str, run: object, text: str, source: str) -> argparse.ArgumentParser:
        sub = commands[name] = subparsers.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        sub.add_argument("source", metavar="IN", help=f"{source}, or - for standard input")
        sub.add_argument("--model", help="codec: bundled name, folder, .th file or hub id")
        return sub

    compress = command("compress", _compress, "Compress audio to .ecdc.", "any audio file that libsndfile reads")
    compress.add_argument("target", metavar="OUT", nargs="?", help="default: IN with .ecdc; - for standard output")
    compress.add_argument("-b", "--bandwidth", type=float, default=6.0, help="kbps before entropy coding (default 6)")
    compress.add_argument("--lm", action="store_true", help="entropy-code with the codec's language model")
    compress.add_argument("--lm-weights", metavar="FILE", help="entropy-code with this language model")
    compress.add_argument(
        "--compat", action="store_true", help="with --lm: facebook's format, for this kind of machine only"
    )
    compress.add_argument("--rescale", action="store_true", help="lower the level if the peak is beyond full scale")
    compress.add_argument("--no-verify", action="store_true", help="do not read the file back after writing")
    decompress = command("decompress", _decompress, "Decompress .ecdc to audio.", "an .ecdc file")
    decompress.add_argument(
        "target", metavar="OUT", nargs="?", help="default: IN with .wav; - for WAV on standard output"
    )
    decompress.add_argument("--lm-weights", metavar="FILE", help="language model, if not the codec's own")
    decompress.add_argument("--rescale", action="store_true", help="lower the level instead of clipping peaks")
    decompress.add_argument("--skip-damaged", action="store_true", help="decode damaged segments as silence")
    transcode = command(
        "transcode", _transcode, "Make a lower rate of an .ecdc file, without decoding.", "an .ecdc file"
    )
    transcode.add_argument("target", metavar="OUT", help="the new file, or - for standard output")
    transcode.add_argument("-b", "--bandwidth", type=float, required=True, help="kbps before entropy coding")
    transcode.add_argument("--lm-weights", metavar="FILE", help="language model, if not the codec's own")
    for sub in (compress, decompress, transcode):
        sub.add_argument("-f", "--force", action="store_true", help="overwrite OUT")
    text = "Write a model as ONNX graphs."
    export = commands["export"] = subparsers.add_parser("export", help=text, description=text)
    export.set_defaults(run=_export)
    export.add_argument("model", metavar="MODEL", help="bundled name, folder, .th file or hub id")
    export.add_argument("target", metavar="OUT", help="a folder")
    export.add_argument("--opset", type=int, default=20, help="version of ONNX's operations (default 20)")
    export.add_argument("--stream", action="store_true", help="also graphs for streams, with a state in and out")
    export.add_argument("--int-codes", action="store_true", help="codes as int32 instead of int64")
    export.add_argument("--half", action="store_true", help="store weights as float16")
    command("info", _info, "Tell what an .ecdc file holds, and check its checksums.", "an .ecdc file")
    return parser, commands


def _compress(options: argparse.Namespace) -> None:
    target = _target(options, ".ecdc")
    model = load_model(options.model)
    lm = _language_model(options, model) if options.lm or options.lm_weights else None
    with _local_input(options.source) as source, _output(target) as written:
        info = audio.info(source)
        gain = _gain(audio.stream(source)) if options.rescale else 1.0
        blocks = (gain * audio.to_channels(block, model.config.audio_channels) for block in audio.stream(source))
        resampled = audio.resample_blocks(blocks, info.sample_rate, model.config.sampling_rate)
        digest = _Digest()
        with _bar(info.duration_s, "compress") as bar, written.open("wb") as file:
            counted = _counted(resampled, model.config.sampling_rate, bar)
            ecdc.compress_blocks(model, counted, file, options.bandwidth, lm, options.compat, digest.update)
        if not options.no_verify:
            _verify(written, model, lm, digest)


def _verify(path: Path, model: EncodecModel, lm: LanguageModel | None, expected: "_Digest") -> None:
    found = _Digest()
    with path.open("rb") as file:
        for segment in ecdc.read_codes(file, model, lm):
            found.update(segment)
    if found.value() != expected.value():
        raise EcdcError("the file written does not decode to the codes it was made from")


def _decompress(options: argparse.Namespace) -> None:
    target = _target(options, ".wav")
    model = None if options.model is None else load_model(options.model)
    lm = LanguageModel.load(options.lm_weights) if options.lm_weights else None
    with _local_input(options.source) as source, _output(target) as written, source.open("rb") as file:
        header, model, blocks = ecdc.open_file(file, model, lm, options.skip_damaged)
        rate = model.config.sampling_rate
        with _bar(header.audio_length / rate, "decompress") as bar:
            counted = _counted(blocks, rate, bar)
            if options.rescale:
                _save_rescaled(written, counted, rate, target)
            else:
                audio.save_blocks(written, counted, rate, name=target)


def _save_rescaled(path: Path, blocks: Iterable[Tensor], rate: int, name: str) -> None:
    """Two passes: the peak is known only at the end."""
    with tempfile.TemporaryDirectory() as folder:
        unscaled = Path(folder) / "unscaled.wav"
        audio.save_blocks(unscaled, blocks, rate, subtype="FLOAT")
        gain = _gain(audio.stream(unscaled))
        audio.save_blocks(path, (gain * block for block in audio.stream(unscaled)), rate, name=name)


def _transcode(options: argparse.Namespace) -> None:
    target = _target(options, ".ecdc")
    model = None if options.model is None else load_model(options.model)
    lm = LanguageModel.load(options.lm_weights) if options.lm_weights else None
    with (
        _local_input(options.source) as source,
        _output(target) as new,
        source.open("rb") as file,
        new.open("wb") as out,
    ):
        ecdc.transcode_file(file, out, options.bandwidth, model, lm)


def _info(options: argparse.Namespace) -> None:
    with _local_input(options.source) as source, source.open("rb") as file:
        model = None if options.model is None else load_model(options.model)
        for name, value in ecdc.describe(file, model).items():
            print(f"{name:>16}  {value}")


def _export(options: argparse.Namespace) -> None:
    from codec.onnx.export import export

    model = load_model(options.model)
    choices = {"stream": options.stream, "int_codes": options.int_codes, "half": options.half}
    export(model, options.target, opset=options.opset, **choices)


def _language_model(options: argparse.Namespace, model: EncodecModel) -> LanguageModel:
    return LanguageModel.load(options.lm_weights) if options.lm_weights else language_model_for(model.name)


def _target(options: argparse.Namespace, suffix: str) -> str:
    target: str = options.target or (PIPE if options.source == PIPE else str(Path(options.source).with_suffix(suffix)))
    if target != PIPE and Path(target).exists() and not options.force:
        raise EcdcError(f"{target} exists; --force overwrites it")
    return target


@contextlib.contextmanager
def _local_input(source: str) -> Iterator[Path]:
    """A path to read: audio readers need to seek, so a pipe is copied to a temporary file."""
    if source != PIPE:
        if not Path(source).is_file():
            raise EcdcError(f"{source} is not a file")
        yield Path(source)
        return
    with tempfile.NamedTemporaryFile() as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield Path(copy.name)


@contextlib.contextmanager
def _output(target: str) -> Iterator[Path]:
    """A path to write that becomes `target` only when all went well."""
    with contextlib.ExitStack() as stack:
        if target == PIPE:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "out.wav"
        else:
            path = Path(target).with_name(f".{os.getpid()}-{Path(target).name}")
            stack.callback(path.unlink, missing_ok=True)
        try:
            yield path
        except CodecError as error:
            raise type(error)(str(error).replace(str(path), target)) from error
        if target == PIPE:
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
        else:
            path.replace(target)


def _gain(blocks: Iterable[Tensor]) -> float:
    """The factor that brings a peak beyond full scale to it."""
    peak = max((float(block.abs().max()) for block in blocks), default=0.0)
    if peak <= 1:
        return 1.0
    logging.warning("peak %.3f is beyond full scale: level lowered by that factor", peak)
    return 1 / peak


class _Digest:
    """Fingerprint of all codes and scales, whatever segments they come in."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, segment: Segment) -> None:
        assert segment.codes is not None
        self._hash.update(segment.codes.t().contiguous().numpy().tobytes() + scale_bytes(segment.scale))

    def value(self) -> bytes:
        return self._hash.digest()


def _bar(total_s: float, what: str) -> "tqdm[None]":
    """A progress bar in seconds of audio, for long audio on a terminal only."""
    return tqdm(total=round(total_s, 1), unit="s", desc=what, disable=None if total_s > LONG_S else True)


def _counted(blocks: Iterable[Tensor], rate: int, bar: "tqdm[None]") -> Iterator[Tensor]:
    for block in blocks:
        yield block
        bar.update(block.shape[-1] / rate)


if __name__ == "__main__":
    sys.exit(main())
