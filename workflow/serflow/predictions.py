"""What every system gives: the emotion, a prediction and a probability per class for each test utterance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    import numpy as np


def predictions_frame(
    rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str], **told: object
) -> pd.DataFrame:
    """`rows` with `utterance, speaker, emotion`, `probabilities` `[N, classes]` -> frame `utterance, speaker,
    emotion, prediction, p_<class>...`, with what else is `told` of them (system, fold, seed, vectors), a column each.
    """
    frame = rows[["utterance", "speaker", "emotion"]].reset_index(drop=True)
    frame["prediction"] = [classes[number] for number in probabilities.argmax(1)]
    frame[[f"p_{name}" for name in classes]] = probabilities
    return frame.assign(**told)
