"""Tests of other methods than MUSHRA, made from noise."""

from encodec_eval.datasets import ClipSet, folder_clips
from encodec_eval.listening import make
from encodec_eval.mushra.make import Design
from encodec_eval.systems import Mp3
from tests.encodec_eval.listening.crowd.fakes import noises


def test_a_preset_is_mushras_own(tmp_path, monkeypatch):
    monkeypatch.setattr(make, "RECORDINGS", 2)
    clips = ClipSet("noise", folder_clips(noises(tmp_path / "set", 2)))
    design = Design(clips, [Mp3((32,))], preset="paper")  # 50 items
    manifest = make.make_test(design, "dcr", make.Choices(), tmp_path / "test")
    assert len({item.clip for item in manifest.items}) == 2
    assert manifest.preset == "dcr"
