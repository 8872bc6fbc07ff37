"""The columns of a journal as a data frame, in the order of its run."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from encodec_eval.run.journal import Columns


def frame(columns: Columns, config: dict[str, Any]) -> pd.DataFrame:
    """The scores of a journal as `Results.scores`, names in the order of the run."""
    clips = pd.DataFrame(config["clips"], columns=["id", "speaker", "seconds"])
    clip = ordered(columns.clip, columns.clips, list(clips.id))
    known = np.where(clip.codes < len(clips), clip.codes, -1)
    return pd.DataFrame(
        {
            "clip": clip,
            "point": ordered(columns.point, columns.points, [each["name"] for each in config["points"]]),
            "metric": ordered(columns.metric, columns.metrics, config["settings"]["metrics"]),
            "value": columns.value,
            "reason": pd.Categorical.from_codes(columns.reason, pd.Index(columns.reasons, dtype=object)),
            "speaker": pd.Categorical(clips.speaker).take(known, allow_fill=True),
            "seconds": np.append(clips.seconds, np.nan)[known],
        }
    )


def ordered(numbers: NDArray[np.int32], names: list[str], order: list[str]) -> pd.Categorical:
    """Numbers of `names` as categories in the order of the run; other names stand behind them."""
    categories = pd.Index(list(dict.fromkeys([*order, *names])), dtype=object)
    return pd.Categorical.from_codes(categories.get_indexer(pd.Index(names, dtype=object))[numbers], categories)


def positions(column: pd.Series, order: list[str]) -> NDArray[np.int32]:
    """Where the names of a column stand in `order`, -1 for one that does not."""
    names = pd.Categorical(column)
    place = np.append(pd.Index(order, dtype=object).get_indexer(names.categories), -1)
    return place.astype(np.int32)[names.codes]
