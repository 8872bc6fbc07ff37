"""The measured numbers of a session as an HTML table."""

import html
from collections.abc import Sequence

from encodec_eval.demo.session import QUALITY, SPEED, Session, Version
from encodec_eval.metrics import METRICS

_TABLE = """<div class="scroll" role="region" aria-label="Measured values" tabindex="0"><table>
<thead><tr><td></td><th scope="colgroup" colspan="3">kbps</th><td></td><th
scope="colgroup" colspan="3">Against the original</th>
<th scope="colgroup" colspan="2">× real time</th></tr>
<tr><th scope="col">Version</th><th scope="col">codes</th><th scope="col">file</th>
<th scope="col">with LM</th><th scope="col">PCM&nbsp;÷</th>
<th scope="col">SI-SNR&nbsp;dB</th><th scope="col">STOI</th><th scope="col">PESQ</th>
<th scope="col">encode</th><th scope="col">decode</th></tr></thead><tbody>{rows}</tbody></table></div>{remarks}"""


def label(version: Version) -> str:
    """What a version is called: its nominal rate, and Opus by its name."""
    rate = f"{version.point.nominal_kbps:g} kbps"
    return f"Opus {rate}" if version.point.series == "opus" else rate


def table(session: Session, remarks: Sequence[str] = ()) -> str:
    """One row a version; "…" is still to come, "–" is not there. Below: the remarks, then why a number is missing."""
    notes = dict.fromkeys(remarks)
    for version in session.versions:
        missing = [score for score in version.scores.values() if score.reason]
        notes |= dict.fromkeys(f"{METRICS[score.metric].title}: {score.reason}" for score in missing)
    rows = "".join(_row(version, session.finished) for version in session.versions)
    items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return _TABLE.format(rows=rows, remarks=f"<ul class='remarks'>{items}</ul>" if items else "")


def _row(version: Version, finished: bool) -> str:
    entropy_coming = not finished and version.codes is not None
    cells = [
        _cell(version.payload_kbps, 1),
        _cell(version.file_kbps, 1),
        _cell(version.entropy_kbps, 1, entropy_coming),
        _cell(version.pcm_ratio, 0),
    ]
    for name in (*QUALITY, *SPEED):
        coming = not finished and name not in version.scores
        cells.append(_cell(version.value(name), METRICS[name].digits, coming))
    title = f"{html.escape(label(version))}<small>{html.escape(version.point.series)}</small>"
    return f"<tr><th scope='row'>{title}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _cell(value: float | None, digits: int, coming: bool = False) -> str:
    if value is None:
        return "…" if coming else "–"
    return f"{value:.{digits}f}"
