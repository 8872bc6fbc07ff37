"""Named sets, folders and CSV manifests -> clips. Nothing is decoded here: only the headers of files are read."""

import csv
import hashlib
import logging
import math
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import codec.audio
from codec import AudioError
from encodec_eval import streams
from encodec_eval.corpora import CORPORA, Corpus
from encodec_eval.files import safe_name
from encodec_eval.types import CLEAN_SPEECH, DOMAINS, MUSIC, Clip, EvalError, Skipped

logger = logging.getLogger(__name__)

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif")
BUNDLED = Path(__file__).parent / "data"
SpeakerOf = Callable[[Path], str | None]


@dataclass(frozen=True)
class ClipSet:
    """The clips of a run, in a fixed order, under the name that every output carries."""

    name: str
    clips: Sequence[Clip]
    licence: str = ""
    note: str = ""
    skipped: Sequence[Skipped] = ()

    @property
    def file_list_sha256(self) -> str:
        """Of the clips' ids, spans, rates and file sizes: two runs with the same hash measured the same list."""
        lines = (f"{c.id}\t{c.start}\t{c.frames}\t{c.sample_rate}\t{os.path.getsize(c.path)}\n" for c in self.clips)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def default_data_root() -> Path:
    """`$ENCODEC_EVAL_DATA`, or `encodec_eval` in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ENCODEC_EVAL_DATA") or Path(cache) / "encodec_eval")


def load_set(
    spec: str, data_root: Path | None = None, download: bool = True, strict: bool = False, rows: int | None = None
) -> ClipSet:
    """The clips of `NAME[:SUBSET]`, of a folder of audio files, of one audio file, of a `.csv` manifest, of WebDataset
    `.tar` files, or of a dataset `hf:NAME:SPLIT` of the hub, of which no more than the first `rows` are fetched.

    A corpus that is not under `data_root` is downloaded if that is possible. For `librispeech` alone the bundled
    subset stands in where it is not, under its own name and with a warning. A file whose header says that it is not
    usable audio is skipped with a warning and listed in `skipped`; if `strict`, every file is decoded, and one that
    cannot be is refused.
    Raises `EvalError` for an unknown name, a set that is not available, a refused file, or a set without a usable one.
    """
    found = _find_set(spec, data_root or default_data_root(), download, rows)
    for each in found.skipped:
        if strict:
            raise EvalError(f"{each.file} of {found.name}: {each.reason}")
        logger.warning("skipped %s: %s", each.file, each.reason)
    if not found.clips:
        raise EvalError(f"no file of {found.name} can be used; the first: {found.skipped[0].reason}")
    if strict:
        for clip in found.clips:
            codec.audio.load(clip.path, clip.start, clip.frames)
    return found


def _find_set(spec: str, root: Path, download: bool, rows: int | None) -> ClipSet:
    name, _, subset = spec.partition(":")
    if name == "hf":
        return _streamed(safe_name(spec.replace(":", "-")), streams.hub_rows(subset, root, download, rows))
    if streams.is_tar(spec):
        return _streamed(safe_name(Path(spec).stem), streams.tar_rows(spec, root))
    if name in BUNDLED_SETS and not subset:
        return bundled_set(name)
    if name in CORPORA:
        return _corpus_set(CORPORA[name], subset, root, download)
    path = Path(spec)
    if path.suffix.lower() == ".csv" and path.is_file():
        return _usable(ClipSet(path.stem, ()), manifest_clips(path))
    if path.is_file():
        return _usable(ClipSet(path.stem, ()), [_try_clip(path, path.parent)])
    if path.is_dir():
        return _usable(ClipSet(path.resolve().name, ()), folder_clips(path))
    known = ", ".join([*CORPORA, *BUNDLED_SETS])
    raise EvalError(f"no set or path {spec!r}; expected {known}, a folder, an audio file, .csv or .tar, or hf:")


def _usable(empty: ClipSet, found: Iterable[Clip | Skipped]) -> ClipSet:
    """The set with the clips among what was found, and what is skipped."""
    each = list(found)
    clips = [one for one in each if isinstance(one, Clip)]
    return replace(empty, clips=clips, skipped=[one for one in each if isinstance(one, Skipped)])


def _streamed(name: str, found: tuple[Path, list[streams.Row]]) -> ClipSet:
    """The set of what a stream's cache holds."""
    folder, rows = found
    clips = [_try_clip(folder / row.file, folder, row.speaker) for row in rows]
    named = (replace(c, id=row.id) if isinstance(c, Clip) else c for c, row in zip(clips, rows, strict=True))
    return _usable(ClipSet(name, ()), named)


