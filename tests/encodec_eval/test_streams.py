"""Sets that come as a stream: what is kept, what is fetched again, what is refused."""

import io
import json
import sys
import tarfile
from unittest import mock

import numpy as np
import pytest
import soundfile as sf

from encodec_eval import streams
from encodec_eval.__main__ import main
from encodec_eval.datasets import load_set
from encodec_eval.types import EvalError


def flac(n: int) -> bytes:
    buffer = io.BytesIO()
    sf.write(buffer, np.random.default_rng(n).normal(0, 0.1, 1600 + n), 16000, format="FLAC")
    return buffer.getvalue()


def write_tar(path, first: int, count: int, **more: bytes) -> None:
    with tarfile.open(path, "w") as tar:
        for n in range(first, first + count):
            members = {f"set/{n:03}.flac": flac(n), f"set/{n:03}.json": json.dumps({"speaker": n % 2}).encode()}
            for name, data in {**members, f"set/{n:03}.txt": b"words", **more}.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def test_tar_files_are_unpacked_once(tmp_path, monkeypatch):
    for n in range(2):
        write_tar(tmp_path / f"shard-{n:02}.tar", 3 * n, 3)
    root = tmp_path / "data"
    found = load_set(f"{tmp_path}/shard-{{00..01}}.tar", root)
    assert [clip.id for clip in found.clips] == [f"00000{n}_set/00{n}" for n in range(6)]
    assert [clip.speaker for clip in found.clips] == ["0", "1"] * 3
    assert [clip.frames for clip in found.clips] == [1600 + n for n in range(6)]
    again = load_set(f"{tmp_path}/shard-*.tar", root)
    assert again.file_list_sha256 == found.file_list_sha256
    monkeypatch.setattr(streams, "tar_stream", None)
    assert load_set(f"{tmp_path}/shard-*.tar", root).clips == again.clips
    monkeypatch.undo()
    write_tar(tmp_path / "shard-01.tar", 7, 1)
    assert len(load_set(f"{tmp_path}/shard-*.tar", root).clips) == 4


def test_a_tar_cannot_write_outside_its_folder(tmp_path):
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        info = tarfile.TarInfo("../../evil.flac")
        info.size = len(flac(0))
        tar.addfile(info, io.BytesIO(flac(0)))
        link = tarfile.TarInfo("link.flac")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    (clip,) = load_set(str(tmp_path / "evil.tar"), tmp_path / "data").clips
    assert tmp_path / "data" in type(tmp_path)(clip.path).resolve().parents


def test_tars_that_are_none_are_refused(tmp_path):
    (tmp_path / "bad.tar").write_bytes(b"no tar" * 200)
    write_tar(tmp_path / "x-0.tar", 0, 1)
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    for name, message in {
        "bad.tar": "bad.tar cannot be read",
        "missing.tar": "there is no file .*missing.tar",
        "x-{0..1}.tar": r"there is no file .*x-1.tar, which .*x-\{0..1\}.tar names",
        "empty.tar": "holds no audio; expected .wav",
    }.items():
        with pytest.raises(EvalError, match=message):
            load_set(str(tmp_path / name), tmp_path / "data")


def fake_stream(monkeypatch, rows: int, fails_at: int | None = None):
    """A dataset of the hub that notes which rows were fetched."""
    fetched: list[int] = []

    def stream(name, config, split, start):
        for n in range(start, rows):
            if n == fails_at:
                raise OSError("the network\nis gone")
            fetched.append(n)
            yield f"{n}.flac", flac(n), None if n == 0 else f"s{n % 2}"

    monkeypatch.setattr(streams, "hub_stream", stream)
    return fetched


def test_rows_of_the_hub_are_fetched_once_and_only_as_many_as_are_wanted(tmp_path, monkeypatch):
    fetched = fake_stream(monkeypatch, rows=9)
    found = load_set("hf:me/set:test", tmp_path, rows=4)
    assert (found.name, len(found.clips)) == ("hf-me_set-test", 4)
    assert [clip.speaker for clip in found.clips] == [None, "s1", "s0", "s1"]
    assert found.clips[3].id == "000003_3"
    kept = list(fetched)
    assert max(kept) == 4, "one row more shows that the stream has not ended"
    assert len(load_set("hf:me/set:test", tmp_path, rows=4, download=False).clips) == 4
    assert fetched == kept
    with pytest.raises(EvalError, match=r"is not under .*: 4 clips are there and downloads are off"):
        load_set("hf:me/set:test", tmp_path, download=False)
    whole = load_set("hf:me/set:test", tmp_path)
    assert fetched[len(kept) :] == list(range(4, 9))
    assert len(whole.clips) == 9
    assert whole.clips[:4] == found.clips
    assert len(load_set("hf:me/set:test", tmp_path, download=False).clips) == 9


def test_a_limit_bounds_what_is_fetched(tmp_path, monkeypatch, capsys):
    fetched = fake_stream(monkeypatch, rows=99)
    monkeypatch.setattr("encodec_eval.selection.draw", mock.Mock(side_effect=EvalError("enough")))
    given = ["--set", "hf:me/set:test", "--data-root", str(tmp_path), "--out", str(tmp_path / "run")]
    assert main([*given, "--limit", "2", "--systems", "identity"]) == 2
    assert "enough" in capsys.readouterr().err
    assert fetched == list(range(17)), "8 for each clip, and one that shows that there are more"


def test_what_a_lost_network_has_left_is_kept(tmp_path, monkeypatch):
    fake_stream(monkeypatch, rows=5, fails_at=2)
    with pytest.raises(EvalError, match=r"hf:a:b:test cannot be read: the network$"):
        load_set("hf:a:b:test", tmp_path)
    index = tmp_path / "hf/a/b-test/index.jsonl"
    assert len(index.read_text().splitlines()) == 2
    index.write_text(index.read_text()[:-5])  # a kill in the middle of a line
    fetched = fake_stream(monkeypatch, rows=5)
    assert len(load_set("hf:a:b:test", tmp_path).clips) == 5
    assert fetched == [1, 2, 3, 4]


def test_a_dataset_needs_a_split_and_the_extra(tmp_path, monkeypatch):
    with pytest.raises(EvalError, match="is hf:NAME:SPLIT or hf:NAME:CONFIG:SPLIT, not hf:name"):
        load_set("hf:name", tmp_path)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(EvalError, match=r"pip install 'encodec-tools\[datasets\]'"):
        load_set("hf:name:test", tmp_path)


def test_a_parquet_folder_through_datasets(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = {"audio": [{"bytes": flac(n), "path": f"{n}.flac"} for n in range(3)], "speaker_id": [7, 8, 7]}
    made = datasets.Dataset.from_dict(rows).cast_column("audio", datasets.Audio(decode=False))
    (tmp_path / "set/data").mkdir(parents=True)
    made.to_parquet(tmp_path / "set/data/test-00000-of-00001.parquet")
    found = load_set(f"hf:{tmp_path}/set:test", tmp_path / "data", rows=2)
    assert [(clip.speaker, clip.frames) for clip in found.clips] == [("7", 1600), ("8", 1601)]
    assert len(load_set(f"hf:{tmp_path}/set:test", tmp_path / "data").clips) == 3
    with pytest.raises(EvalError, match="cannot be read"):
        load_set(f"hf:{tmp_path}/set:train", tmp_path / "data")
    made.remove_columns("audio").to_parquet(tmp_path / "set/data/test-00000-of-00001.parquet")
    with pytest.raises(EvalError, match="has no column of audio, only speaker_id"):
        load_set(f"hf:{tmp_path}/set:test", tmp_path / "other")
