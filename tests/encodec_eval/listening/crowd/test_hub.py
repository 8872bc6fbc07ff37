"""Answers on the hub, with a fake in its place."""

from types import SimpleNamespace

import pytest

from encodec_eval.listening.crowd.hub import Backup
from encodec_eval.mushra.manifest import Manifest
from encodec_eval.types import EvalError


class FakeHub:
    """What `HfApi` does, in memory; `down` uploads fail first."""

    def __init__(self, folder, private=True, down=0):
        self.folder, self.private, self.down, self.files = folder, private, down, {}

    def create_repo(self, name, repo_type, private, exist_ok):
        assert (repo_type, private, exist_ok) == ("dataset", True, True)

    def repo_info(self, name, repo_type):
        return SimpleNamespace(private=self.private)

    def file_exists(self, name, path, repo_type):
        return path in self.files

    def hf_hub_download(self, name, path, repo_type):
        file = self.folder / "downloaded"
        file.write_bytes(self.files[path])
        return str(file)

    def upload_file(self, path_or_fileobj, path_in_repo, repo_id, repo_type, commit_message):
        if self.down:
            self.down -= 1
            raise ConnectionError("503")
        self.files[path_in_repo] = path_or_fileobj


@pytest.fixture
def folder(tmp_path):
    Manifest("t1", "", "bs1534", 0, [], [], [], {}).save(tmp_path)
    return tmp_path


def test_the_record_is_uploaded_until_the_hub_has_it_and_comes_back_to_a_new_machine(folder, tmp_path_factory):
    hub = FakeHub(folder, down=1)
    with Backup(hub, "lab/answers", folder, every_s=0.01) as backup:
        (folder / "answers.jsonl").write_bytes(b'{"session":"a"}\n{"half')
        backup._thread.join(0.3)
        assert hub.files == {"t1/answers.jsonl": b'{"session":"a"}\n'}, "tried again, and whole lines only"
        (folder / "answers.jsonl").write_bytes(b'{"session":"a"}\n{"session":"b"}\n')
    assert hub.files["t1/answers.jsonl"].count(b"\n") == 2, "the end uploads once more"
    (folder / "answers.jsonl").unlink()
    with Backup(hub, "lab/answers", folder):
        assert (folder / "answers.jsonl").read_bytes() == hub.files["t1/answers.jsonl"]


def test_a_public_data_set_another_record_and_no_token_are_refused(folder, monkeypatch):
    with pytest.raises(EvalError, match="lab/answers is public; expected a private one"):
        Backup(FakeHub(folder, private=False), "lab/answers", folder).__enter__()
    hub = FakeHub(folder)
    hub.files["t1/answers.jsonl"] = b"{}\n"
    (folder / "answers.jsonl").write_bytes(b'{"session":"a"}\n')
    with pytest.raises(EvalError, match="differ; expected one to begin the other"):
        Backup(hub, "lab/answers", folder).__enter__()
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(EvalError, match="expected HF_TOKEN in the environment"):
        Backup.connect("lab/answers", folder)
