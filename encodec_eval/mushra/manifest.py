"""`manifest.json`: everything about a listening test that the listener must not see, and how it was made."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from encodec_eval.types import EvalError

REFERENCE, LOW_ANCHOR, MID_ANCHOR = "reference", "anchor35", "anchor70"  # the names that webMUSHRA uses
FILE_NAME = "manifest.json"
STIMULUS_ID = "s[0-9a-f]{12}"  # how ids of stimuli look, for telling them from names of conditions


@dataclass(frozen=True)
class Stimulus:
    """One rendered signal. `id` is the only name a listener's machine sees; `kbps` is measured on the whole clip.

    `lag` is the delay in samples at 48 kHz that was removed; `scores` maps metric names to values or reasons.
    """

    id: str
    condition: str
    file: str
    sha256: str
    kbps: float | None = None
    lag: int = 0
    scores: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Item:
    """One trial: what was cut (seconds of the source file) and the gain that all its stimuli share."""

    id: str
    clip: str
    speaker: str | None
    start_s: float
    duration_s: float
    gain_db: float
    lowered_db: float
    loudness_lufs: float
    open_reference: Stimulus
    stimuli: Sequence[Stimulus]
    domain: str = ""

    @property
    def conditions(self) -> list[str]:
        return [stimulus.condition for stimulus in self.stimuli]


@dataclass(frozen=True)
class Manifest:
    """A whole test. `forms` are the item ids that one listener hears; `settings` records how it was made.

    `method` is a name of `encodec_eval.listening.methods.METHODS`; but for MUSHRA an item is one trial of it.
    """

    test_id: str
    title: str
    preset: str
    seed: int
    conditions: Sequence[str]
    items: Sequence[Item]
    forms: Sequence[Sequence[str]]
    settings: dict[str, object]
    method: str = "mushra"

    def names(self) -> dict[str, tuple[str, str]]:
        """From stimulus id to `(item id, condition)`."""
        return {stimulus.id: (item.id, stimulus.condition) for item in self.items for stimulus in item.stimuli}

    def save(self, folder: Path) -> None:
        """Write `manifest.json` into the folder of the test."""
        (folder / FILE_NAME).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def load_manifest(path: Path) -> Manifest:
    """Read the manifest of a test, given the file or the folder. Raises `EvalError` if it is missing or damaged."""
    file = path / FILE_NAME if path.is_dir() else path
    if not file.is_file():
        raise EvalError(f"{path} holds no listening test: {FILE_NAME} is missing")
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        fields["items"] = [_item(item) for item in fields["items"]]
        return Manifest(**fields)
    except (ValueError, TypeError, KeyError) as error:
        raise EvalError(f"{file} is not the manifest of a listening test: {error}") from error


def _item(fields: dict[str, object]) -> Item:
    opened = Stimulus(**fields.pop("open_reference"))  # type: ignore[arg-type]
    stimuli = [Stimulus(**each) for each in fields.pop("stimuli")]  # type: ignore[attr-defined]
    return Item(**fields, open_reference=opened, stimuli=stimuli)  # type: ignore[arg-type]
