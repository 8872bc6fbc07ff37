"""Answers kept in a private data set of the Hugging Face hub, for machines that lose their disk, such as Spaces."""

import logging
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from encodec_eval.listening.crowd.store import FILE_NAME
from encodec_eval.mushra.manifest import load_manifest
from encodec_eval.types import EvalError

logger = logging.getLogger(__name__)

EVERY_S = 60.0
LONGEST_WAIT_S = 600.0


class Backup:
    """Brings the record of a test back from the hub when it begins, and uploads it whenever it has grown.

    What came since the last upload, a minute at most while the hub answers, is lost if the machine's disk is. An upload
    that fails is tried again, after twice the time, at most 10 minutes. Use as a context: its end uploads once more.
    """

    def __init__(self, api: Any, dataset: str, folder: Path, every_s: float = EVERY_S) -> None:
        self.api, self.dataset, self.every_s = api, dataset, every_s
        self.file = folder / FILE_NAME
        self.name = f"{load_manifest(folder).test_id}/{FILE_NAME}"
        self._uploaded = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @classmethod
    def connect(cls, dataset: str, folder: Path) -> "Backup":
        """With the token that huggingface_hub finds (HF_TOKEN). Raises `EvalError` where there is none."""
        from huggingface_hub import HfApi, get_token

        if not get_token():
            raise EvalError(f"the data set {dataset} was given without a token; expected HF_TOKEN in the environment")
        return cls(HfApi(), dataset, folder)

    def __enter__(self) -> "Backup":
        self._prepare()
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        if not self.upload():
            logger.error("the last answers are not on the hub: they are in %s only", self.file)

    def _prepare(self) -> None:
        """Make the data set, private, or take the record from it. Raises `EvalError` if it is public."""
        self.api.create_repo(self.dataset, repo_type="dataset", private=True, exist_ok=True)
        if not self.api.repo_info(self.dataset, repo_type="dataset").private:
            raise EvalError(f"the data set {self.dataset} is public; expected a private one for listeners' answers")
        if self.api.file_exists(self.dataset, self.name, repo_type="dataset"):
            stored = Path(self.api.hf_hub_download(self.dataset, self.name, repo_type="dataset")).read_bytes()
            ours = self.file.read_bytes() if self.file.is_file() else b""
            if not (stored.startswith(ours) or ours.startswith(stored)):
                raise EvalError(
                    f"{self.file} and {self.name} on {self.dataset} differ; expected one to begin the other"
                )
            if len(stored) > len(ours):
                self.file.write_bytes(stored)
            self._uploaded = len(stored)

    def upload(self) -> bool:
        """Upload the record if it has grown; whether the hub has all of it now."""
        content = self.file.read_bytes() if self.file.is_file() else b""
        content = content[: content.rfind(b"\n") + 1]
        if len(content) <= self._uploaded:
            return True
        try:
            self.api.upload_file(
                path_or_fileobj=content,
                path_in_repo=self.name,
                repo_id=self.dataset,
                repo_type="dataset",
                commit_message="Answers",
            )
        except Exception as error:  # the hub's client raises many kinds, and none of them may end the test
            logger.warning("upload to %s failed, to be tried again: %s", self.dataset, error)
            return False
        self._uploaded = len(content)
        return True

    def _run(self) -> None:
        wait_s = self.every_s
        while not self._stop.wait(wait_s):
            wait_s = self.every_s if self.upload() else min(2 * wait_s, LONGEST_WAIT_S)
