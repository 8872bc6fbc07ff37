"""The columns in which low-rate speech codecs are compared since BigCodec (Xin et al., 2024, arXiv 2409.05377)."""

from encodec_eval.report.layouts import Column, Layout, Row

WER, NARROW, WIDE, STOI, SIM, UTMOS = "WER % ↓", "PESQ-NB ↑", "PESQ-WB ↑", "STOI ↑", "SIM ↑", "UTMOS ↑"


def _row(codec: str, kbps: float, *values: float) -> Row:
    return Row(codec, kbps, dict(zip((WER, NARROW, WIDE, STOI, SIM, UTMOS), values, strict=True)))


_PESQ = "through pesq 0.0.4, without Corrigendum 2"
LAYOUT = Layout(
    name="bigcodec",
    source="comparisons of low-rate speech codecs as in Xin et al., BigCodec, arXiv 2409.05377",
    columns=(
        Column(WER, "wer", "by HuBERT-large", "by Whisper tiny.en, errors over words, Whisper's normaliser"),
        Column(NARROW, "pesq_nb", "", f"P.862.1 {_PESQ}"),
        Column(WIDE, "pesq", "", f"P.862.2 {_PESQ}"),
        Column(STOI, "stoi"),
        Column(SIM, "speaker_similarity", "by WavLM-large", "by Resemblyzer's encoder: the two do not compare"),
        Column(UTMOS, None),
    ),
    rows=(
        _row("X-Codec 2.0", 0.8, 2.61, 3.04, 2.43, 0.92, 0.82, 4.13),
        _row("XY-Tokenizer", 1.0, 2.46, 3.10, 2.50, 0.92, 0.85, 4.03),
        _row("BigCodec", 1.04, 2.92, 3.27, 2.68, 0.93, 0.84, 4.11),
        _row("SimWhisper-Codec", 1.1, 2.75, 3.29, 2.72, 0.93, 0.83, 4.00),
    ),
    rows_from="README of github.com/ZhangXinWhut/SimWhisper-Codec, where the originals have WER 2.16 and UTMOS 4.09",
    rows_set="LibriSpeech test-clean, 16 kHz",
)
