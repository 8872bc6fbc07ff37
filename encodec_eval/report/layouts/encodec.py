"""The objective table of Défossez et al., High Fidelity Neural Audio Compression (arXiv 2210.13438), by domain as its
listening test in table 1 is."""

from encodec_eval.report.layouts import Column, Layout, Row
from encodec_eval.report.literature import PAPER_OBJECTIVE
from encodec_eval.report.results import records
from encodec_eval.types import CLEAN_SPEECH, MUSIC, NOISY_SPEECH

SNR, VISQOL = "SI-SNR dB ↑", "ViSQOL ↑"
_OURS = {SNR: "", VISQOL: "audio mode, SVR mapper, through visqol-python"}


def _columns(title: str, metric: str) -> list[Column]:
    split = [Column(f"{title} {name}", metric, domain=name) for name in (CLEAN_SPEECH, NOISY_SPEECH, MUSIC)]
    return [Column(title, metric, "audio mode" if title == VISQOL else "", _OURS[title]), *split]


LAYOUT = Layout(
    name="encodec",
    source="Défossez et al., High Fidelity Neural Audio Compression, arXiv 2210.13438: its objective measures, split "
    "as table 1 is",
    columns=(*_columns(SNR, "si_snr"), *_columns(VISQOL, "visqol_audio")),
    rows=tuple(
        Row(row.system, row.kbps, {SNR: row.si_snr, VISQOL: row.visqol_audio}) for row in records(PAPER_OBJECTIVE)
    ),
    rows_from="that paper",
    rows_set="its own clips of speech and music, together",
    note="The MUSHRA scores of table 1 come from listeners: `python -m encodec_eval mushra` makes such a test.",
)
