"""Where systems err: by class, by speaker, by gender."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from serflow.evaluation.metrics import confusion, unweighted_accuracy

if TYPE_CHECKING:
    from serflow.report.corpus import Corpus


@dataclass(frozen=True)
class Matrix:
    """`counts` `[C, C]`, rows true, summed over folds and seeds; `shares` of their rows."""

    system: str
    title: str
    classes: list[str]
    counts: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        totals = self.counts.sum(1, keepdims=True)
        return np.divide(self.counts, totals, out=np.zeros(self.counts.shape), where=totals > 0)

    @property
    def sentence(self) -> str:
        """The commonest mistake."""
        wrong = self.shares * (1 - np.eye(len(self.classes)))
        row, column = np.unravel_index(wrong.argmax(), wrong.shape)
        if not wrong[row, column]:
            return "No mistakes."
        return (
            f"Most often {self.classes[row]} is taken for {self.classes[column]}: {100 * wrong[row, column]:.0f} %."
        )


def matrices(corpus: Corpus) -> list[Matrix]:
    """A confusion matrix for every system whose predictions are there."""
    return [
        Matrix(
            name,
            corpus.rows.loc[name, "name"],
            corpus.classes,
            confusion(own.emotion, own.prediction, corpus.classes),
        )
        for name, own in corpus.predictions.items()
    ]


def genders(corpus: Corpus) -> pd.DataFrame:
    """UA of the speakers of each gender, the mean over seeds: a frame system, gender, UA, empty if none is known."""
    if corpus.utterances is None or not corpus.utterances["gender"].replace("", None).notna().any():
        return pd.DataFrame(columns=["system", "gender", "UA"])
    known, rows = corpus.utterances.set_index("utterance")["gender"], []
    for name, own in corpus.predictions.items():
        for (gender, _), part in own.groupby([known.loc[own["utterance"]].to_numpy(), "seed"]):
            ua = unweighted_accuracy(confusion(part["emotion"], part["prediction"], corpus.classes))
            rows.append([name, gender, ua])
    return (
        pd.DataFrame(rows, columns=["system", "gender", "UA"])
        .groupby(["system", "gender"])["UA"]
        .mean()
        .reset_index()
    )


def speakers(corpus: Corpus) -> pd.DataFrame:
    """UA of every speaker: a frame system, title, speaker, gender (`-` where unknown), UA, utterances."""
    own = corpus.scores[corpus.scores["kind"] == "speaker"].rename(columns={"name": "speaker"})
    known = (
        {}
        if corpus.utterances is None
        else corpus.utterances.astype({"speaker": str}).groupby("speaker")["gender"].first()
    )
    gender = own["speaker"].map(known).fillna("-").replace("", "-") if len(known) else "-"
    return own.assign(title=own["system"].map(corpus.rows["name"]), gender=gender)


def hardest(corpus: Corpus) -> pd.DataFrame:
    """A row a system: title, UA, its worst speaker and class with their UA and recall, and UA by gender."""
    rows = {row.system: {"title": row.name, "UA": row.UA} for row in corpus.rows.itertuples(index=False)}
    for kind, score in (("speaker", "UA"), ("class", "WA")):
        own = corpus.scores[corpus.scores["kind"] == kind]
        for worst in own.loc[own.groupby("system")[score].idxmin()].itertuples():
            rows[worst.system] |= {kind: worst.name, f"{kind}_score": getattr(worst, score)}
    for told in genders(corpus).itertuples():
        rows[told.system][f"gender {told.gender}"] = told.UA
    return pd.DataFrame(rows.values())


def hardest_sentence(corpus: Corpus) -> str:
    """The speaker whom systems find hardest, and the best system's worst."""
    found = speakers(corpus)
    if found.empty:
        return "The scores of single speakers are not here."
    trained = found[found["system"] != "majority"]
    mean = trained.groupby("speaker")["UA"].mean()
    best = best_system(corpus)
    own = found[found["system"] == best["system"]].set_index("speaker")["UA"]
    return (
        f"Speaker {mean.idxmin()} is the hardest ({100 * mean.min():.1f} on the mean of all systems but the majority "
        f"class), {mean.idxmax()} the easiest ({100 * mean.max():.1f}). {best['name']}, the best system, does worst "
        f"on {own.idxmin()} ({100 * own.min():.1f})."
    )


def best_system(corpus: Corpus) -> pd.Series:
    """The row with the best UA of those that are tested on most utterances."""
    whole = corpus.rows[corpus.rows["utterances"] == corpus.rows["utterances"].max()]
    return whole.loc[whole["UA"].idxmax()]
