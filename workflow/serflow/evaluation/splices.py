"""Whether what is said of frames is where the emotion is: splices of unheard speakers, whose truth is known (ours).

Every number is a mean over the speakers that a fold tests, of whom each has one, over all seeds; intervals and tests
are over speakers too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from serflow.evaluation.statistics import over_blocks
from serflow.evaluation.tables import aligned, escaped, written
from serflow.splices import NEUTRAL

if TYPE_CHECKING:
    from serflow.evaluation.statistics import Estimate

REFERENCE, NOWHERE = "reference", "nowhere"  # rows that are no system
TITLES = {
    REFERENCE: "Log-mel windows + logistic regression, trained on splices' frames",
    NOWHERE: "Neutral everywhere",
}
KINDS = {"intensity": "Intensity", "posterior": "Posterior of emotion", "attention": "Attention"}


def frames_table(
    scores: pd.DataFrame, emotions: pd.DataFrame, units: pd.DataFrame, control: str | None
) -> pd.DataFrame:
    """A frame of kind, name, measure, value, low, high (95 % Student's interval), difference and p (paired t-test).

    scores, emotions, units: what `serflow.recognition.spliced` tells, with a column `seed`. Of `system` the measures
    are UA and error (emotion diarization error), everywhere (that of the utterance's own emotion, which error is
    compared with) and boundary (s); of `intensity`, `posterior` and `attention` auc, compared with that of the
    intensity `control`, and precision; of `units` emotion_pnmi, compared with chance_pnmi, emotion_purity and
    phone_pnmi; of `seams` auc alone.
    """
    found = [*_systems(emotions), *_scores(scores, control), *_units(units)]
    columns = ["kind", "name", "measure", "value", "low", "high", "difference", "p"]
    return pd.DataFrame(found, columns=columns).round(4)


def layer_points(units: pd.DataFrame) -> pd.DataFrame:
    """What `figures.sweep_curves` draws of every layer of every encoder, a value a speaker: what its clusters tell of
    the emotion in a frame, less what moved ones tell by chance, and of MFCC clusters. Empty without any."""
    layers = units.dropna(subset="layer").astype({"layer": int}) if "layer" in units else units
    if layers.empty:
        return pd.DataFrame()
    measures = {
        "Emotion PNMI above chance": layers["emotion_pnmi"] - layers["chance_pnmi"],
        "Emotion purity": layers["emotion_purity"],
        "Phone-like PNMI": layers["phone_pnmi"],
    }
    own = layers[["name", "layer", "k"]].rename(columns={"name": "line"})
    return pd.concat([own.assign(measure=name, value=values) for name, values in measures.items()], ignore_index=True)


def of_system(table: pd.DataFrame, name: str) -> dict[str, pd.Series]:
    """{measure: row} of a system in `frames_table`'s, and as `nowhere` the error of neutral everywhere."""
    own = table[(table["kind"] == "system") & table["name"].isin([name, NOWHERE])].set_index(["name", "measure"])
    return dict(own.loc[name].iterrows()) | {"nowhere": own.loc[(NOWHERE, "error")]}


def to_markdown(table: pd.DataFrame, titles: dict[str, str], control: str | None, speakers: int) -> str:
    """The table for people; titles: of systems; `speakers`: how many were tested."""
    told = table.set_index(["kind", "name", "measure"]).sort_index()
    text = ["# Where the emotion is", ""]
    systems = _names(table, "system")
    if systems:
        lines = [["System", "Frame UA", "EDER", "One label a splice", "Difference", "Boundary", "AUC"]]
        for name in systems:
            own, auc = told.loc["system", name], ("posterior", name, "auc")
            error = own.loc["error"]
            cells = [_share(own.loc["UA"]), _share(error), _share(own.loc["everywhere"], interval=False)]
            cells += [_against(error, "{:+.1f}", 100), _plain(own.loc["boundary"].value, "{:.2f} s")]
            cells.append(_plain(told.loc[auc].value) if auc in told.index else "-")
            lines.append([escaped((titles | TITLES)[name]), *cells])
        text += [*aligned(lines), "", _systems_note(speakers), ""]
    kinds = [kind for kind in KINDS if _names(table, kind)]
    if kinds:
        than = f"Against {escaped(control)}" if control else "Difference"
        lines = [["Score of a frame", "Kind", "AUC [95 % interval]", "Average precision", than]]
        for kind in kinds:
            for name in _names(table, kind):
                own = told.loc[kind, name]
                title = escaped((titles | TITLES).get(name, name))
                auc, precision = own.loc["auc"], own.loc["precision"]
                lines.append([title, KINDS[kind], _within(auc), _plain(precision.value), _against(auc)])
        text += ["## Emotional frames from neutral ones", "", *aligned(lines), "", SCORES_NOTE, ""]
    if _names(table, "units"):
        lines = [["Units", "Emotion PNMI", "By chance", "Difference", "Emotion purity", "Phone-like PNMI"]]
        for name in _names(table, "units"):
            own = told.loc["units", name]
            cells = [_within(own.loc["emotion_pnmi"], "{:.3f}"), _plain(own.loc["chance_pnmi"].value, "{:.3f}")]
            cells.append(_against(own.loc["emotion_pnmi"], "{:+.3f}"))
            cells += [_plain(own.loc[name].value, "{:.3f}") for name in ("emotion_purity", "phone_pnmi")]
            lines.append([escaped(name), *cells])
        text += ["## Units", "", *aligned(lines), "", UNITS_NOTE, ""]
    return "\n".join([*text, _seams_note(told)]) + "\n"


def _systems(emotions):
    """Rows of every system, and of neutral everywhere."""
    if emotions.empty:
        return
    one = emotions[emotions["name"] == emotions["name"].iloc[0]]
    right = one["seconds"].where(one["emotion"] == NEUTRAL, 0.0)
    nowhere = one.assign(name=NOWHERE, right=right, right_everywhere=right, boundary=float("nan"))
    for name, own in pd.concat([nowhere, emotions]).groupby("name", sort=False):
        summed = own.groupby(["speaker", "emotion"])[["seconds", "right", "right_everywhere"]].sum()
        shares = summed["right"] / summed["seconds"]
        of_speaker = summed.groupby("speaker").sum()
        error, everywhere = (1 - of_speaker[key] / of_speaker["seconds"] for key in ("right", "right_everywhere"))
        boundary = own.drop_duplicates(["seed", "splice"]).groupby("speaker")["boundary"].mean()
        yield _row("system", name, "UA", shares.groupby("speaker").mean())
        yield _row("system", name, "error", error, None if name in TITLES else everywhere)
        yield _row("system", name, "everywhere", everywhere)
        yield _row("system", name, "boundary", boundary.dropna())


def _scores(scores, control):
    """Rows of every score of frames, and of the detector of seams."""
    if scores.empty:
        return
    measured = scores[scores["kind"] != "seams"]
    means = measured.groupby(["kind", "name", "speaker"], sort=False)[["auc", "precision"]].mean()
    least = measured[(measured["kind"] == "intensity") & (measured["name"] == control)]
    least = least.groupby("speaker")["auc"].mean() if len(least) else None
    for (kind, name), own in means.groupby(["kind", "name"], sort=False):
        own = own.droplevel(["kind", "name"]).dropna()
        itself = kind == "intensity" and name == control
        yield _row(kind, name, "auc", own["auc"], None if itself else least)
        yield _row(kind, name, "precision", own["precision"])
    seams = scores[scores["kind"] == "seams"]
    if len(seams):
        yield _row("seams", "seams", "auc", seams["auc"].dropna())  # a block a fold


def _units(units):
    """Rows of all units of the run."""
    units = units[units["layer"].isna()] if len(units) else units
    for name, own in units.groupby("name", sort=False) if len(units) else ():
        means = own.groupby("speaker")[["emotion_pnmi", "chance_pnmi", "emotion_purity", "phone_pnmi"]].mean()
        yield _row("units", name, "emotion_pnmi", means["emotion_pnmi"], means["chance_pnmi"])
        for measure in ("chance_pnmi", "emotion_purity", "phone_pnmi"):
            yield _row("units", name, measure, means[measure])


def _row(kind, name, measure, values, than=None):
    """Estimates over the blocks of a series, and against those of another."""
    row = {"kind": kind, "name": name, "measure": measure}
    if values.empty:
        return row
    found: Estimate = over_blocks(values.to_numpy())
    row |= {"value": found.value, "low": found.low, "high": found.high}
    if than is not None:
        apart = over_blocks((values - than).dropna().to_numpy())
        row |= {"difference": apart.value, "p": apart.p}
    return row


def _names(table, kind) -> list[str]:
    return list(dict.fromkeys(table[table["kind"] == kind]["name"]))


def _share(row, interval=True):
    percent = _plain(100 * row.value, "{:.1f}")
    return f"{percent} [{100 * row.low:.1f}, {100 * row.high:.1f}]" if interval and row.low == row.low else percent


def _within(row, form="{:.2f}"):
    plain = _plain(row.value, form)
    return f"{plain} [{form.format(row.low)}, {form.format(row.high)}]" if row.low == row.low else plain


def _against(row, form="{:+.2f}", factor=1):
    if pd.isna(row.difference):
        return "-"
    told = form.format(factor * row.difference)
    return told if pd.isna(row.p) else f"{told}, {written(row.p)}"


def _plain(value, form="{:.2f}"):
    return "-" if pd.isna(value) else form.format(value)


def _systems_note(speakers):
    return (
        f"- Splices of {speakers} speakers whom the system did not hear: neutral and emotional recordings of one "
        "speaker, joined, so that it is known where the emotion is. The system was trained on whole utterances; what "
        "it says of a frame is its posterior of the half second around it. Frame UA: mean over emotions, neutral "
        "among them, of the share of their time that is found. EDER: emotion diarization error rate, the share of "
        "time that is labelled wrongly. One label a splice: EDER where the system's decision for the whole stands "
        "for all its frames; the difference is what looking at frames changes. Boundary: mean distance of true and "
        "found boundaries. AUC: of the posterior that is not neutral, for emotional against neutral frames. "
        "Means over speakers and seeds, 95 % intervals and paired t-tests over speakers."
    )


SCORES_NOTE = (
    "- AUC: the chance that of an emotional and a neutral frame of one splice the emotional one scores higher; .50 "
    "is chance. All pieces of a splice have the same level, so loudness between them says nothing. Attention: the "
    "share of a frame in a system's decision."
)
UNITS_NOTE = (
    "- What a frame's unit tells of the emotion in it, within a speaker's splices, as a share of what there is to "
    "know (PNMI); by chance: of the same units moved along the speech; more units tell more by themselves. "
    "Phone-like PNMI: of 50 clusters of MFCCs, which stand for the phones that nobody wrote down."
)


def _seams_note(told):
    if ("seams", "seams", "auc") not in told.index or pd.isna(told.loc["seams", "seams", "auc"].value):
        return "- No splice of two neutral recordings could tell whether seams can be found."
    found = told.loc["seams", "seams", "auc"]
    return (
        "- Seams: a detector trained to find those of neutral + neutral has AUC "
        f"{_within(found)} on splices of unheard speakers, interval over folds; .50 is chance. What it has above "
        "that, a system could use to find boundaries without hearing emotion."
    )
