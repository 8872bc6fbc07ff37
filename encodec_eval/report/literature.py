"""Published figures to compare ours with. They were measured on other recordings."""

from typing import NamedTuple

import pandas as pd

# kbps, PESQ-wb, STOI of the released facebook/encodec_24khz on speech, as Codec-SUPERB reports them.
ENCODEC_SPEECH = pd.DataFrame(
    [(1.5, 1.52, 0.80), (3, 1.98, 0.86), (6, 2.64, 0.91), (12, 3.30, 0.94), (24, 3.66, 0.96)],
    columns=["kbps", "pesq", "stoi"],
)

# Table of the paper's objective evaluation at 6 kbps, speech and music mixed; ViSQOL is in its audio mode.
PAPER_OBJECTIVE = pd.DataFrame(
    [
        ("Opus", 6, 2.45, 2.60),
        ("EVS", 9.6, 1.89, 2.74),
        ("EnCodec, streamable", 6, 6.67, 4.35),
        ("EnCodec, not streamable", 6, 7.46, 4.39),
    ],
    columns=["system", "kbps", "si_snr", "visqol_audio"],
)


class QuotedScores(NamedTuple):
    """Mean and half the 95 % interval on four sets. `kbps_lm` is the rate with the language model."""

    system: str
    kbps: float | None
    kbps_lm: float | None
    clean_speech: tuple[float, float]
    noisy_speech: tuple[float, float]
    music_1: tuple[float, float]
    music_2: tuple[float, float]


# MUSHRA at 24 kHz mono, streamable: table 1 of the paper.
MUSHRA = (
    QuotedScores("Reference", None, None, (95.5, 1.6), (93.9, 1.8), (93.2, 2.5), (97.1, 1.3)),
    QuotedScores("Opus", 6, None, (30.1, 2.8), (19.1, 5.9), (20.6, 5.8), (17.9, 5.3)),
    QuotedScores("Opus", 12, None, (76.5, 2.3), (61.9, 2.1), (77.8, 3.2), (65.4, 2.7)),
    QuotedScores("EVS", 9.6, None, (84.4, 2.5), (80.0, 2.4), (89.9, 2.3), (87.7, 2.3)),
    QuotedScores("Lyra v2", 3, None, (53.1, 1.9), (52.0, 4.7), (69.3, 3.3), (42.3, 3.5)),
    QuotedScores("Lyra v2", 6, None, (66.2, 2.9), (59.9, 3.3), (75.7, 2.6), (48.6, 2.1)),
    QuotedScores("EnCodec", 1.5, 0.9, (49.2, 2.4), (41.3, 3.6), (68.2, 2.2), (66.5, 2.3)),
    QuotedScores("EnCodec", 3, 1.9, (67.0, 1.5), (62.5, 2.3), (89.6, 3.1), (87.8, 2.9)),
    QuotedScores("EnCodec", 6, 4.1, (83.1, 2.7), (69.4, 2.3), (92.9, 1.8), (91.3, 2.1)),
    QuotedScores("EnCodec", 12, 8.9, (90.6, 2.6), (80.1, 2.5), (91.8, 2.5), (92.9, 1.2)),
)


def mushra_table() -> pd.DataFrame:
    """The quoted scores of the paper's listening test as text."""
    rates = [["-" if rate is None else f"{rate:g}" for rate in row[1:3]] for row in MUSHRA]
    scores = [[f"{mean}±{half}" for mean, half in row[3:]] for row in MUSHRA]
    return pd.DataFrame(
        [(row.system, *rate, *score) for row, rate, score in zip(MUSHRA, rates, scores, strict=True)],
        columns=["system", "kbps", "kbps with LM", "clean speech", "noisy speech", "music 1", "music 2"],
    )


def objective_table() -> pd.DataFrame:
    """The quoted objective figures as text."""
    speech = pd.DataFrame(
        {
            "system": "EnCodec 24 kHz, speech",
            "kbps": ENCODEC_SPEECH.kbps.map("{:g}".format),
            "PESQ-wb": ENCODEC_SPEECH.pesq.map("{:.2f}".format),
            "STOI": ENCODEC_SPEECH.stoi.map("{:.2f}".format),
            "source": "Codec-SUPERB",
        }
    )
    mixed = pd.DataFrame(
        {
            "system": PAPER_OBJECTIVE.system + ", speech and music",
            "kbps": PAPER_OBJECTIVE.kbps.map("{:g}".format),
            "SI-SNR dB": PAPER_OBJECTIVE.si_snr.map("{:.2f}".format),
            "ViSQOL": PAPER_OBJECTIVE.visqol_audio.map("{:.2f}".format),
            "source": "arXiv 2210.13438",
        }
    )
    columns = ["system", "kbps", "PESQ-wb", "STOI", "SI-SNR dB", "ViSQOL", "source"]
    return pd.concat([speech, mixed]).reindex(columns=columns).fillna("-")
