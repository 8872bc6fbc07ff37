"""The leaderboard of Codec-SUPERB (Wu et al., ACL Findings 2024, arXiv 2402.13071)."""

from encodec_eval.report.layouts import Column, Layout, Row

MEL, PESQ, STOI, F0 = "Mel ↓", "PESQ ↑", "STOI ↑", "F0Corr ↑"


def _row(codec: str, kbps: float, mel: float, pesq: float, stoi: float, f0: float) -> Row:
    return Row(codec, kbps, {MEL: mel, PESQ: pesq, STOI: stoi, F0: f0})


LAYOUT = Layout(
    name="codec-superb",
    source="the leaderboard of Codec-SUPERB, Wu et al., arXiv 2402.13071",
    columns=(
        Column(MEL, "mel_distance", "the benchmark's own mel distance", "that of descript-audio-codec", 3),
        Column(PESQ, "pesq", "", "P.862.2 through pesq 0.0.4, without Corrigendum 2", 3),
        Column(STOI, "stoi", digits=3),
        Column(F0, None, digits=3),
    ),
    rows=(
        _row("encodec_24k_1_5bps", 1.5, 1.331, 1.462, 0.773, 0.666),
        _row("encodec_24k_3bps", 3, 1.175, 1.923, 0.841, 0.826),
        _row("encodec_24k_6bps", 6, 1.060, 2.538, 0.893, 0.837),
        _row("encodec_24k_12bps", 12, 0.948, 3.114, 0.930, 0.993),
        _row("encodec_24k_24bps", 24, 0.889, 3.467, 0.952, 0.880),
        _row("dac_16k", 6, 0.508, 3.855, 0.957, 0.877),
        _row("dac_24k", 24, 0.293, 4.481, 0.993, 0.996),
        _row("dac_44k", 8, 0.538, 3.824, 0.953, 0.959),
        _row("bigcodec_1k", 1, 0.761, 2.199, 0.853, 0.855),
    ),
    rows_from="web/src/results/data.js of github.com/voidful/Codec-SUPERB, under the names it gives the codecs",
    rows_set="its set codec-superb-tiny",
)
