"""Public corpora: where their files lie under a data folder, who speaks, and how torchaudio downloads them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlparse

import pandas as pd

from codec.hub import reachable
from encodec_eval.types import CLEAN_SPEECH, GENERAL, MUSIC, NOISY_SPEECH

TORCHAUDIO_HINT = "torchaudio cannot be loaded beside this torch: pip install --force-reinstall 'torch<2.15' torchaudio"


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A corpus. `subsets[0]` is the default, `layout` is the folder of a subset and `pattern` its files in there.

    `pattern` may be several, with `|` between them, and `patterns` those of subsets that have their own.
    `speaker_level` is the part of a file's path under that folder that names the speaker, or begins with it, up to a
    `_`; None if nothing does.
    `domain` is what is heard, in a subset named in `domains` what that says.
    Only the middle `excerpt_s` seconds of a file are used. `download(root, subset)` fetches and unpacks it.
    """

    name: str
    title: str
    licence: str
    hours: str
    rate: str
    subsets: tuple[str, ...]
    layout: str
    pattern: str
    url: str = ""
    patterns: Mapping[str, str] = field(default_factory=dict)
    domain: str = CLEAN_SPEECH
    domains: Mapping[str, str] = field(default_factory=dict)
    speaker_level: int | None = None
    excerpt_s: float | None = None
    download: Callable[[Path, str], object] | None = None

    def domain_of(self, subset: str) -> str:
        return self.domains.get(subset, self.domain)

    @property
    def how(self) -> str:
        """Where a user gets it by hand."""
        return f"Get it from {self.url} and name its folder with --data-root"

    def folder(self, root: Path, subset: str) -> Path:
        return root / self.layout.format(subset=subset)

    def present(self, root: Path, subset: str) -> bool:
        return next(self.files(root, subset), None) is not None

    def files(self, root: Path, subset: str) -> Iterator[tuple[Path, str | None]]:
        """Audio files and their speakers, by path."""
        folder = self.folder(root, subset)
        patterns = self.patterns.get(subset, self.pattern).format(subset=subset).split("|")
        for path in sorted(path for pattern in patterns for path in folder.glob(pattern)):
            parts = path.relative_to(folder).parts
            yield path, None if self.speaker_level is None else parts[self.speaker_level].split("_")[0]

    def fetch(self, root: Path, subset: str) -> str | None:
        """Download a subset. Returns None, or why that cannot be done."""
        if self.download is None:
            return "it has to be downloaded by hand"
        if not reachable(self.url):
            return f"{urlparse(self.url).hostname} cannot be reached"
        root.mkdir(parents=True, exist_ok=True)
        try:
            self.download(root, subset)
        except ImportError as error:
            raise OSError(f"{TORCHAUDIO_HINT} ({error})") from error
        return None if self.present(root, subset) else "the download holds no audio"


@dataclass(frozen=True, kw_only=True)
class CommonVoice(Corpus):
    """Common Voice: a table of clips by split, with the speaker in its `client_id`."""

    def files(self, root: Path, subset: str) -> Iterator[tuple[Path, str | None]]:
        folder = self.folder(root, subset)
        if (folder / f"{subset}.tsv").is_file():
            table = pd.read_csv(folder / f"{subset}.tsv", sep="\t", quoting=3, usecols=["client_id", "path"])
            for row in table.sort_values("path").itertuples():
                yield folder / "clips" / str(row.path), str(row.client_id)


@dataclass(frozen=True, kw_only=True)
class VoiceBank(Corpus):
    """VoiceBank-DEMAND: the speaker is the first part of a file's name."""

    def files(self, root: Path, subset: str) -> Iterator[tuple[Path, str | None]]:
        for path, _ in super().files(root, subset):
            yield path, path.name.split("_")[0]


def _librispeech(root: Path, subset: str) -> object:
    from torchaudio.datasets import LIBRISPEECH

    return LIBRISPEECH(root, url=subset, download=True)


def _libritts(root: Path, subset: str) -> object:
    from torchaudio.datasets import LIBRITTS

    return LIBRITTS(root, url=subset, download=True)


def _vctk(root: Path, subset: str) -> object:
    from torchaudio.datasets import VCTK_092

    return VCTK_092(str(root), mic_id=subset, download=True)


def _ljspeech(root: Path, subset: str) -> object:
    from torchaudio.datasets import LJSPEECH

    return LJSPEECH(root, download=True)


def _musdb(root: Path, subset: str) -> object:
    from torchaudio.datasets import MUSDB_HQ

    return MUSDB_HQ(root, subset=subset, download=True)


_TRAIN_SUBSETS = ("train-clean-100", "train-clean-360", "train-other-500")
LIBRI_SUBSETS = ("test-clean", "test-other", "dev-clean", "dev-other", *_TRAIN_SUBSETS)

