"""What lines do to packets, what their texts mean, and systems on them."""

import hashlib

import numpy as np
import pytest
import torch

import codec.audio
from encodec_eval.channels import spec
from encodec_eval.channels.line import BitErrors, Jitter, Loss, Trace
from encodec_eval.channels.through import Through, chance, wrap
from encodec_eval.datasets import bundled_set
from encodec_eval.metrics import METRICS, choose
from encodec_eval.systems import Encodec, Identity, Opus
from encodec_eval.systems.libopus import PacketOpus, version
from encodec_eval.types import Clip, EvalError, UndefinedError
from tests.checkpoints import random_48khz

MODEL = "encodec_24khz_tiny"
needs_libopus = pytest.mark.skipif(version() is None, reason="libopus or its binding is not installed")


def generator():
    return np.random.default_rng(0)


def lost(channel, packets=20_000):
    carried = channel.carry([b"x"] * packets, generator())
    return np.array([packet is None for packet in carried])


def bursts(losses):
    edges = np.flatnonzero(np.diff(np.concatenate([[0], losses.astype(int), [0]])))
    return np.diff(edges)[::2]


@pytest.mark.parametrize(("share", "burst"), [(0.05, None), (0.2, None), (0.1, 3), (0.2, 2), (0.5, 5)])
def test_losses_have_their_share_and_bursts_their_length(share, burst):
    losses = lost(Loss(share, burst), 100_000)
    assert losses.mean() == pytest.approx(share, rel=0.06)
    assert bursts(losses).mean() == pytest.approx(burst or 1 / (1 - share), rel=0.05)


def test_no_loss_loses_nothing_and_more_loss_loses_more():
    assert not lost(Loss(0.0, 2)).any()
    few, many = lost(Loss(0.05)), lost(Loss(0.2))
    assert (many | ~few).all()
    prefix = lost(Loss(0.2, 3), 500)
    assert np.array_equal(prefix, lost(Loss(0.2, 3), 900)[:500])


def test_late_packets_are_lost():
    assert lost(Jitter(20, 60)).mean() == pytest.approx(np.exp(-3), rel=0.1)
    assert not lost(Jitter(0, 60)).any()


def test_a_trace_is_followed_from_somewhere_and_starts_over(tmp_path):
    path = tmp_path / "trace.txt"
    path.write_text("0 0 1\n1 0\n")
    pattern = "".join(map(str, lost(Trace(str(path)), 20).astype(int)))
    assert pattern in "00110" * 6
    path.write_text("0 2")
    with pytest.raises(EvalError, match="holds no trace; expected 0"):
        Trace(str(path))


def test_bits_flip_at_their_rate():
    zeros = [bytes(1000)] * 20
    carried = BitErrors(0.01).carry([*zeros, None], generator())
    assert carried.pop() is None
    assert np.unpackbits(np.frombuffer(b"".join(carried), np.uint8)).mean() == pytest.approx(0.01, rel=0.05)
    assert BitErrors(0).carry(zeros, generator()) == zeros


@pytest.mark.parametrize(
    "make", [lambda: Loss(1.0), lambda: Loss(0.9, 2), lambda: Jitter(-1), lambda: BitErrors(0.6), lambda: Trace("no")]
)
def test_impossible_lines_are_refused(make):
    with pytest.raises(EvalError, match=r"expected|cannot be read"):
        make()


def test_a_text_stands_for_all_its_combinations():
    found = spec.parse(["loss=0,0.1:burst=2:conceal=repeat,zero+ber=1e-4", "generations=1,5+tandem=opus@12:before"])
    assert [condition.text for condition in found] == [
        "loss=0:burst=2:conceal=repeat+ber=1e-4",
        "loss=0:burst=2:conceal=zero+ber=1e-4",
        "loss=0.1:burst=2:conceal=repeat+ber=1e-4",
        "loss=0.1:burst=2:conceal=zero+ber=1e-4",
        "generations=1+tandem=opus@12:side=before",
        "generations=5+tandem=opus@12:side=before",
    ]
    assert found[3].channels == (Loss(0.1, 2), BitErrors(1e-4))
    assert (found[3].axis, found[3].x, found[3].rest) == ("loss", 0.1, "burst=2:conceal=zero+ber=1e-4")
    assert (found[5].generations, found[5].before, found[5].after) == (5, ("opus@12",), ())
    assert len(spec.parse(["loss=0.1", "loss=0.1"])) == 1


@pytest.mark.parametrize(
    "text",
    ["", "loss", "losses=1", "loss=x", "loss=0.1:hurst=2", "burst=2", "ber=1e-4:burst=2", "generations=0", "loss="],
)
def test_a_text_that_means_nothing_is_refused(text):
    with pytest.raises(EvalError, match=r"expected|above 0"):
        spec.parse([text])


