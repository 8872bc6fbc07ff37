"""The measured numbers of a session as an HTML table."""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from encodec_eval.demo.session import Session, Version
from encodec_eval.metrics import METRICS


@dataclass(frozen=True)
class Column:
    """A column: its heading, what it means, the number in it, its decimals, whether it is still to come or failed."""

    title: str
    meaning: str
    value: Callable[[Version], float | None]
    digits: int
    coming: Callable[[Version], bool] = lambda version: False
    failed: Callable[[Version], bool] = lambda version: False


def _metric(name: str, title: str, meaning: str) -> Column:
    return Column(
        title,
        meaning,
        lambda version: version.value(name),
        METRICS[name].digits,
        coming=lambda version: name not in version.scores,
        failed=lambda version: name in version.scores and version.value(name) is None,
    )


COLUMNS = (
    Column("codes, kbps", "rate of the coded signal alone", lambda v: v.payload_kbps, 1),
    Column("file, kbps", "rate of the file: codes and header", lambda v: v.file_kbps, 1),
    Column(
        "with LM, kbps",
        "rate of the file with its codes entropy-coded by the codec's language model: the same audio in fewer bytes",
        lambda v: v.entropy_kbps,
        1,
        lambda v: v.codes is not None and v.entropy_coded is None,
    ),
    Column("PCM ÷", "how many times smaller the codes are than 16-bit PCM", lambda v: v.pcm_ratio, 0),
    _metric("si_snr", "SI-SNR, dB", "level of the original over the level of the error; higher is closer"),
    _metric("stoi", "STOI (speech only)", "intelligibility, 0 to 1; valid for speech only, not for music"),
    _metric("pesq", "PESQ (speech only)", "quality, 1 to 4.64; valid for speech only, not for music"),
    _metric("x_realtime_decode", "decode, ×", "decoding speed: seconds of audio decoded in one second"),
)


def rate(version: Version) -> str:
    """The nominal rate, which is enough under the name of a codec."""
    return f"{version.point.nominal_kbps:g} kbps"


def codec_name(version: Version) -> str:
    """The codec of a version as it stands in headings."""
    return "Opus" if version.point.series == "opus" else version.point.series


def label(version: Version) -> str:
    """What a version is called: its nominal rate, and Opus by its name."""
    return f"Opus {rate(version)}" if version.point.series == "opus" else rate(version)


def table(session: Session, remarks: Sequence[str] = ()) -> str:
    """One row a version under the name of its codec; "…" is still to come, "–" is not there. Columns that nothing can
    fill are left out. Below: the remarks, why a number is missing, and what the columns mean."""
    columns = [column for column in COLUMNS if _filled(column, session)]
    notes = dict.fromkeys([*session.remarks, *remarks])
    for version in session.versions:
        missing = [score for score in version.scores.values() if score.reason]
        notes |= dict.fromkeys(f"{METRICS[score.metric].title}: {score.reason}" for score in missing)
    heads = "".join(f'<th scope="col">{column.title}</th>' for column in columns)
    groups = groupby(session.versions, key=codec_name)
    bodies = "".join(_body(series, list(versions), columns, session) for series, versions in groups)
    items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    meanings = "".join(f"<dt>{column.title}</dt><dd>{column.meaning}</dd>" for column in columns)
    return (
        f'<table><thead><tr><th scope="col">Version</th>{heads}</tr></thead>{bodies}</table>'
        + (f"<ul class='remarks'>{items}</ul>" if items else "")
        + f"<details><summary>What the columns mean</summary><dl>{meanings}</dl></details>"
    )


def _filled(column: Column, session: Session) -> bool:
    """Whether a version has this number, will have it, or has a reason not to."""
    return not session.finished or any(
        column.value(version) is not None or column.failed(version) for version in session.versions
    )


def _body(series: str, versions: list[Version], columns: Sequence[Column], session: Session) -> str:
    title = f"{html.escape(series)}<small>{_encoding(versions)}</small>"
    rows = "".join(_row(version, columns, session.finished) for version in versions)
    return f"<tbody><tr class='codec'><th scope='rowgroup' colspan='{len(columns) + 1}'>{title}</th></tr>{rows}</tbody>"


def _encoding(versions: Sequence[Version]) -> str:
    """The speed of encoding, once where all versions come from one pass."""
    speeds = [speed for version in versions if (speed := version.value("x_realtime_encode")) is not None]
    if not speeds:
        return ""
    if max(speeds) - min(speeds) < 0.05:
        once = ", once for all of them" if len(speeds) > 1 else ""
        return f"encoded at {speeds[0]:.0f} × real time{once}"
    return f"encoded at {min(speeds):.0f} to {max(speeds):.0f} × real time"


def _row(version: Version, columns: Sequence[Column], finished: bool) -> str:
    cells = "".join(
        f'<td data-column="{column.title}">'
        f"{_number(column.value(version), column.digits, not finished and column.coming(version))}</td>"
        for column in columns
    )
    return f"<tr><th scope='row'>{rate(version)}</th>{cells}</tr>"


def _number(value: float | None, digits: int, coming: bool) -> str:
    if value is None:
        return "…" if coming else "–"
    return f"{value:.{digits}f}"
