"""Tables, figures, pages and comparisons of runs with known scores."""

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from encodec_eval.__main__ import main
from encodec_eval.report import plots, results, tables
from encodec_eval.report.clips import joined_reasons
from encodec_eval.report.codebooks import codebook_usage, count_codes
from encodec_eval.report.comparison import compare
from encodec_eval.report.folder import write_report
from encodec_eval.run.journal import codes_path, line
from encodec_eval.types import EvalError, Score

METRICS = ["si_snr", "stoi", "bitrate_nominal", "bitrate_payload", "bitrate_file", "bitrate_entropy"]
METRICS += ["lag_ms", "x_realtime_encode", "x_realtime_decode"]
RATES = {"opus@6": 6, "opus@12": 12, "opus@24": 24, "tiny@6": 6, "tiny@12": 12, "tiny@24": 24, "identity": None}


def value(system: str, metric: str, clip: int, shift: float) -> tuple[float | None, str | None]:
    rate = RATES[system]
    if metric in ("bitrate_file", "bitrate_entropy") or (rate is None and metric != "stoi"):
        return None, "no such thing"
    if metric.startswith("bitrate"):
        return float(rate or 0), None
    if metric == "si_snr":
        if system == "tiny@6" and clip == 3:
            return None, "the output is silent | broken"
        return 2 * np.log2(rate) + 0.1 * clip + (1 if system.startswith("tiny") else 0) + shift, None
    return (1.0 if rate is None else 0.7 + rate / 100 + 0.001 * clip), None