def bundled_set(name: str) -> ClipSet:
    """One of the sets that come with this package."""
    licence, speaker_of = BUNDLED_SETS[name]
    found = folder_clips(BUNDLED / name, speaker_of)
    labelled = [replace(one, domain=_bundled_domain(one)) if isinstance(one, Clip) else one for one in found]
    return _usable(ClipSet(name, (), licence), with_transcripts(labelled))


def _bundled_domain(clip: Clip) -> str:
    return CLEAN_SPEECH if clip.speaker else MUSIC


def _librispeech_speaker(path: Path) -> str | None:
    return path.name.split("-")[0]


def _vctk_speaker(path: Path) -> str | None:
    match = re.match(r"p\d+(?=_)", path.name)
    return match[0] if match else None


BUNDLED_SETS: dict[str, tuple[str, SpeakerOf]] = {
    "librispeech-mini": ("CC BY 4.0", _librispeech_speaker),
    "clips-48k": ("CC0, public domain, CC BY 3.0, CC BY 4.0 (by file)", _vctk_speaker),
}


def _corpus_set(corpus: Corpus, subset: str, root: Path, download: bool) -> ClipSet:
    subset = subset or corpus.subsets[0]
    if subset not in corpus.subsets:
        raise EvalError(f"{corpus.name} has no subset {subset!r}; expected {', '.join(corpus.subsets)}")
    problem = None if corpus.present(root, subset) else "it is not there and downloads are off"
    if problem and download:
        problem = corpus.fetch(root, subset)
    if problem is None:
        found = [_try_clip(path, corpus.folder(root, subset), who) for path, who in corpus.files(root, subset)]
        found = with_transcripts(found) if corpus.name == "librispeech" else found
        domain = corpus.domain_of(subset)
        found = [replace(one, domain=domain) if isinstance(one, Clip) else one for one in found]
        clip_set = _usable(ClipSet(f"{corpus.name}-{subset}" if subset else corpus.name, (), corpus.licence), found)
        if corpus.excerpt_s:
            clip_set = replace(clip_set, clips=[middle(clip, corpus.excerpt_s) for clip in clip_set.clips])
        return clip_set
    wanted = f"{corpus.name}:{subset}" if subset else corpus.name
    if corpus.name != "librispeech":
        raise EvalError(f"{wanted} is not under {root}: {problem}. {corpus.how}")
    shown = str(root).replace(str(Path.home()), "~", 1)
    note = f"{wanted} is not under {shown} ({problem}); this is the bundled 30-utterance subset of test-other instead"
    logger.warning("%s", note)
    return replace(bundled_set("librispeech-mini"), note=note)


def file_clip(path: Path, root: Path, speaker: str | None = None) -> Clip:
    """The whole of an audio file as a clip, named by its path under `root` without ending.

    Raises `EvalError` or `AudioError` for one that cannot be used.
    """
    header = codec.audio.info(path)
    if header.channels not in (1, 2):
        raise EvalError(f"{path} has {header.channels} channels; expected 1 or 2")
    if not header.frames:
        raise EvalError(f"{path} has no samples")
    clip_id = path.relative_to(root).with_suffix("").as_posix()
    return Clip(clip_id, str(path), header.sample_rate, header.channels, header.frames, speaker=speaker)


def _try_clip(path: Path, root: Path, speaker: str | None = None) -> Clip | Skipped:
    try:
        return file_clip(path, root, speaker)
    except (EvalError, AudioError) as error:
        return Skipped(path.relative_to(root).as_posix(), str(error))


def folder_clips(folder: Path, speaker_of: SpeakerOf = lambda path: None) -> list[Clip | Skipped]:
    """Every audio file under a folder, by path. Files that differ in their ending only keep it in their id."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())
    if not paths:
        raise EvalError(f"{folder} holds no audio; expected {', '.join(AUDIO_SUFFIXES)} files")
    stems = Counter(path.with_suffix("") for path in paths)
    found = [_try_clip(path, folder, speaker_of(path)) for path in paths]
    return [
        replace(one, id=one.id + path.suffix) if isinstance(one, Clip) and stems[path.with_suffix("")] > 1 else one
        for path, one in zip(paths, found, strict=True)
    ]


def manifest_clips(path: Path) -> list[Clip | Skipped]:
    """The clips of a CSV file with a column `path` (absolute, or relative to the CSV) and, each optional, `start` and
    `duration` in seconds, `speaker` and `domain`."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if "path" not in (reader.fieldnames or ()):
            raise EvalError(
                f"{path} has columns {reader.fieldnames}; it needs path, and may have start, duration, speaker, domain"
            )
        found = [_manifest_clip(row, path, line) for line, row in enumerate(reader, start=2)]
    if not found:
        raise EvalError(f"{path} lists no clips")
    ids = [one.id for one in found if isinstance(one, Clip)]
    if len(set(ids)) < len(ids):
        raise EvalError(f"{path} lists a clip twice")
    return found