@pytest.fixture(scope="module")
def speech():
    clip = bundled_set("librispeech-mini").clips[8]
    wav, rate = codec.audio.load(clip.path, frames=2 * clip.sample_rate)
    return wav, rate, clip


def outputs(system, speech, names=None):
    wav, rate, clip = speech
    points = [point for point in system.points if names is None or point.name in names]
    return {output.point.name: output for output in system.process(wav, rate, points, clip)}


def test_a_line_without_loss_is_the_codec(speech):
    system = Through(Encodec(MODEL, (3.0,)), spec.parse(["loss=0", "loss=0.1", "ber=0"]))
    found = outputs(system, speech)
    (plain,) = outputs(Encodec(MODEL, (3.0,)), speech).values()
    for name in (f"{MODEL}@3 loss=0", f"{MODEL}@3 ber=0"):
        torch.testing.assert_close(found[name].audio, plain.audio, atol=1e-5, rtol=0)
    assert torch.equal(found[f"{MODEL}@3 loss=0"].audio, found[f"{MODEL}@3 ber=0"].audio)
    assert found[f"{MODEL}@3 loss=0"].payload_bytes == pytest.approx(
        plain.payload_bytes, abs=50
    )  # whole bytes a packet
    assert found[f"{MODEL}@3 loss=0"].lost == 0
    assert not torch.equal(found[f"{MODEL}@3 loss=0.1"].audio, found[f"{MODEL}@3 loss=0"].audio)


def test_every_system_with_packets_of_one_length_loses_the_same(speech):
    conditions = spec.parse(["loss=0.2:burst=2"])
    found = [outputs(Through(Encodec(MODEL, (kbps,)), conditions, 3), speech) for kbps in (1.5, 6.0)]
    if version():
        found.append(outputs(Through(PacketOpus((12,)), conditions, 3), speech))
    shares = [next(iter(each.values())).lost for each in found]
    assert shares[0] == shares[1] > 0
    assert shares == pytest.approx([shares[0]] * len(shares), abs=0.02)  # Opus sends one packet more for its delay
    other = Clip("another", "", 16000, 1, 32000)
    draws = [chance(3, clip, "loss", 0).random(50).tolist() for clip in (speech[2], speech[2], other)]
    assert draws[0] == draws[1] != draws[2]


def test_the_order_and_choice_of_points_change_nothing(speech):
    system = Through(Encodec(MODEL, (1.5, 3.0)), spec.parse(["loss=0.1,0.3", "ber=1e-3"]))
    together = outputs(system, speech)
    for name, output in reversed(together.items()):
        (alone,) = outputs(system, speech, [name]).values()
        assert hashlib.sha256(alone.audio.numpy()).digest() == hashlib.sha256(output.audio.numpy()).digest(), name


def test_copies_cost_their_rate_and_help(speech):
    system = Through(Encodec(MODEL, (6.0,)), spec.parse(["loss=0.3:conceal=repeat,zero,lm,copy2"]), 1)
    found = outputs(system, speech)
    sizes = {name.rpartition("=")[2]: output.payload_bytes for name, output in found.items()}
    assert sizes["repeat"] == sizes["zero"] == sizes["lm"]
    assert sizes["copy2"] == pytest.approx(sizes["repeat"] * (1 + 2 / 8), rel=0.05)
    wav = codec.audio.resample(speech[0], speech[1], 24000)
    error = {name.rpartition("=")[2]: float((o.audio - wav).square().mean()) for name, o in found.items()}
    assert error["copy2"] < min(error["repeat"], error["zero"])


def test_segments_are_lost_whole(speech, tmp_path):
    system = Encodec(str(random_48khz(tmp_path)), (3.0,))
    wav, rate, clip = speech
    through = Through(system, spec.parse(["loss=0,0.6"]), 1)
    none, some = through.process(wav, rate, through.points, clip)
    (plain,) = system.process(wav, rate, system.points)
    torch.testing.assert_close(none.audio, plain.audio, atol=1e-5, rtol=0)
    assert none.payload_bytes == plain.payload_bytes
    assert some.lost > 0
    assert some.audio.shape == plain.audio.shape


def test_generations_feed_on_each_other(speech):
    system = Through(Encodec(MODEL, (3.0,)), spec.parse(["generations=1,3"]))
    first, third = outputs(system, speech).values()
    wav, rate = speech[:2]
    for _ in range(3):
        (plain,) = Encodec(MODEL, (3.0,)).process(wav, rate, Encodec(MODEL, (3.0,)).points)
        wav, rate = plain.audio, plain.sample_rate
    assert torch.equal(third.audio, wav)
    assert first.equal_codes == 1
    assert 0 < third.equal_codes < 1


