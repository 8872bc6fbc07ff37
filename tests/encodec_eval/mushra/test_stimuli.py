"""Stimuli: anchor masks, loudness, alignment, one gain an item, what the standard forbids, determinism, blindness."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile as sf
import torch
import torchaudio.functional

import codec.audio
from encodec_eval.__main__ import main
from encodec_eval.datasets import ClipSet, file_clip, folder_clips, load_set
from encodec_eval.listening.crowd.posted import results
from encodec_eval.listening.crowd.settings import checked
from encodec_eval.loudness import RATE, loudness
from encodec_eval.mushra import levels, stimuli
from encodec_eval.mushra.make import Design, check, make_test
from encodec_eval.mushra.manifest import load_manifest
from encodec_eval.mushra.webmushra import export, webmushra_config
from encodec_eval.systems import DecodedFolder, Lowpass
from encodec_eval.types import EvalError, Output, Point


@dataclass(frozen=True)
class Delayed:
    """A codec that halves the level and comes some samples (at 24 kHz) late."""

    late: int
    rate: int = 24000

    @property
    def points(self):
        return [Point(f"zzdelay@{self.late}", "zzdelay", 1.0)]

    def describe(self):
        return {"system": "zzdelay"}

    def process(self, wav, sample_rate, points, clip=None):
        audio = codec.audio.resample(wav, sample_rate, self.rate) / 2
        moved = torch.roll(audio, self.late, -1)
        return [Output(self.points[0], moved, self.rate, payload_bytes=125 * wav.shape[-1] / sample_rate)]


def speech(seconds, sample_rate, seed=0):
    """Noise with the spectrum and the pauses of something spoken: no two stretches alike."""
    generator = np.random.default_rng(seed)
    noise = scipy.signal.lfilter([1], [1, -0.95], generator.normal(size=round(seconds * sample_rate)))
    envelope = np.interp(np.arange(len(noise)), np.linspace(0, len(noise), 40), generator.uniform(0.05, 1, 40))
    wav = noise * envelope
    return 0.5 * wav / np.abs(wav).max()


@pytest.fixture(scope="module")
def clip_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    for i in range(6):
        sf.write(folder / f"{'abc'[i // 2]}-clip{i}.wav", speech(4 + i % 2, 24000, i) * (0.05 + 0.15 * i), 24000)
    return ClipSet("set", folder_clips(folder, lambda path: path.name[0]))


@pytest.fixture(scope="module")
def made(clip_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("test")
    design = Design(clip_set, [Delayed(7)], items=4, duration_s=3, forms=2, seed=5)
    return make_test(design, folder), folder


def wav_of(folder, stimulus):
    return sf.read(folder / "stimuli" / stimulus.file)[0]


def response_db(cutoff, frequencies):
    impulse = torch.zeros(1, 4001)
    impulse[0, 2000] = 1
    kernel = stimuli.lowpass(impulse, RATE, cutoff)[0].double().numpy()
    assert np.argmax(np.abs(kernel)) == 2000, "the delay is not removed"
    _, response = scipy.signal.freqz(kernel, worN=frequencies, fs=RATE)
    return 20 * np.log10(np.abs(response) + 1e-12)


def test_the_low_anchor_keeps_the_mask_of_bs1534():
    assert np.abs(response_db(3500, np.linspace(20, 3500, 500))).max() <= 0.1
    assert response_db(3500, np.linspace(4000, 24000, 2000)).max() <= -25
    assert response_db(3500, np.linspace(4500, 24000, 2000)).max() <= -50


def test_the_mid_anchor_keeps_the_same_mask_at_twice_the_frequency():
    assert np.abs(response_db(7000, np.linspace(20, 7000, 500))).max() <= 0.1
    assert response_db(7000, np.linspace(8000, 24000, 2000)).max() <= -25
    assert response_db(7000, np.linspace(9000, 24000, 2000)).max() <= -50


def test_loudness_of_bs1770s_calibration_tone():
    # ITU-R BS.1770-4: a 997 Hz sine at 0 dB full scale in one channel reads -3.01 LKFS
    tone = torch.from_numpy(np.sin(2 * np.pi * 997 / RATE * np.arange(5 * RATE))).float()[None]
    assert loudness(tone) == pytest.approx(-3.01, abs=0.005)
    assert loudness(tone * 0.01) == pytest.approx(-43.01, abs=0.005)
    assert loudness(torch.cat([tone, tone])) == pytest.approx(0, abs=0.005)


def test_gating_of_ebu_tech_3341():
    # EBU Tech 3341, test signals 3 and 4: stereo 1 kHz at -36, -23, -36 dB, and with -72 dB around: -23 LUFS both
    def tones(*parts):
        pieces = [10 ** (db / 20) * np.sin(2 * np.pi * 1000 / RATE * np.arange(round(s * RATE))) for s, db in parts]
        return torch.from_numpy(np.concatenate(pieces)).expand(2, -1)

    assert loudness(tones((10, -36), (60, -23), (10, -36))) == pytest.approx(-23, abs=0.1)
    signal = tones((10, -72), (10, -36), (60, -23), (10, -36), (10, -72))
    assert loudness(signal) == pytest.approx(-23, abs=0.1)


def test_loudness_against_torchaudio():
    wav = torch.from_numpy(speech(6, RATE)).float()[None] * 0.2
    assert loudness(wav) == pytest.approx(float(torchaudio.functional.loudness(wav, RATE)), abs=0.1)


def test_quiet_recordings_reach_the_loudness_too():
    # most blocks lie below the absolute gate before the gain and above it after
    wav = torch.from_numpy(speech(6, RATE) * 10 ** (-38 / 20))[None]
    levelled = wav * 10 ** (levels.wanted_gain(wav) / 20)
    assert loudness(levelled) == pytest.approx(-23, abs=0.1)


def test_every_reference_has_minus_23_lufs(made):
    manifest, folder = made
    for item in manifest.items:
        reference = torch.from_numpy(wav_of(folder, item.open_reference))[None].float()
        assert item.lowered_db == 0
        assert loudness(reference) == pytest.approx(-23, abs=0.1), item.id
        assert item.loudness_lufs == pytest.approx(-23, abs=0.1)


def test_one_gain_for_all_stimuli_of_an_item(made):
    manifest, folder = made
    for item in manifest.items:
        reference, late = (wav_of(folder, s) for s in item.stimuli if s.condition in ("reference", "zzdelay@7"))
        gain = np.dot(late, reference) / np.dot(reference, reference)
        assert gain == pytest.approx(0.5, abs=2e-3), "the codec's own change of level was altered"


@pytest.mark.parametrize("late", [0, 1, 7, -5, 240])
def test_outputs_are_aligned_within_a_sample(clip_set, late):
    span = stimuli.Span(clip_set.clips[0], 24000, 48000)
    signals = stimuli.code_and_cut(span, [Delayed(late)], [])
    reference, moved = (signals[name].audio[0] for name in ("reference", f"zzdelay@{late}"))
    assert signals[f"zzdelay@{late}"].lag == 2 * late
    best = np.argmax(scipy.signal.correlate(moved.numpy(), reference.numpy(), mode="full")) - (len(reference) - 1)
    assert best == 0
    np.testing.assert_allclose(moved.numpy(), reference.numpy() / 2, atol=1e-5)


def test_items_are_cut_after_coding(clip_set):
    class Edge(Delayed):
        def process(self, wav, sample_rate, points, clip=None):
            self.seen.append(wav.shape[-1])
            return super().process(wav, sample_rate, points, clip)

    Edge.seen = []
    span = stimuli.Span(clip_set.clips[0], 24000, 24000)
    signals = stimuli.code_and_cut(span, [Edge(0)], ["anchor35"])
    assert Edge.seen == [clip_set.clips[0].frames], "the codec must hear the surroundings"
    assert {signal.audio.shape for signal in signals.values()} == {(1, RATE)}
    assert signals["zzdelay@0"].kbps == pytest.approx(1.0)


def test_decoded_folders_are_cut_at_the_same_place(clip_set, tmp_path):
    decoded = tmp_path / "decoded"
    decoded.mkdir()
    for clip in clip_set.clips:
        wav, rate = sf.read(clip.path)
        sf.write(decoded / Path(clip.path).name, wav, rate)
    span = stimuli.Span(clip_set.clips[3], 30000, 24000)
    signals = stimuli.code_and_cut(span, [DecodedFolder("mine", str(decoded), kbps=3)], [])
    np.testing.assert_allclose(signals["mine"].audio, signals["reference"].audio, atol=1e-4)
    assert signals["mine"].kbps == 3


@dataclass(frozen=True)
class Mono(Delayed):
    """The same, mono."""

    def process(self, wav, sample_rate, points, clip=None):
        return super().process(wav.mean(0, keepdim=True), sample_rate, points, clip)


def test_a_mono_system_makes_the_whole_item_mono(tmp_path):
    left, right = speech(2, 24000, 1), speech(2, 24000, 2)
    sf.write(tmp_path / "stereo.wav", np.stack([left, right], 1), 24000)
    span = stimuli.Span(file_clip(tmp_path / "stereo.wav", tmp_path), 0, 48000)
    stereo, mono = (stimuli.code_and_cut(span, [system(0)], ["anchor35"]) for system in (Delayed, Mono))
    assert {signal.audio.shape[0] for signal in stereo.values()} == {2}
    assert {signal.audio.shape[0] for signal in mono.values()} == {1}
    np.testing.assert_allclose(mono["reference"].audio[0], stereo["reference"].audio.mean(0), atol=1e-6)


def test_passages_of_a_list_are_taken_as_they_are(clip_set, tmp_path):
    source = Path(clip_set.clips[0].path)
    (tmp_path / "list.csv").write_text(f"path,start,duration\n{source},0.5,1.25\n{source},2,1\n")
    spans = stimuli.choose_spans(load_set(str(tmp_path / "list.csv")).clips, 2, 10, 0)
    assert [(span.start, span.frames) for span in spans] == [(12000, 30000), (48000, 24000)]


def test_a_stimulus_that_would_clip_lowers_its_item():
    peak = torch.zeros(1, RATE)
    peak[0, 100] = 0.5
    gain_db, lowered_db = levels.common_gain([peak, peak * 0.1], wanted_db=17)
    assert gain_db == pytest.approx(20 * np.log10(0.99 / 0.5))
    assert lowered_db == pytest.approx(17 - gain_db)
    assert levels.common_gain([peak], wanted_db=-3) == (-3, 0)


def test_edges_are_faded(made):
    manifest, folder = made
    for stimulus in manifest.items[0].stimuli:
        wav = wav_of(folder, stimulus)
        assert np.abs(wav[[0, -1]]).max() == 0
        assert np.abs(wav[:24]).max() < 0.06 * np.abs(wav).max()


def test_files_are_48_khz_16_bit_of_one_length(made):
    manifest, folder = made
    for item in manifest.items:
        for stimulus in (item.open_reference, *item.stimuli):
            info = sf.info(folder / "stimuli" / stimulus.file)
            assert (info.samplerate, info.subtype, info.frames) == (RATE, "PCM_16", round(item.duration_s * RATE))
    assert not list(folder.rglob("unnamed*"))


def test_the_same_seed_makes_the_same_test(clip_set, made, tmp_path):
    manifest, folder = made
    design = Design(clip_set, [Delayed(7)], items=4, duration_s=3, forms=2, seed=5)
    again = make_test(design, tmp_path / "again")
    assert again == manifest == load_manifest(folder)
    assert (tmp_path / "again/page/index.html").read_bytes() == (folder / "page/index.html").read_bytes()
    other = make_test(Design(clip_set, [Delayed(7)], items=4, duration_s=3, forms=2, seed=6), tmp_path / "other")
    assert other.test_id != manifest.test_id


def test_forms_are_balanced(made):
    manifest, _ = made
    assert sorted([name for form in manifest.forms for name in form]) == [item.id for item in manifest.items]
    speakers = {item.id: item.speaker for item in manifest.items}
    assert [len(form) for form in manifest.forms] == [2, 2]
    assert all(len({speakers[name] for name in form}) == 2 for form in manifest.forms)
    assert [len(form) for form in stimuli.deal(manifest.items, 3)] == [2, 1, 1]
    with pytest.raises(EvalError, match="4 items cannot be dealt to 5 forms"):
        stimuli.deal(manifest.items, 5)


def test_what_listeners_get_names_no_system_and_tells_none_apart(made):
    manifest, folder = made
    names = {"zzdelay", "anchor", "lowpass", *(clip for item in manifest.items for clip in [item.clip])}
    for path in (folder / "page").rglob("*"):
        assert not any(name in path.name for name in names)
        if path.is_file():
            text = path.read_text()
            assert not [name for name in names if name in text]
    for item in manifest.items:
        script = (folder / "page" / "audio" / f"{item.id}.js").read_text()
        files = json.loads(script[script.index("{") : script.rindex("}") + 1])
        assert list(files) == sorted(files)
        assert len({len(data) for data in files.values()}) == 1, "sizes differ, and so do loading times"
        assert set(files) == {item.open_reference.id, *(stimulus.id for stimulus in item.stimuli)}


def test_objective_scores_are_previewed(made):
    manifest, _ = made
    scores = {stimulus.condition: stimulus.scores for stimulus in manifest.items[0].stimuli}
    assert "infinite" in scores["reference"]["si_snr"]
    assert scores["anchor35"]["si_snr"] < 40
    assert "infinite" in scores["zzdelay@7"]["si_snr"], "a change of level and a removed delay cost nothing"
    assert scores["anchor35"]["pesq"] < scores["zzdelay@7"]["pesq"]


def test_spans_are_balanced_and_prefer_long_clips(clip_set):
    spans = stimuli.choose_spans(clip_set.clips, 3, 4.5, 0)
    assert {span.clip.speaker for span in spans} == {"a", "b", "c"}
    assert all(span.frames == 4.5 * 24000 and span.clip.duration_s == 5 for span in spans)
    assert all(span.start == 6000 for span in spans), "the middle"
    with pytest.raises(EvalError, match="6 clips, too few for 7 items"):
        stimuli.choose_spans(clip_set.clips, 7, 3, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["reference"] * 1 + [f"s{i}" for i in range(12)], 8, 10, 12), "13 signals in a trial, more than 12"),
        ((["reference", "a"], 8, 12.5, 1), "items of 12.5 s, longer than 12 s"),
    ],
)
def test_what_the_standard_forbids_needs_force(arguments, message):
    with pytest.raises(EvalError, match=message):
        check(*arguments, force=False)
    check(*arguments, force=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["reference"], 8, 10, 0), "no system"),
        ((["reference", "a", "a"], 8, 10, 2), "two systems are named a"),
        ((["reference", "a"], 0, 10, 1), "0 items of 10 s"),
        ((["reference", "a"], 1, 0.2, 1), "1 items of 0.2 s"),
    ],
)
def test_what_makes_no_sense_is_refused_with_force_too(arguments, message):
    with pytest.raises(EvalError, match=message):
        check(*arguments, force=True)


def test_silent_and_short_items_are_refused(tmp_path):
    sf.write(tmp_path / "silent.wav", np.zeros(24000), 24000)
    span = stimuli.Span(file_clip(tmp_path / "silent.wav", tmp_path), 0, 24000)
    with pytest.raises(EvalError, match="silent"):
        list(stimuli.render([span], [Lowpass((3500,))], [], 0, tmp_path / "out"))
    with pytest.raises(EvalError, match=r"0\.30 s are too short"):
        loudness(torch.ones(1, round(0.3 * RATE)))


def test_webmushra_gets_documented_keys_and_prerendered_anchors(made, tmp_path):
    manifest, folder = made
    yaml = pytest.importorskip("yaml")
    written = export(manifest, folder, tmp_path / "web")
    assert len(written) == 2
    heard = []
    for path in written:
        config = yaml.safe_load(path.read_text())
        assert set(config) == {
            "testname", "testId", "bufferSize", "stopOnErrors", "showButtonPreviousPage", "remoteService", "pages",
        }  # fmt: skip
        assert config["bufferSize"] in {2**n for n in range(8, 15)}
        welcome, volume, trials, finish = config["pages"]
        assert [page["type"] for page in (welcome, volume, finish)] == ["generic", "volume", "finish"]
        assert trials[0] == "random"
        for page in trials[1:]:
            assert page["type"] == "mushra"
            assert page["createAnchor35"] is page["createAnchor70"] is False
            assert set(page["stimuli"]) >= {"anchor35", "anchor70"}
            assert page["reference"] not in page["stimuli"].values(), "webMUSHRA adds the reference by itself"
            assert not any("zzdelay" in name for name in page["stimuli"])
            for file in [page["reference"], *page["stimuli"].values()]:
                assert sf.info(tmp_path / "web" / file).samplerate == RATE
            heard.append(page["id"])
    assert sorted(heard) == [item.id for item in manifest.items]
    item = next(item for item in manifest.items if item.id == manifest.forms[0][0])
    rated = {"reference", *webmushra_config(manifest, 0, "x")["pages"][2][1]["stimuli"]}
    names = {s.id: s.condition for s in item.stimuli}
    assert {names.get(name, name) for name in rated} == set(manifest.conditions)


def test_the_command_refuses_what_it_must(clip_set, tmp_path, capsys):
    folder = str(Path(clip_set.clips[0].path).parent)
    common = ["mushra", "--set", folder, "--systems", "opus", "--out", str(tmp_path / "t")]
    for extra, message in (
        (["--duration", "13"], "longer than 12 s; --force does"),
        (["--items", "9"], "6 clips, too few for 9 items"),
        (["--items", "2", "--forms", "3", "--duration", "2"], "2 items cannot be dealt to 3 forms"),
        (["--system", "x=/nowhere"], "/nowhere of system x is not a folder"),
    ):
        assert main([*common, *extra]) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "t" / "manifest.json").exists()


def test_a_folder_that_holds_a_test_is_not_overwritten(clip_set, made, capsys):
    _, folder = made
    before = (folder / "manifest.json").read_bytes()
    source = str(Path(clip_set.clips[0].path).parent)
    assert main(["mushra", "--set", source, "--systems", "opus", "--items", "2", "--out", str(folder)]) == 2
    assert "holds a test already" in capsys.readouterr().err
    assert (folder / "manifest.json").read_bytes() == before


def posted(manifest, **changes):
    """What a page sends after one trial."""
    item = next(item for item in manifest.items if item.id == manifest.forms[0][0])
    scores = {stimulus.id: 50 for stimulus in item.stimuli}
    body = {"test": manifest.test_id, "session": "0" * 32, "listener": "Zoë 1", "form": 0, "seed": 7}
    return body | {"trials": [{"item": item.id, "scores": scores, "ms": 1234}]} | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"test": "other"},
        {"session": "../../../etc/passwd"},
        {"session": "0" * 31 + "/"},
        {"session": "A" * 32},
        {"session": 0},
        {"listener": "=cmd()"},
        {"listener": "x" * 41},
        {"listener": "a\nb"},
        {"form": 2},
        {"form": -1},
        {"form": True},
        {"form": 0.0},
        {"seed": 2**32},
        {"seed": float("nan")},
        {"trials": "all"},
        {"trials": [1]},
        {"trials": [{"item": "nothing", "scores": {}, "ms": 1}]},
        {"trials": [{"item": ["item01"], "scores": {}, "ms": 1}]},
        {"more": 1},
    ],
)
def test_hostile_posts_are_refused(made, changes):
    manifest, _ = made
    trial = results(posted(manifest), manifest, checked({}, "none")).trials
    assert [len(each["scores"]) for each in trial.values()] == [4]
    with pytest.raises(ValueError, match=r"wrong|other|whole"):
        results(posted(manifest, **changes), manifest, checked({}, "none"))


def test_hostile_trials_are_refused(made):
    manifest, _ = made
    good = posted(manifest)["trials"][0]
    stimulus = next(iter(good["scores"]))
    for scores in (
        {},
        good["scores"] | {"extra": 1},
        {key: value for key, value in good["scores"].items() if key != stimulus},
        good["scores"] | {stimulus: 101},
        good["scores"] | {stimulus: "50"},
        good["scores"] | {stimulus: None},
    ):
        with pytest.raises(ValueError, match=r"wrong|whole"):
            results(posted(manifest, trials=[good | {"scores": scores}]), manifest, checked({}, "none"))
    with pytest.raises(ValueError, match="an item twice"):
        results(posted(manifest, trials=[good, good]), manifest, checked({}, "none"))
    other_form = next(item for item in manifest.items if item.id == manifest.forms[1][0])
    elsewhere = {"item": other_form.id, "scores": {s.id: 1 for s in other_form.stimuli}, "ms": 1}
    with pytest.raises(ValueError, match="wrong item"):
        results(posted(manifest, trials=[elsewhere]), manifest, checked({}, "none"))
