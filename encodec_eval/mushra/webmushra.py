"""A test as configuration and files for webMUSHRA (audiolabs.de), with the anchors rendered beforehand."""

import json
import shutil
from pathlib import Path
from typing import Any

from encodec_eval.mushra.manifest import LOW_ANCHOR, MID_ANCHOR, REFERENCE, Manifest
from encodec_eval.types import EvalError

WELCOME = (
    "You will hear short recordings in several versions. Rate how close each version is to the reference. "
    "One version is the reference itself: give it 100."
)
NAMES = {REFERENCE, LOW_ANCHOR, MID_ANCHOR}


def webmushra_config(manifest: Manifest, form: int, resources: str) -> dict[str, Any]:
    """The configuration of one form, as webMUSHRA reads it. `resources` is the folder of the WAV files, seen from
    webMUSHRA's root. The hidden reference is not listed: webMUSHRA adds it to each page by itself.
    """
    items = {item.id: item for item in manifest.items}
    first = items[manifest.forms[form][0]]

    def path(file: str) -> str:
        return f"{resources}/{file}"

    trials: list[Any] = [
        {
            "type": "mushra",
            "id": item.id,
            "name": f"Recording {number}",
            "content": WELCOME,
            "showWaveform": True,
            "enableLooping": True,
            "randomize": True,
            "showConditionNames": False,
            "strict": True,
            "createAnchor35": False,
            "createAnchor70": False,
            "reference": path(item.open_reference.file),
            "stimuli": {
                stimulus.condition if stimulus.condition in NAMES else stimulus.id: path(stimulus.file)
                for stimulus in sorted(item.stimuli, key=lambda each: each.id)
                if stimulus.condition != REFERENCE
            },
        }
        for number, item in enumerate((items[name] for name in manifest.forms[form]), start=1)
    ]
    volume = {
        "type": "volume",
        "id": "volume",
        "name": "Volume",
        "content": "Set a comfortable level and leave it there until the end.",
        "stimulus": path(first.open_reference.file),
        "defaultVolume": 0.5,
    }
    finish = {
        "type": "finish",
        "name": "Thank you",
        "content": "Thank you for listening.",
        "showResults": False,
        "writeResults": True,
    }
    welcome = {"type": "generic", "id": "welcome", "name": manifest.title, "content": WELCOME}
    return {
        "testname": manifest.title,
        "testId": manifest.test_id,
        "bufferSize": 2048,
        "stopOnErrors": True,
        "showButtonPreviousPage": True,
        "remoteService": "service/write.php",
        "pages": [welcome, volume, ["random", *trials], finish],
    }


def export(manifest: Manifest, folder: Path, out: Path) -> list[Path]:
    """Write `configs/<test>-form<n>.yaml` and `configs/resources/<test>/*.wav`, to be copied over webMUSHRA's root.

    YAML is written in its JSON form, which every YAML reader takes. Returns the configurations.
    """
    resources = f"configs/resources/{manifest.test_id}"
    if (out / resources).exists():
        raise EvalError(f"{out / resources} exists already; choose another folder")
    (out / resources).mkdir(parents=True)
    for item in manifest.items:
        for stimulus in (item.open_reference, *item.stimuli):
            if stimulus.condition != REFERENCE or stimulus is item.open_reference:
                shutil.copyfile(folder / "stimuli" / stimulus.file, out / resources / stimulus.file)
    written = []
    for form in range(len(manifest.forms)):
        path = out / "configs" / f"{manifest.test_id}-form{form + 1}.yaml"
        config = webmushra_config(manifest, form, resources)
        path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        written.append(path)
    return written