_ALL = [
    Corpus(
        name="librispeech",
        title="LibriSpeech, read English",
        licence="CC BY 4.0",
        hours="5.4 (test-clean)",
        rate="16 kHz mono",
        subsets=LIBRI_SUBSETS,
        layout="LibriSpeech/{subset}",
        pattern="*/*/*.flac",
        url="https://www.openslr.org/12",
        speaker_level=0,
        download=_librispeech,
    ),
    Corpus(
        name="libritts",
        title="LibriTTS, read English",
        licence="CC BY 4.0",
        hours="8.6 (test-clean)",
        rate="24 kHz mono",
        subsets=LIBRI_SUBSETS,
        layout="LibriTTS/{subset}",
        pattern="*/*/*.wav",
        url="https://www.openslr.org/60",
        speaker_level=0,
        download=_libritts,
    ),
    Corpus(
        name="vctk",
        title="VCTK 0.92, 110 English speakers",
        licence="CC BY 4.0",
        hours="41",
        rate="48 kHz mono",
        subsets=("mic2", "mic1"),
        layout="VCTK-Corpus-0.92/wav48_silence_trimmed",
        pattern="*/*_{subset}.flac",
        url="https://datashare.ed.ac.uk/handle/10283/3443",
        speaker_level=0,
        download=_vctk,
    ),
    Corpus(
        name="ljspeech",
        title="LJ Speech 1.1, one English speaker",
        licence="public domain",
        hours="24",
        rate="22.05 kHz mono",
        subsets=("",),
        layout="LJSpeech-1.1/wavs",
        pattern="*.wav",
        url="https://data.keithito.com",
        download=_ljspeech,
    ),
    CommonVoice(
        name="commonvoice",
        title="Common Voice, one language's folder",
        licence="CC0 1.0",
        hours="by language",
        rate="32 or 48 kHz mono",
        subsets=("test", "dev", "train", "validated"),
        layout="",
        pattern="clips/*.mp3",
        url="https://commonvoice.mozilla.org",
    ),
    Corpus(
        name="musdb",
        title="MUSDB18-HQ mixtures, middle 30 s of each",
        licence="research only, by track",
        hours="0.4 (test)",
        rate="44.1 kHz stereo",
        subsets=("test", "train"),
        layout="musdb18hq/{subset}",
        pattern="*/mixture.wav",
        url="https://zenodo.org/records/3338373",
        domain=MUSIC,
        excerpt_s=30.0,
        download=_musdb,
    ),
    Corpus(
        name="gtzan",
        title="GTZAN genres, 1000 pieces of 30 s",
        licence="research only",
        hours="8.3",
        rate="22.05 kHz mono",
        subsets=("",),
        layout="genres",
        pattern="*/*.wav",
        url="http://marsyas.info/downloads/datasets.html",
        domain=MUSIC,
    ),
    VoiceBank(
        name="voicebank-demand",
        title="VoiceBank-DEMAND test, 824 sentences of 2 speakers",
        licence="CC BY 4.0",
        hours="0.6",
        rate="48 kHz mono",
        subsets=("noisy", "clean"),
        layout="{subset}_testset_wav",
        pattern="*.wav",
        url="https://datashare.ed.ac.uk/handle/10283/2791",
        domain=NOISY_SPEECH,
        domains={"clean": CLEAN_SPEECH},
    ),
    Corpus(
        name="dns-blind",
        title="DNS Challenge, a blind test set in the folder dns_blind_test",
        licence="by source, see the challenge's repository",
        hours="by edition",
        rate="16 or 48 kHz mono",
        subsets=("",),
        layout="dns_blind_test",
        pattern="**/*.wav",
        url="https://github.com/microsoft/DNS-Challenge",
        domain=NOISY_SPEECH,
    ),
    Corpus(
        name="esc50",
        title="ESC-50, 2000 sounds of 5 s",
        licence="CC BY-NC 3.0",
        hours="2.8",
        rate="44.1 kHz mono",
        subsets=("",),
        layout="ESC-50-master/audio",
        pattern="*.wav",
        url="https://github.com/karolpiczak/ESC-50",
        domain=GENERAL,
    ),
    Corpus(
        name="fma-small",
        title="Free Music Archive, 8000 excerpts of 30 s",
        licence="by track",
        hours="66.7",
        rate="44.1 kHz, mostly stereo",
        subsets=("",),
        layout="fma_small",
        pattern="*/*.mp3",
        url="https://github.com/mdeff/fma",
        domain=MUSIC,
    ),
    Corpus(
        name="mtg-jamendo",
        title="MTG-Jamendo in the folder mtg-jamendo, middle 30 s of each track",
        licence="Creative Commons, by track",
        hours="55,000 tracks",
        rate="44.1 kHz stereo",
        subsets=("",),
        layout="mtg-jamendo",
        pattern="**/*.mp3",
        url="https://github.com/MTG/mtg-jamendo-dataset",
        domain=MUSIC,
        excerpt_s=30.0,
    ),
    Corpus(
        name="daps",
        title="DAPS, 20 English speakers, middle 30 s of each script",
        licence="CC BY-NC 4.0",
        hours="4.5 as published (clean)",
        rate="44.1 kHz mono",
        subsets=("clean", "cleanraw", "produced"),
        layout="daps/{subset}",
        pattern="[fm]*_{subset}.wav",
        url="https://zenodo.org/records/4660670",
        speaker_level=0,
        excerpt_s=30.0,
    ),
    Corpus(
        name="ears",
        title="EARS, expressive anechoic speech, middle 30 s at most",
        licence="CC BY-NC 4.0",
        hours="100 as published (all)",
        rate="48 kHz mono",
        subsets=("test", "valid", "train"),  # by speaker, as EARS-WHAM and EARS-Reverb split them
        layout="EARS",
        pattern="p*/*.wav",
        patterns={"test": "p10[2-7]/*.wav", "valid": "p10[01]/*.wav", "train": "p0[0-9][0-9]/*.wav"},
        url="https://github.com/facebookresearch/ears_dataset",
        speaker_level=0,
        excerpt_s=30.0,
    ),
    Corpus(
        name="audioset",
        title="AudioSet evaluation segments, 10 s of any sound",
        licence="by video (labels CC BY 4.0)",
        hours="56 as published (eval)",
        rate="by video",
        subsets=("eval",),
        layout="audioset/{subset}",
        pattern="*.flac|*.wav|*.mp3|*.ogg|*.opus",
        url="https://research.google.com/audioset/download.html",
        domain=GENERAL,
    ),
]
CORPORA = {corpus.name: corpus for corpus in _ALL}
