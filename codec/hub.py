"""The hub and its cache: find the files of a checkpoint by any of its names, and upload a folder."""

import functools
import logging
import os
import re
import tempfile
import threading
from os import PathLike
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)
from huggingface_hub.utils._validators import validate_repo_id

from codec.errors import CheckpointError, short

logger = logging.getLogger(__name__)

BUNDLED_FOLDER = Path(__file__).parent / "pretrained"
CONFIG_NAME = "config.json"
HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")
REACHABILITY_TIMEOUT_S = 2.5
_EXAMPLE = "facebook/encodec_24khz"


def bundled_models() -> list[str]:
    """Names of the checkpoints that come with this package."""
    return sorted(path.parent.name for path in BUNDLED_FOLDER.glob(f"*/{CONFIG_NAME}"))


def find_file(name: str | PathLike[str], file: str, **options: Any) -> Path | None:
    """One file of a checkpoint by bundled name, folder or hub id; None if the checkpoint has no such file.

    Args:
        options: cache_dir, force_download, local_files_only, revision, subfolder, token, as in
            `huggingface_hub.hf_hub_download`.

    Raises `CheckpointError` if there is no such checkpoint or it cannot be had.
    """
    name = str(name)
    subfolder = options.get("subfolder") or ""
    folder = BUNDLED_FOLDER / name if name in bundled_models() else Path(name)
    if os.path.isdir(folder):  # False for names that no path can have
        path = folder / subfolder / file
        return path if path.is_file() else None
    if not _is_hub_id(name):
        raise CheckpointError(
            f"no model {short(name)}: expected one of {', '.join(bundled_models())}, a hub id such as {_EXAMPLE}, "
            f"a folder with {CONFIG_NAME} and weights, or a .th file"
        )
    cached = None if options.get("force_download") else cached_file(name, file, **options)
    if cached is not None:
        return cached
    if not options.get("local_files_only") and not hub_reachable():
        options["local_files_only"] = True
    try:
        return Path(huggingface_hub.hf_hub_download(name, file, **options))
    except LocalEntryNotFoundError as error:
        if cached_file(name, CONFIG_NAME, **options) is not None:
            return None
        raise CheckpointError(
            f"{name} is not in the local cache and the hub cannot be reached; bundled: {', '.join(bundled_models())}"
        ) from error
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, ValueError, OSError) as error:
        raise CheckpointError(f"cannot get {name} from the hub: {short(str(error))}") from error


def cached_file(name: str, file: str, **options: Any) -> Path | None:
    """A file of a hub id that was downloaded before."""
    subfolder = options.get("subfolder")
    found = huggingface_hub.try_to_load_from_cache(
        name, f"{subfolder}/{file}" if subfolder else file, options.get("cache_dir"), options.get("revision")
    )
    return Path(found) if isinstance(found, str) else None


@functools.cache
def hub_reachable() -> bool:
    """Whether the hub answers, decided once a process within 3 s."""
    return reachable(constants.ENDPOINT)


def reachable(url: str) -> bool:
    """Whether the server of a URL answers within 3 s, its name looked up included; with the hub's offline mode, no."""
    answered: list[bool] = []

    def ask() -> None:
        try:
            response = huggingface_hub.get_session().head(url, timeout=REACHABILITY_TIMEOUT_S)
            if response.status_code < 400:  # proxies answer for servers that they cannot reach
                answered.append(True)
        except (OSError, OfflineModeIsEnabled):
            pass
        except Exception as error:  # whatever the HTTP client of the day raises, it means no
            logger.debug("%s cannot be reached: %s", url, error)

    # A thread, because a resolver that hangs honours no timeout.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACHABILITY_TIMEOUT_S)
    return bool(answered)


class Pushable:
    """What is saved as a folder can be uploaded to the hub."""

    def save_pretrained(self, folder: str | PathLike[str]) -> Any:
        raise NotImplementedError

    def push_to_hub(
        self, repo_id: str, *, private: bool | None = None, token: str | bool | None = None, **options: Any
    ) -> str:
        """Save to a repository of the hub, made if missing. Returns the address of the commit.

        `options` are those of `huggingface_hub.HfApi.upload_folder`: commit_message, revision, create_pr, ...
        """
        api = huggingface_hub.HfApi(token=token)
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return str(api.upload_folder(repo_id=repo_id, folder_path=folder, **options).commit_url)


def _is_hub_id(name: str) -> bool:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or name.endswith(".th"):
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True
