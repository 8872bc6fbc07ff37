"""Table 3 of Kumar et al., High-Fidelity Audio Compression with Improved RVQGAN, NeurIPS 2023 (arXiv 2306.06546)."""

from encodec_eval.report.layouts import Column, Layout, Row

MEL, STFT, VISQOL, SDR = "Mel distance ↓", "STFT distance ↓", "ViSQOL ↑", "SI-SDR dB ↑"


def _row(codec: str, kbps: float, mel: float, stft: float | None, visqol: float, sdr: float) -> Row:
    values = {MEL: mel, VISQOL: visqol, SDR: sdr} | ({} if stft is None else {STFT: stft})
    return Row(codec, kbps, values)


LAYOUT = Layout(
    name="dac",
    source="Kumar et al., High-Fidelity Audio Compression with Improved RVQGAN, arXiv 2306.06546, table 3",
    columns=(
        Column(MEL, "mel_distance", "at 44.1 kHz"),
        Column(STFT, "stft_distance", "at 44.1 kHz"),
        Column(VISQOL, "visqol_audio", "audio mode", "audio mode, SVR mapper, through visqol-python"),
        Column(SDR, "si_sdr"),
    ),
    rows=(
        _row("DAC 44.1 kHz", 1.78, 1.39, 1.95, 3.76, 2.16),
        _row("DAC 44.1 kHz", 2.67, 1.28, 1.85, 3.90, 4.41),
        _row("DAC 44.1 kHz", 5.33, 1.07, 1.69, 4.09, 8.13),
        _row("DAC 44.1 kHz", 8, 0.93, 1.60, 4.18, 10.75),
        _row("EnCodec 24 kHz", 1.5, 2.11, None, 2.82, -0.02),
        _row("EnCodec 24 kHz", 6, 1.83, None, 3.05, 5.99),
        _row("Lyra", 9.2, 2.71, None, 2.19, -14.52),
        _row("Opus", 8, 3.60, None, 2.06, 5.68),
    ),
    rows_from="its table 3, as reprinted elsewhere; rows and cells that the reprint leaves out are left out here",
    rows_set="3000 excerpts of 10 s of AudioSet, DAPS and MUSDB at 44.1 kHz",
    note="Both distances depend on the sample rate: runs on clips of another rate than 44.1 kHz do not compare.",
)