def test_tandem_stands_before_or_after(speech):
    system = Through(Identity(), spec.parse(["tandem=opus@12:before,after"]))
    before, after = outputs(system, speech).values()
    (opus,) = Opus((12,)).process(*speech[:2], Opus((12,)).points)
    assert torch.equal(before.audio, opus.audio)
    assert torch.equal(after.audio, opus.audio)
    with pytest.raises(EvalError, match="tandem=flac is no codec here; expected opus or mp3"):
        wrap([Identity()], spec.parse(["tandem=flac"]), 0)


def test_transcoding_is_coding_at_that_rate(speech):
    system = Through(Encodec(MODEL, (3.0, 6.0)), spec.parse(["transcode=3,1.5,24"]))
    found = outputs(system, speech)
    assert list(found) == [f"{MODEL}@{high} transcode={low}" for low, high in ((3, 3), (3, 6), (1.5, 3), (1.5, 6))]
    assert all(output.equal_codes == 1 for output in found.values())
    (plain,) = Encodec(MODEL, (3.0,)).process(*speech[:2], Encodec(MODEL, (3.0,)).points)
    torch.testing.assert_close(found[f"{MODEL}@6 transcode=3"].audio, plain.audio, atol=1e-5, rtol=0)


def test_wrapping_says_what_it_cannot_do(speech):
    (through,) = wrap([Identity()], spec.parse(["loss=0.1"]), 0)
    with pytest.raises(EvalError, match="identity is not sent in packets"):
        outputs(through, speech)
    with pytest.raises(EvalError, match="no system here has conceal=magic; expected copy1"):
        wrap([Encodec(MODEL)], spec.parse(["loss=0.1:conceal=magic"]), 0)
    with pytest.raises(EvalError, match=r"packets of 50 ms are no whole frames of 13.33 ms"):
        outputs(Through(Encodec(MODEL, (3.0,)), spec.parse(["loss=0.1:packet=50"])), speech)
    mixed = wrap([Encodec(MODEL, (3.0,)), Opus((12,))], spec.parse(["loss=0.1:conceal=plc,zero", "generations=2"]), 0)
    names = [point.name for system in mixed for point in system.points]
    assert names == [
        f"{MODEL}@3 loss=0.1",
        f"{MODEL}@3 loss=0.1:conceal=zero",
        f"{MODEL}@3 generations=2",
        "opus-vbr@12 loss=0.1:conceal=plc",
        "opus-vbr@12 loss=0.1",
        "opus-cbr@12 loss=0.1:conceal=plc",
        "opus-cbr@12 loss=0.1",
        "opus@12 generations=2",
    ]


def test_what_lines_do_is_measured_only_where_there_are_any():
    assert not {"lost", "equal_codes"} & set(choose(None))
    (output,) = Identity().process(torch.zeros(1, 9), 16000, Identity().points)
    for name in ("lost", "equal_codes"):
        with pytest.raises(UndefinedError):
            METRICS[name].function(output, 1.0)


@needs_libopus
def test_opus_conceals_and_its_copies_help(speech):
    system = Through(PacketOpus((16,)), spec.parse(["loss=0,0.3:conceal=fec,plc"]), 1)
    found = outputs(system, speech)
    wav, rate = speech[:2]
    error = {name: float((output.audio - wav).square().mean()) for name, output in found.items()}
    assert all(output.audio.shape == wav.shape and output.sample_rate == rate for output in found.values())
    name = "opus-vbr@16 loss={}:conceal={}".format
    assert error[name(0, "plc")] < error[name(0.3, "fec")] < error[name(0.3, "plc")]
    assert found[name(0, "plc")].lost == 0


@needs_libopus
def test_hard_constant_rate_is_constant_and_bit_errors_are_survived(speech):
    wav, rate, _ = speech
    constant = PacketOpus((12,), vbr=False)
    line = constant.line(wav, rate, 0.04)
    assert {len(packet) for packet in line.packets(constant.points[0], "plc")} == {60}
    variable = PacketOpus((12,)).line(wav, rate, 0.04)
    assert len({len(packet) for packet in variable.packets(PacketOpus((12,)).points[0], "plc")}) > 1
    flipped = outputs(Through(constant, spec.parse(["ber=0.02"])), speech)
    assert next(iter(flipped.values())).audio.shape == wav.shape
    assert constant.describe()["libopus"].startswith("libopus ")
    with pytest.raises(EvalError, match="Opus has no packets of 30 ms; expected 10, 20, 40, 60"):
        constant.line(wav, rate, 0.03)


def test_without_libopus_there_is_a_reason(speech, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "opuslib_next", None)
    assert version() is None
    assert PacketOpus().describe()["libopus"] is None
    with pytest.raises(EvalError, match=r"apt install libopus0.*encodec-tools\[line\]"):
        PacketOpus().process(*speech[:2], PacketOpus().points)
