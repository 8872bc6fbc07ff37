"""Domains of sound: sets that have them, several sets at once, noisy speech, results and ratings split by them."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
import torch

import codec.audio
from encodec_eval import noisy, selection
from encodec_eval.__main__ import main
from encodec_eval.corpora import CORPORA
from encodec_eval.datasets import bundled_set, load_set
from encodec_eval.mushra import stimuli
from encodec_eval.mushra.analysis.domains import clean_speech
from encodec_eval.mushra.analysis.domains import summarise as ratings_by_domain
from encodec_eval.mushra.analysis.ratings import read_ratings, write_csv
from encodec_eval.mushra.analysis.simulate import simulate
from encodec_eval.noisy import Noise, make_noisy, mix
from encodec_eval.report import caveats
from encodec_eval.report.domains import section
from encodec_eval.report.folder import write_report
from encodec_eval.report.results import load, summarize
from encodec_eval.run.runner import Run, execute
from encodec_eval.run.worker import Job, Plan, Worker
from encodec_eval.systems import Identity, Lowpass
from encodec_eval.types import CLEAN_SPEECH, GENERAL, MUSIC, NOISY_SPEECH, Clip, EvalError
from tests.encodec_eval.mushra.test_analysis import make_manifest
from tests.encodec_eval.run.test_runner import one_process

RATE = 16000


def options(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    selection.add_options(parser)
    parser.set_defaults(seed=0)
    return parser.parse_args(list(given))


def power(wav: torch.Tensor) -> float:
    return float(wav.double().square().mean())


@pytest.fixture(scope="module")
def speech() -> Clip:
    return replace(bundled_set("librispeech-mini").clips[1], frames=2 * RATE)


def test_sets_say_what_is_heard_in_them(tmp_path):
    assert {clip.domain for clip in bundled_set("librispeech-mini").clips} == {CLEAN_SPEECH}
    clips = bundled_set("clips-48k").clips
    assert [clip.domain for clip in clips] == [CLEAN_SPEECH if clip.id.startswith("p2") else MUSIC for clip in clips]
    said = {name: corpus.domain_of(corpus.subsets[0]) for name, corpus in CORPORA.items()}
    assert said["voicebank-demand"] == said["dns-blind"] == NOISY_SPEECH
    assert said["esc50"] == GENERAL
    assert said["fma-small"] == said["mtg-jamendo"] == said["musdb"] == said["gtzan"] == MUSIC
    sf.write(tmp_path / "a.wav", np.ones(800) * 0.1, 8000)
    assert load_set(str(tmp_path)).clips[0].domain == ""
    (tmp_path / "set.csv").write_text("path,domain\na.wav,general sound\n")
    assert load_set(str(tmp_path / "set.csv")).clips[0].domain == GENERAL
    (tmp_path / "set.csv").write_text("path,domain\na.wav,noise\n")
    with pytest.raises(EvalError, match="line 2: domain 'noise'; expected clean speech, noisy speech, music"):
        load_set(str(tmp_path / "set.csv"))


def test_voicebank_knows_its_speakers(tmp_path):
    for subset in ("noisy", "clean"):
        (tmp_path / f"{subset}_testset_wav").mkdir()
        sf.write(tmp_path / f"{subset}_testset_wav/p232_001.wav", np.ones(800) * 0.1, 48000)
    for subset, domain in (("noisy", NOISY_SPEECH), ("clean", CLEAN_SPEECH)):
        (clip,) = load_set(f"voicebank-demand:{subset}", tmp_path).clips
        assert (clip.speaker, clip.domain) == ("p232", domain)


@pytest.mark.parametrize("name", ["voicebank-demand", "dns-blind", "esc50", "fma-small", "mtg-jamendo"])
def test_a_corpus_that_is_not_here_says_where_it_is(tmp_path, name):
    with pytest.raises(EvalError, match=rf"{name} ?.* is not under .*Get it from https://"):
        load_set(name, tmp_path)


def test_several_sets_are_one_list_with_their_names():
    chosen = selection.select(options("--set", "librispeech-mini", "clips-48k", "clips-48k"), limit=2)
    assert chosen.name == "librispeech-mini, clips-48k"
    assert [clip.id.split("/")[0] for clip in chosen.clips] == ["librispeech-mini"] * 2 + ["clips-48k"] * 2
    assert chosen.licence == "CC BY 4.0; CC0, public domain, CC BY 3.0, CC BY 4.0 (by file)"
    alone = selection.select(options("--set", "librispeech-mini"))
    assert alone == bundled_set("librispeech-mini")
    with pytest.raises(EvalError, match="two sets have the same name"):
        selection.join([alone, alone])


def test_the_ratio_of_speech_to_noise_is_the_one_asked_for(speech, monkeypatch):
    monkeypatch.setattr(noisy, "room_response", lambda rate, generator: np.ones(1))
    wav, _ = codec.audio.load(speech.path, 0, speech.frames)
    for snr_db in (-5.0, 12.0):
        mixed = mix(wav, RATE, Noise(snrs_db=(snr_db,)), "a")
        assert 10 * np.log10(power(wav) / power(mixed - wav)) == pytest.approx(snr_db, abs=0.01)
    again = mix(wav, RATE, Noise(), "a")
    assert torch.equal(mix(wav, RATE, Noise(), "a"), again)
    assert not torch.equal(mix(wav, RATE, Noise(), "b"), again)
    assert not torch.equal(mix(wav, RATE, Noise(seed=1), "a"), again)


def test_a_room_begins_with_the_direct_sound():
    pytest.importorskip("pyroomacoustics", reason="needs the extra [perceptual]")
    for seed in range(3):
        response = noisy.room_response(RATE, np.random.default_rng(seed))
        assert response[:2].max() > 0.6, "the direct sound, at most half a sample off"
        assert len(response) > 0.1 * RATE
        energy = np.cumsum(response[::-1] ** 2)[::-1]
        fall_s = np.argmax(energy < energy[0] * 1e-3) / RATE
        assert 0.05 < fall_s < 0.6, "30 dB of decay"


def test_noisy_clips_are_files_that_are_made_once(speech, tmp_path):
    pytest.importorskip("pyroomacoustics", reason="needs the extra [perceptual]")
    (made,) = make_noisy([speech], Noise(), tmp_path, clean_reference=True)
    assert (made.id, made.frames, made.domain, made.speaker) == (speech.id, speech.frames, NOISY_SPEECH, speech.speaker)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert make_noisy([speech], Noise(), tmp_path, clean_reference=True) == [made]
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    (plain,) = make_noisy([speech], Noise(), tmp_path, clean_reference=False)
    assert plain == replace(made, reference=None)
    assert before.keys() == set(tmp_path.iterdir())
    (other,) = make_noisy([speech], Noise(seed=1), tmp_path, clean_reference=False)
    assert other.path != made.path
    wav, clean = (codec.audio.load(path)[0] for path in (made.path, made.reference))
    assert wav.shape == clean.shape == (1, speech.frames)
    assert 0.1 < np.corrcoef(wav[0], clean[0])[0, 1] < 0.99


def test_outputs_are_compared_with_the_clean_speech_if_asked(speech, tmp_path):
    pytest.importorskip("pyroomacoustics", reason="needs the extra [perceptual]")
    values = {}
    for clean in (False, True):
        (clip,) = make_noisy([speech], Noise(), tmp_path, clean)
        worker = Worker(Plan((Identity(),), ("estoi",)))
        ((score,),) = worker.run(Job(clip, (("identity", "estoi"),)))
        values[clean] = score.value
    assert values[False] == pytest.approx(1, abs=1e-6)
    assert values[True] < 0.95


def test_what_cannot_be_made_noisy_is_refused(speech, tmp_path, monkeypatch):
    with pytest.raises(EvalError, match="only speech can be made noisy, not music"):
        make_noisy([replace(speech, domain=MUSIC)], Noise(), tmp_path, False)
    with pytest.raises(EvalError, match=r"holds no noise; expected \.wav"):
        Noise(tmp_path)
    with pytest.raises(EvalError, match="--clean-reference is for sets that are made noisy"):
        selection.select(argparse.Namespace(**vars(options()) | {"clean_reference": True}))
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    with pytest.raises(EvalError, match=r"needs pyroomacoustics: pip install 'encodec-tools\[perceptual\]'"):
        make_noisy([speech], Noise(), tmp_path, False)


def test_the_record_names_the_noise():
    assert selection.choices(options("--set", "librispeech-mini")) == {}
    pytest.importorskip("pyroomacoustics", reason="needs the extra [perceptual]")
    recorded = selection.choices(options("--set", "librispeech-mini+noisy", "--snr", "0", "5"))
    assert recorded["clean_reference"] is False
    assert recorded["noise"]["snrs_db"] == [0, 5]
    assert recorded["noise"]["noise"] == ["room.flac"]
    assert (noisy.BUNDLED_NOISE / "README.md").read_text().count("CC0 1.0") == 1


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """A run over speech and music."""
    chosen = selection.select(options("--set", "librispeech-mini", "clips-48k"), limit=3)
    clips = [replace(clip, frames=clip.sample_rate) for clip in chosen.clips]
    folder = tmp_path_factory.mktemp("run")
    plan = Plan((Identity(), Lowpass((3500,))), ("stoi", "log_mel", "bitrate_payload", "bitrate_file"))
    rates = ("bitrate_nominal", "bitrate_entropy", "x_realtime_encode", "x_realtime_decode")
    plan = replace(plan, metrics=plan.metrics + rates)
    execute(Run(folder, replace(chosen, clips=clips), plan, {}, []), one_process)
    return folder


def test_results_are_split_by_domain_with_a_row_over_all(run_folder):
    results = load(run_folder)
    assert set(results.domains) == {CLEAN_SPEECH, MUSIC}
    music = results.of_domain(MUSIC)
    assert music.set_name == MUSIC
    assert len(music.table("stoi")) == sum(clip["domain"] == MUSIC for clip in results.config["clips"])
    table = section(results, summarize(results), "%.6g").table
    assert list(table.domain) == [*results.domains, "all"] * 2
    rows = table[table.point == "lowpass@3.5k"].set_index("domain")
    means = {name: results.of_domain(name).table("log_mel")["lowpass@3.5k"].mean() for name in results.domains}
    for name, mean in means.items():
        assert rows.loc[name, "Log-mel distance dB ↓"].startswith(f"{mean:.2f}")
    over_all = results.table("log_mel")["lowpass@3.5k"].mean()
    assert rows.loc["all", "Log-mel distance dB ↓"].startswith(f"{over_all:.2f}")
    assert (run_folder / "rate_log_mel_music.svg").is_file()


def test_a_report_warns_of_speech_metrics_on_music_and_says_why(run_folder):
    write_report(load(run_folder))
    text = (run_folder / "report.md").read_text()
    assert "## Results by domain" in text
    domain = text[text.index("## Results by domain") :]
    line = next(line for line in domain.splitlines() if line.startswith("| lowpass@3.5k") and "| music " in line)
    cells = [cell.strip() for cell in line.split("|")]
    assert sum(cell.endswith("¹") for cell in cells) == 1, "STOI is marked, the distance of spectra is not"
    clean = next(line for line in domain.splitlines() if line.startswith("| lowpass@3.5k") and "| clean speech" in line)
    assert "¹" not in clean
    assert "¹ a measure made for speech, on clips that are not speech" in text
    latex = (run_folder / "tables.tex").read_text()
    assert r"\textsuperscript{1}" in latex
    assert "a measure made for speech" in latex


def test_marks_are_numbered_as_a_reader_comes_to_them():
    table = pd.DataFrame(
        {"point": ["a²", "b"], "domain": ["all", "all"], "PESQ": ["1.2 (1.0 to 1.4)⁴", "1.3⁴"], "MOS": ["2¹⁴", "-"]}
    )
    numbered, text = caveats.numbered(table)
    assert numbered.to_numpy().tolist() == [["a²", "all", "1.2 (1.0 to 1.4)¹", "2¹²"], ["b", "all", "1.3¹", "-"]]
    assert text == f"¹ {caveats.CAVEATS[3].text}. ² {caveats.CAVEATS[0].text}."
    plain, nothing = caveats.numbered(table.assign(PESQ="1", MOS="-"))
    assert (plain.PESQ.tolist(), nothing) == (["1", "1"], "")


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (caveats.Use("visqol_audio", (MUSIC,), 12.0, False, False), "trained on rates down to 24 kbps"),
        (caveats.Use("visqol_audio", (MUSIC,), 24.0, False, False), None),
        (caveats.Use("visqol_audio", (MUSIC,), None, False, False), None),
        (caveats.Use("pesq", (CLEAN_SPEECH,), 6.0, True, True), "older than neural codecs"),
        (caveats.Use("pesq_nb", (CLEAN_SPEECH,), 6.0, False, True), None),
        (caveats.Use("dnsmos_ovrl", (NOISY_SPEECH,), 6.0, True, True), "the noise and the room of the recording"),
        (caveats.Use("dnsmos_ovrl", (CLEAN_SPEECH,), 6.0, True, True), None),
        (caveats.Use("stoi", (GENERAL,), 6.0, True, True), "clips that are not speech"),
        (caveats.Use("si_snr", (MUSIC, NOISY_SPEECH), 1.0, True, False), None),
    ],
)
def test_each_caveat_by_hand(use, words):
    found = [caveat.text for caveat in caveats.CAVEATS if caveat.applies(use)]
    assert (len(found) == 1 and words in found[0]) if words else not found


def test_a_listening_test_has_as_many_items_of_each_domain():
    clips = [*bundled_set("librispeech-mini").clips, *bundled_set("clips-48k").clips]
    spans = stimuli.spans_by_domain(clips, 5, 5.0, seed=0)
    assert [span.clip.domain for span in spans] == [CLEAN_SPEECH] * 3 + [MUSIC] * 2
    with pytest.raises(EvalError, match="1 items for 2 domains"):
        stimuli.spans_by_domain(clips, 1, 5.0, seed=0)


def test_ratings_are_split_by_domain():
    items = [SimpleNamespace(id="a", domain=CLEAN_SPEECH), SimpleNamespace(id="b", domain=MUSIC)]
    rows = [
        (who, item, "opus", score)
        for who, scores in (("x", (20, 60)), ("y", (30, 80)))
        for item, score in zip("ab", scores, strict=True)
    ]
    ratings = pd.DataFrame(rows, columns=["listener", "item", "condition", "score"])
    found = ratings_by_domain(ratings, SimpleNamespace(items=items)).set_index("domain")["mean"]
    assert found.to_dict() == {CLEAN_SPEECH: 25, MUSIC: 70}
    assert ratings_by_domain(ratings, None).empty
    assert ratings_by_domain(ratings, SimpleNamespace(items=items[:1])).empty


def test_the_papers_clean_speech_stands_beside_clean_speech_only():
    def manifest(name: str, *domains: str) -> SimpleNamespace:
        return SimpleNamespace(items=[SimpleNamespace(domain=each) for each in domains], settings={"set": name})

    assert clean_speech(manifest("x", CLEAN_SPEECH, CLEAN_SPEECH))
    assert not clean_speech(manifest("librispeech-mini+noisy", NOISY_SPEECH))
    assert not clean_speech(manifest("librispeech-mini, clips-48k", CLEAN_SPEECH, MUSIC))
    assert clean_speech(manifest("librispeech-mini", "")), "a test made before items had a domain"


def test_the_report_of_a_mixed_listening_test_has_a_column_for_each_domain(tmp_path):
    manifest = make_manifest(items=4)
    items = [replace(item, domain=MUSIC if n % 2 else CLEAN_SPEECH) for n, item in enumerate(manifest.items)]
    manifest = replace(manifest, items=items)
    manifest.save(tmp_path)
    write_csv(tmp_path / "r.csv", simulate(manifest, listeners=6))
    assert main(["mushra", "analyze", str(tmp_path / "r.csv"), "--out", str(tmp_path / "out")]) == 0
    report = (tmp_path / "out/report.md").read_text()
    assert "## By domain" in report
    assert "76.5 ± 2.3" not in report, "the paper's score of clean speech, beside music too"
    table = pd.read_csv(tmp_path / "out/by_domain.csv")
    assert set(table["domain"]) == {CLEAN_SPEECH, MUSIC}
    ratings = read_ratings([tmp_path / "r.csv"], manifest)
    heard = [item.id for item in items if item.domain == MUSIC]
    chosen = ratings[ratings["item"].isin(heard) & (ratings["condition"] == "opus@12")]
    row = table[(table["domain"] == MUSIC) & (table["condition"] == "opus@12")].iloc[0]
    assert row["mean"] == pytest.approx(chosen["score"].mean(), rel=1e-4)
    (line,) = [
        line for line in report[report.index("## By domain") :].splitlines() if line.startswith("| opus, 12 kbps")
    ][:1]
    assert f"{row['mean']:.1f} ± {row['ci95']:.1f}" in line