def _manifest_clip(row: dict[str, str], manifest: Path, line: int) -> Clip | Skipped:
    path = manifest.parent / row["path"]
    clip = _try_clip(path, path.parent, row.get("speaker") or None)
    if isinstance(clip, Skipped):
        return replace(clip, file=row["path"])
    try:
        start = round(float(row.get("start") or 0) * clip.sample_rate)
        frames = round(float(row["duration"]) * clip.sample_rate) if row.get("duration") else clip.frames - start
    except ValueError as error:
        raise EvalError(f"{manifest} line {line}: start and duration must be seconds: {error}") from error
    domain = row.get("domain") or ""
    if domain and domain not in DOMAINS:
        raise EvalError(f"{manifest} line {line}: domain {domain!r}; expected {', '.join(DOMAINS)}")
    if start < 0 or frames < 1 or start + frames > clip.frames:
        raise EvalError(f"{manifest} line {line}: {row['path']} has {clip.duration_s:g} s, which do not hold this span")
    span = "" if frames == clip.frames else f"#{start}+{frames}"
    clip_id = Path(row["path"]).with_suffix("").as_posix().lstrip("/") + span
    return replace(clip, id=clip_id, start=start, frames=frames, domain=domain)


def with_transcripts(found: Iterable[Clip | Skipped]) -> list[Clip | Skipped]:
    """Clips with what is said in them, where the `*.trans.txt` of LibriSpeech lies beside the file. Spans of a file
    have none."""
    known: dict[Path, dict[str, str]] = {}

    def text(clip: Clip) -> str | None:
        folder = Path(clip.path).parent
        if folder not in known:
            lines = [line for path in folder.glob("*.trans.txt") for line in path.read_text("utf-8").splitlines()]
            known[folder] = {key: words for key, _, words in (line.partition(" ") for line in lines)}
        return known[folder].get(Path(clip.path).stem)

    return [replace(each, transcript=text(each)) if isinstance(each, Clip) else each for each in found]


def middle(clip: Clip, seconds: float) -> Clip:
    """The middle `seconds` of a clip, or all of it if it is not longer."""
    frames = min(clip.frames, round(seconds * clip.sample_rate))
    return replace(clip, start=clip.start + (clip.frames - frames) // 2, frames=frames)


def draw(clips: Sequence[Clip], limit: int | None, seed: int, max_seconds: float | None = None) -> list[Clip]:
    """At most `limit` clips of at most `max_seconds` in all, the same for the same seed, in the set's order, as evenly
    over speakers as they allow.

    Speakers are shuffled, the clips of each are shuffled, and one clip of each speaker is taken in turn; one that would
    exceed `max_seconds` is passed over. A clip without a speaker counts as a speaker of its own.
    Raises `EvalError` for a limit below 1, or where no clip is short enough.
    """
    if limit is not None and limit < 1:
        raise EvalError(f"the limit must be at least 1, not {limit}")
    generator = random.Random(seed)
    groups = list(speaker_groups(clips).values())
    generator.shuffle(groups)
    for group in groups:
        generator.shuffle(group)
    rounds = ((group[i] for group in groups if i < len(group)) for i in range(max(map(len, groups))))
    chosen: set[str] = set()
    left_s = math.inf if max_seconds is None else max_seconds
    for clip in (clip for each in rounds for clip in each):
        if len(chosen) == limit:
            break
        if clip.duration_s <= left_s:
            chosen.add(clip.id)
            left_s -= clip.duration_s
    if not chosen:
        raise EvalError(
            f"no clip is as short as {max_seconds:g} s; the shortest has {min(c.duration_s for c in clips):g}"
        )
    return [clip for clip in clips if clip.id in chosen]


def speaker_groups(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    """Clips by speaker; a clip without one is a group of its own."""
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        groups.setdefault(clip.speaker if clip.speaker is not None else f"clip {clip.id}", []).append(clip)
    return groups