def make_run(folder: Path, shift: float = 0.0, files: str = "abc") -> Path:
    folder.mkdir(parents=True)
    clips = [{"id": f"clip{n}", "speaker": f"s{n % 3}", "seconds": 2.0} for n in range(6)]
    session = {
        "command": "python -m encodec_eval", "started": "now", "commit": "c0ffee", "python": "3", "wall_s": 1.0,
        "machine": {"processor": "p", "cores": 2, "memory_gib": 4, "accelerator": None, "system": "s"},
    }  # fmt: skip
    config = {
        "settings": {
            "set": "made-up", "metrics": METRICS, "systems": [{"system": "x"}], "file_list_sha256": files,
            "versions": {"torch": "2"},
        },
        "note": "", "licence": "CC0", "clips": clips, "sessions": [session],
        "points": [{"name": n, "series": n.split("@")[0], "nominal_kbps": r} for n, r in RATES.items()],
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    scores = [
        Score(clip["id"], system, metric, *value(system, metric, n, shift))
        for n, clip in enumerate(clips)
        for system in RATES
        for metric in METRICS
    ]
    (folder / "scores.jsonl").write_text("".join(line(score) for score in scores))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> results.Results:
    found = results.load(make_run(tmp_path_factory.mktemp("runs") / "a"))
    write_report(found, "opus@12")
    return found


def test_the_summary_is_the_mean_of_what_was_scored(run):
    summary = results.summarize(run).set_index(["point", "metric"])
    whole = summary.loc[("opus@12", "si_snr")]
    assert whole["mean"] == pytest.approx(2 * np.log2(12) + 0.25)
    assert (whole.n_scored, whole.n_total) == (6, 6)
    assert whole.ci95_low < whole["mean"] < whole.ci95_high
    holed = summary.loc[("tiny@6", "si_snr")]
    assert holed["mean"] == pytest.approx(2 * np.log2(6) + 1 + 0.1 * (0 + 1 + 2 + 4 + 5) / 5)
    assert (holed.n_scored, holed.n_total) == (5, 6)


def test_word_error_rates_are_errors_over_words(tmp_path):
    folder = make_run(tmp_path / "a")
    config = json.loads((folder / "config.json").read_text())
    rate, words = ([0.0, 50.0, 100.0, 0.0, 25.0, None], [10.0, 4.0, 1.0, 10.0, 8.0, None])
    config["settings"]["metrics"] = ["wer", "wer_words"]
    config["metrics"] = [
        {"name": "wer", "title": "WER", "unit": "%", "higher_is_better": False, "source": "s", "weight": "wer_words"},
        {"name": "wer_words", "title": "words said", "unit": "", "higher_is_better": None, "source": "s",
         "kind": "weight"},
    ]  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    scores = [
        Score(f"clip{n}", point, metric, each, None if each is not None else "no transcript")
        for n in range(6)
        for point in RATES
        for metric, each in (("wer", rate[n]), ("wer_words", words[n]))
    ]
    (folder / "scores.jsonl").write_text("".join(map(line, scores)))
    found = results.load(folder)
    summary = results.summarize(found).set_index(["point", "metric"])
    pooled = summary.loc["opus@12", "wer"]
    assert pooled["mean"] == pytest.approx(100 * 5 / 33)
    assert pooled.ci95_low < pooled["mean"] < pooled.ci95_high
    assert "words said" not in tables.main_table(found, summary.reset_index())
    assert set(tables.reasons_table(found).metric) == {"wer"}
    assert "Means over clips (WER: over words said). 95 %" in write_report_text(found)
    assert set(results.differences(found, "opus@12").metric) == {"wer"}


def write_report_text(found: results.Results) -> str:
    write_report(found)
    return (found.folder / "report.md").read_text()


def test_curves_of_some_metrics_alone(tmp_path, capsys):
    folder = make_run(tmp_path / "a")
    assert main(["report", str(folder), "--curves", "stoi"]) == 0
    assert {path.name for path in folder.glob("rate_*")} == {"rate_stoi.png", "rate_stoi.svg"}
    assert "rate_si_snr" not in (folder / "report.md").read_text()
    assert main(["report", str(folder), "--curves", "mos"]) == 2
    assert "no curves of 'mos'; expected of si_snr, stoi" in capsys.readouterr().err
    assert main(["report", str(make_run(tmp_path / "b")), "--curves"]) == 0
    assert not list((tmp_path / "b").glob("rate_*"))


def test_a_metric_without_a_value_has_no_curves(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.encodec_eval.report.test_report.RATES", {"opus@12": 12.0})
    folder = make_run(tmp_path / "run")
    rows = [json.loads(each) for each in (folder / "scores.jsonl").read_text().splitlines()]
    lost = [each | {"value": None, "reason": "silent"} if each["metric"] == "si_snr" else each for each in rows]
    (folder / "scores.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lost))
    write_report(results.load(folder))
    assert {path.name for path in folder.glob("rate_*")} == {"rate_stoi.png", "rate_stoi.svg"}


def test_pictures_are_small_and_the_text_of_drawings_is_text(run):
    assert (run.folder / "rate_stoi.png").stat().st_size < 50_000
    assert ">SI-SNR on made-up, 6 clips</text>" in (run.folder / "rate_si_snr.svg").read_text()


def test_a_title_of_several_sets_ends_within_its_figure(run):
    settings = run.config["settings"] | {"set": "librispeech-mini, librispeech-mini+noisy, clips-48k"}
    several = results.Results(run.folder, run.config | {"settings": settings}, run.scores, 0)
    with plt.rc_context(plots.STYLE):
        figure = plots.rate_quality(several, results.summarize(several), "si_snr")
        figure.canvas.draw()
    title = figure.axes[0].get_title(loc="left")
    assert title.replace("\n", " ") == f"SI-SNR on {settings['set']}, 6 clips"
    assert figure.axes[0]._left_title.get_window_extent().x1 < figure.bbox.x1


def test_clips_without_a_speaker_are_groups_of_their_own(run):
    clips = [{"id": f"c{n}", "speaker": "s" if n == 1 else None, "seconds": 1.0} for n in range(3)]
    assert results.Results(run.folder, run.config | {"clips": clips}, run.scores, 0).groups == [
        "clip c0",
        "s",
        "clip c2",
    ]


def test_the_main_table_shows_what_is_missing(run):
    table = tables.main_table(run, results.summarize(run)).set_index("point")
    assert table.loc["tiny@6", "SI-SNR dB ↑"].endswith(" [5/6]")
    assert table.loc["tiny@6", "scored"] == "5/6"
    assert table.loc["identity", "SI-SNR dB ↑"] == "- [0/6]"
    assert "kbps file" not in table


def test_every_file_of_a_report_is_there_and_agrees(run):
    names = {path.name for path in run.folder.iterdir()}
    assert names >= {
        "summary.csv", "per_clip.csv", "differences.csv", "bjontegaard.csv", "report.md", "report.html", "tables.tex",
        "rate_si_snr.png", "rate_si_snr.svg", "rate_stoi.png", "rate_stoi.svg",
    }  # fmt: skip
    wide = pd.read_csv(run.folder / "per_clip.csv")
    assert len(wide) == 6 * len(RATES)
    assert wide.query("point == 'opus@12'").si_snr.mean() == pytest.approx(2 * np.log2(12) + 0.25, abs=1e-4)
    assert "silent | broken" in wide.query("point == 'tiny@6' and clip == 'clip3'").reasons.item()
    report = (run.folder / "report.md").read_text()
    assert "silent \\| broken" in report
    assert "c0ffee" in report


def test_the_latex_is_booktabs_with_nothing_unescaped(run):
    latex = (run.folder / "tables.tex").read_text()
    assert latex.count(r"\toprule") == latex.count(r"\bottomrule") >= 4
    body = re.sub(r"\\[a-zA-Z]+|\\[&%$#_{}]|^%.*$", "", latex, flags=re.MULTILINE)
    assert not re.search(r"[_#%]|↑|↓", body), re.search(r".{20}[_#%↑↓].{5}", body)


def test_latex_captions_quoted_figures_by_their_source_and_puts_numbers_right(run):
    latex = (run.folder / "tables.tex").read_text()
    captions = re.findall(r"\\caption\{(.*)\}", latex)
    ours = [text for text in captions if "made-up" in text]
    assert [text.split(",")[0] for text in ours] == [
        "Quality", "Rates and speed", "Scores without a value", "Paired differences to opus@12",
        "Bjøntegaard deltas against Opus",
    ]  # fmt: skip
    assert [text.split(".")[0] for text in captions if text not in ours] == [
        "Quoted objective figures",
        "Quoted listening test",
    ]
    assert all(len(columns) <= 8 for columns in re.findall(r"begin\{tabular\}\{(\w+)\}", latex))
    assert r"\begin{tabular}{lrrrr}" in latex, "system, payload, two metrics, scored"


@pytest.mark.parametrize("domains", [(), ("clean speech", "music")])
def test_a_table_of_many_metrics_has_its_points_as_columns(domains):
    """Every cell keeps its point, metric and domain, and all stay in order."""
    points, metrics = ["b@6", "a@12", "a@6"], [f"m{n}" for n in range(tables.MOST_COLUMNS, 0, -1)]
    rows = [
        {
            "point": point,
            **({"domain": domain} if domain else {}),
            **{each: f"{each} {point} {domain}" for each in metrics},
        }
        for point in points
        for domain in domains or ("",)
    ]
    turned = tables.readable(pd.DataFrame(rows))
    assert list(turned) == ["metric", *(["domain"] if domains else []), *points]
    assert list(turned.metric.unique()) == metrics
    assert len(turned) == len(metrics) * max(1, len(domains))
    if domains:
        assert tuple(turned.domain) == domains * len(metrics)
    for row in turned.to_dict("records"):
        assert all(row[point] == f"{row['metric']} {point} {row.get('domain', '')}" for point in points)
    few = pd.DataFrame(rows).drop(columns=metrics[3:])
    assert tables.readable(few) is few


def test_a_number_that_rounds_to_zero_has_no_sign():
    assert tables.interval(-0.0004, -0.02, 0.004, 2) == "0.00 (-0.02 to 0.00)"


def test_a_wide_table_is_split_for_a_page():
    wide = pd.DataFrame({"system": ["a_b"], **{f"column {n}": [f"{n}.00 (1.00 to 2.00)"] for n in range(11)}})
    parts = tables.page_columns(wide)
    assert [name for part in parts for name in part] == list(wide.columns[1:])
    latex = tables.latex(wide, "95 % of it.", "tab:x")
    assert latex.count(r"\begin{table}") == len(parts) > 1
    assert all(f"\\label{{tab:x-{n + 1}}}" in latex for n in range(len(parts)))
    assert r"\caption{95 \% of it (1 of 3).}" in latex
    assert latex.count("column ") == 11


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs Debian's texlive-latex-recommended")
def test_the_latex_compiles_and_fits_a_page(run, tmp_path):
    text = (run.folder / "tables.tex").read_text()
    wide = pd.DataFrame({"system": ["a_b@6"], **{f"column {n}": ["10.00 (1.00 to 2.00)"] for n in range(11)}})
    metrics = [f"BD-rate % by ViSQOL ({n})" for n in range(6)]
    text += tables.latex(wide, "Wide_table, 95 %.", "tab:w")
    text += tables.latex(pd.DataFrame([["mp3", *["-3.1"] * 6]], columns=["codec", *metrics]), "BD.", "tab:bd")
    head = (
        "\\documentclass{article}\\usepackage[a4paper,margin=2.5cm]{geometry}\\usepackage{booktabs}\\begin{document}\n"
    )
    (tmp_path / "all.tex").write_text(head + text + "\\end{document}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert not re.findall(r"Overfull.*|.*too large.*", done.stdout)


def test_the_page_needs_nothing_beside_it(run):
    page = (run.folder / "report.html").read_text()
    assert page.count("<svg") == 2
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)), "an id stands twice"
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_the_page_begins_with_what_was_measured_and_folds_the_rest(run, tmp_path):
    folder = make_run(tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    config |= {"note": "the set stands in", "substitutions": ["the model stands in"]}
    (folder / "config.json").write_text(json.dumps(config))
    write_report(results.load(folder), "opus@12")
    page = (folder / "report.html").read_text()
    body = page[page.index("<body>") :]
    banner = body[body.index('<div class="note">') :]
    assert banner.startswith('<div class="note"><p>the set stands in.</p><p>the model stands in.</p></div>')
    first, rest = body[: body.index("<details")], body[body.index("<details") :]
    assert first.count("<table") == 1
    assert first.count("<svg") == 2
    assert "<td>tiny@6</td>" in first
    assert "Quoted" not in first
    outside = re.sub(r"<details.*?</details>", "", rest, flags=re.DOTALL)
    assert "<table" not in outside
    opened = re.findall(r"<details open><summary>(.*?)</summary>", rest)
    assert opened == ["Scores without a value"]
    report = (folder / "report.md").read_text()
    assert "the set stands in.\n" in report
    assert "the model stands in.\n" in report


def test_bjontegaard_against_opus(run):
    deltas = results.bjontegaard(run, "opus").set_index(["series", "metric"])
    assert deltas.loc[("tiny", "si_snr"), "bd_quality"] == pytest.approx(1, abs=0.02)
    # 1 dB is half an octave of rate in these curves.
    assert deltas.loc[("tiny", "si_snr"), "bd_rate_percent"] == pytest.approx((2**-0.5 - 1) * 100, abs=0.8)
    assert deltas.loc[("tiny", "stoi"), "bd_quality"] == pytest.approx(0, abs=1e-9)
    found = deltas.loc[("tiny", "si_snr")]
    assert found.bd_rate_ci95_low < found.bd_rate_percent < found.bd_rate_ci95_high
    assert found.bd_quality_ci95_low < found.bd_quality < found.bd_quality_ci95_high


def test_a_report_says_what_its_intervals_are(run, capsys):
    assert run.interval_note == (
        "95 % t intervals over 3 speakers (leave-one-out jackknife). With fewer than 6 speakers, intervals are rough."
    )
    report, latex = ((run.folder / name).read_text() for name in ("report.md", "tables.tex"))
    assert report.count(run.interval_note) == 3
    assert latex.count(run.interval_note.replace("%", r"\%")) == 3
    assert "over 3 speakers (rough)" in (run.folder / "rate_si_snr.svg").read_text()
    assert main(["compare", str(run.folder), str(run.folder)]) == 0
    assert run.interval_note in capsys.readouterr().out
    single = [clip | {"speaker": "s"} for clip in run.config["clips"]]
    assert results.Results(run.folder, run.config | {"clips": single}, run.scores, 0).interval_note.startswith("No int")


def test_paired_differences(run):
    found = results.differences(run, "opus@12").set_index(["point", "metric"])
    assert found.loc[("opus@24", "si_snr"), "difference"] == pytest.approx(2)
    assert found.loc[("tiny@6", "si_snr"), "n_pairs"] == 5
    with pytest.raises(EvalError, match="no point 'opus' in"):
        results.differences(run, "opus")


def test_comparing_runs(run, tmp_path, capsys):
    other = make_run(tmp_path / "b", shift=0.5)
    found = compare(run, results.load(other)).set_index(["point", "metric"])
    assert found.loc[("tiny@12", "si_snr"), "difference"] == pytest.approx(0.5)
    assert found.loc[("tiny@12", "stoi"), "p"] == 1
    assert main(["compare", str(run.folder), str(other), "--csv", str(tmp_path / "c.csv")]) == 0
    assert "0.500 (0.500 to 0.500)" in capsys.readouterr().out
    assert len(pd.read_csv(tmp_path / "c.csv")) == len(found)
    foreign = make_run(tmp_path / "c", files="other")
    assert main(["compare", str(run.folder), str(foreign)]) == 2
    assert "are of different clips" in capsys.readouterr().err
    assert main(["compare", str(run.folder), str(tmp_path)]) == 2


def test_a_run_brings_what_its_metrics_are(run):
    named = {"name": "loudness", "title": "Loudness", "unit": "LUFS", "higher_is_better": None, "source": "x"}
    config = run.config | {"metrics": [named], "settings": run.config["settings"] | {"metrics": ["loudness"]}}
    other = results.Results(run.folder, config, run.scores, 0)
    assert other.quality_metrics == ["loudness"]
    assert tables.heading(other.measures["loudness"]) == "Loudness"
    unknown = results.Results(run.folder, config | {"metrics": []}, run.scores, 0)
    with pytest.raises(EvalError, match="metrics this version does not know: loudness"):
        unknown.quality_metrics  # noqa: B018


def test_listings(capsys, tmp_path):
    assert main(["metrics"]) == 0
    assert "P.862.2" in capsys.readouterr().out
    assert main(["sets", "--data-root", str(tmp_path)]) == 0
    assert re.search(r"librispeech-mini .* yes +\|", capsys.readouterr().out)


def test_markdown_keeps_its_columns():
    text = tables.markdown(pd.DataFrame({"a": ["1", "x|y"], "long name": ["2", "3"]}))
    assert len({len(row.replace("\\|", "__")) for row in text.splitlines()}) == 1


def test_metrics_of_codes_have_a_column_and_do_not_count_as_unscored(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.encodec_eval.report.test_report.METRICS", [*METRICS, "code_entropy"])
    found = results.load(make_run(tmp_path / "run"))
    assert (found.quality_metrics, found.code_metrics) == (["si_snr", "stoi"], ["code_entropy"])
    table = tables.main_table(found, results.summarize(found)).set_index("point")
    assert table.loc["tiny@12", "Code entropy bit"] == "0.82"
    assert (table.loc["identity", "Code entropy bit"], table.loc["opus@6", "scored"]) == ("-", "6/6")


def test_reasons_by_clip_are_those_of_going_through_the_scores(run):
    found = dict(zip(itertools.product(run.clips.id, run.points.name), joined_reasons(run), strict=True))
    expected = dict.fromkeys(found, "")
    for score in run.scores[run.scores.value.isna()].itertuples():
        before = expected[score.clip, score.point]
        expected[score.clip, score.point] = f"{before}; {score.metric}: {score.reason}".removeprefix("; ")
    assert found == expected
    assert any("; " in text for text in found.values())


def test_codes_are_counted_file_by_file(tmp_path):
    generator = np.random.default_rng(0)
    codes = [generator.integers(0, high, (3, 50)) for high in (8, 1024, 20)]
    for n, each in enumerate(codes):
        np.save(tmp_path / f"{n}.npy", each.astype(np.int16))
    counts, files = count_codes(sorted(tmp_path.glob("*.npy")))
    assert files == 3
    for k, count in enumerate(counts):
        np.testing.assert_array_equal(count, np.bincount(np.concatenate(codes, axis=1)[k]))
    assert count_codes([]) == ([], 0)


def test_a_folder_without_its_codes_keeps_what_was_counted(tmp_path):
    found = make_run(tmp_path / "run")
    codes = codes_path(str(found / "codes"), "tiny", results.load(found).clips.id[0])
    codes.parent.mkdir(parents=True)
    np.save(codes, np.arange(40, dtype=np.int16).reshape(2, 20) % 5)
    counted = codebook_usage(results.load(found))
    write_report_text(results.load(found))
    shutil.rmtree(found / "codes")
    assert "Codebook usage" in write_report_text(results.load(found))
    pd.testing.assert_frame_equal(codebook_usage(results.load(found)), counted, atol=1e-5, check_dtype=False)
    assert list(counted.used) == [5, 5]
    (found / "codebooks.csv").write_text((found / "codebooks.csv").read_text().replace("tiny", "gone"))
    assert not len(codebook_usage(results.load(found)))


def test_a_page_keeps_its_size_and_leaves_what_does_not_fit_beside_it(tmp_path, monkeypatch):
    folder = make_run(tmp_path / "run")
    rows = []
    for n, rank in enumerate(["worst", "median", "best"] * 2):
        row = {"point": f"p{n // 3}", "rank": rank, "clip": f"c{n}", "title": "STOI", "digits": 2, "value": 1.0}
        for kind in ("reference", "audio"):
            row[kind] = f"{kind}/c #{n}.flac"
            for path in (folder / "examples" / row[kind], (folder / "examples" / row[kind]).with_suffix(".png")):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(np.random.default_rng(n).bytes(50_000 if path.suffix == ".flac" else 2_000))
        rows.append(row)
    (folder / "examples/examples.json").write_text(json.dumps(rows))
    write_report(results.load(folder))
    whole = (folder / "report.html").read_text()
    assert whole.count("data:audio/flac;base64,") == 12
    assert "did not fit" not in whole
    limit = len(whole.encode()) - 500_000
    monkeypatch.setattr("encodec_eval.report.html.PAGE_BYTES", limit)
    write_report(results.load(folder))
    page = (folder / "report.html").read_text()
    assert limit - 80_000 < len(page.encode()) < limit + 5_000
    linked = re.findall(r'"examples/([^"]*)"', page)
    assert f"{len(linked)} of 24 files did not fit into this page: it finds them in examples/ beside it." in page
    assert all((folder / "examples" / unquote(name)).is_file() for name in linked)
    assert not any(f"c%20%23{n}.flac" in name for name in linked for n in (1, 4)), "median clips come first"


def test_many_kinds_of_failure_are_cut_to_the_most_frequent(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MOST_ROWS", 1)
    folder = make_run(tmp_path / "run")
    found = results.load(folder)
    write_report(found)
    report = (folder / "report.md").read_text()
    reasons = tables.reasons_table(found)
    assert f"The 1 most frequent of {len(reasons)} reasons; per_clip.csv has all." in report
    section = report.partition("## Scores without a value")[2].partition("##")[0]
    assert section.count("\n| ") == 2  # with the heading
    assert "| identity " in section, "six clips each; tiny@6 has one"
    assert "tiny@6" not in section


def test_a_run_without_rates_has_tables_and_curves(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.encodec_eval.report.test_report.METRICS", ["si_snr", "stoi"])
    found = results.load(make_run(tmp_path / "run"))
    write_report(found)
    table = tables.main_table(found, results.summarize(found))
    assert list(table) == ["point", "SI-SNR dB ↑", "STOI ↑", "scored"]
    assert (found.folder / "rate_stoi.png").exists()
