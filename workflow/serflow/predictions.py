"""What every system gives: a label, a prediction and a probability per class for each test utterance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    import numpy as np


def predictions_frame(
    rows: pd.DataFrame, probabilities: np.ndarray, classes: list[str], **told: object
) -> pd.DataFrame:
    """`rows` with `utterance, speaker, emotion`, `probabilities` `[N, classes]` -> frame `utterance, speaker, label,
    prediction, p_<class>...`, with what else is `told` of them (system, fold, seed, vectors), a column each."""
    frame = pd.DataFrame(probabilities, columns=[f"p_{name}" for name in classes])
    frame.insert(0, "utterance", rows["utterance"].to_numpy())
    frame.insert(1, "speaker", rows["speaker"].to_numpy())
    frame.insert(2, "label", rows["emotion"].to_numpy())
    frame.insert(3, "prediction", [classes[number] for number in probabilities.argmax(1)])
    return frame.assign(**told)
