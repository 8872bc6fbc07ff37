"""What a line and coding again did to an output, beside its quality: for runs with `--through`."""

from encodec_eval.types import Metric, Output, UndefinedError


def lost(output: Output, duration_s: float) -> float:
    """The share of packets that did not arrive."""
    if output.lost is None:
        raise UndefinedError("nothing was sent in packets")
    return output.lost


def equal_codes(output: Output, duration_s: float) -> float:
    """The share of codes that are those of the first coding."""
    if output.equal_codes is None:
        raise UndefinedError("nothing was coded again in codes")
    return output.equal_codes


METRICS = [
    Metric(
        name="lost",
        title="packets lost",
        unit="",
        higher_is_better=None,
        range=(0, 1),
        source="counted",
        function=lost,
        kind="output",
        purpose="how many packets did not arrive",
        digits=3,
        on_request=True,
    ),
    Metric(
        name="equal_codes",
        title="equal codes",
        unit="",
        higher_is_better=True,
        range=(0, 1),
        source="share of the codes of a clip, all codebooks, that are those of its first coding",
        function=equal_codes,
        kind="output",
        purpose="how many codes stay when audio is coded again",
        digits=3,
        on_request=True,
    ),
]
