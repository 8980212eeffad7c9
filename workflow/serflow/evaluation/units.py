"""What units tell of emotion and speaker: as much of the first, and as little of the second, as units can have."""

from collections.abc import Iterable

import pandas as pd

from serflow.evaluation.metrics import confusion, unweighted_accuracy
from serflow.evaluation.tables import aligned

TITLES = {
    "emotion_pnmi": "Emotion PNMI", "emotion_purity": "Emotion purity", "speaker_pnmi": "Speaker PNMI",
    "speaker_purity": "Speaker purity", "intensity_pnmi": "True intensity PNMI",
    "intensity_purity": "True intensity purity",
}  # fmt: skip


def units_table(described: Iterable[tuple[dict, dict]]) -> pd.DataFrame:
    """Means over pools and seeds: a frame of units, frames, layer, k, where they are known the keys of TITLES, and
    empty_clusters.

    described: pairs of what names the units, {units, frames, layer, k}, and of the quality of one clustering, as
    quality.json has it.
    """
    rows = []
    for named, quality in described:
        known = [key for key in ("emotion", "speaker", "intensity") if key in quality]
        told = {f"{key}_{measure}": quality[key][measure] for key in known for measure in ("pnmi", "purity")}
        rows.append(named | told | {"empty_clusters": quality["empty_clusters"], "pools": 1})
    rows = pd.DataFrame(rows)
    named = ["units", "frames", "layer", "k"]
    measures = [*(key for key in TITLES if key in rows), "empty_clusters"]
    grouped = rows.groupby(named, sort=False, dropna=False)
    table = grouped[measures].mean().round(4).join(grouped["pools"].sum())
    return table.reset_index().astype({"layer": "Int64"})


def sweep_points(
    sweep: dict[str, dict],
    titles: dict[str, str],
    predictions: dict[str, pd.DataFrame],
    histories: dict[str, pd.DataFrame],
    units: pd.DataFrame,
    classes: list[str],
) -> pd.DataFrame:
    """What `figures.sweep_curves` draws: the UA of each fold and seed for test and, where they were watched, for
    validation speakers, at the best step; and of the units what `units_table` tells.

    sweep: {system: {of, units, k, layer}}, see serflow.sweeps; titles: of the systems that are varied.
    """
    points = []
    for system, told in sweep.items():
        line = {"line": titles[told["of"]], "k": told["k"], "layer": told["layer"]}
        for _, run in predictions[system].groupby(["fold", "seed"]):
            counts = confusion(run["emotion"], run["prediction"], classes)
            points.append({"measure": "UA, test speakers", **line, "value": unweighted_accuracy(counts)})
        watched = histories[system].query("quantity == 'validation UA'")
        best = watched.groupby(["fold", "seed"])["value"].max()
        points += [{"measure": "UA, validation speakers", **line, "value": value} for value in best]
    swept = {told["units"]: told for told in sweep.values()}
    for row in units[units["units"].isin(swept)].to_dict("records"):
        told = {"line": "", "k": row["k"], "layer": swept[row["units"]]["layer"]}
        points += [{"measure": TITLES[key], **told, "value": row[key]} for key in TITLES if key in row]
    return pd.DataFrame(points)


def to_markdown(table: pd.DataFrame) -> str:
    """The table for people."""
    measures = [key for key in TITLES if key in table]
    lines = [["Units", "Frames of", "Layer", "k", *(TITLES[key] for key in measures)]]
    for row in table.to_dict("records"):
        layer = "-" if pd.isna(row["layer"]) else str(row["layer"])
        shares = [_number(row[key]) for key in measures]
        lines.append([row["units"], row["frames"], layer, str(row["k"]), *shares])
    note = (
        "On what was clustered, means over pools and seeds. PNMI: what a frame's unit tells of its utterance's "
        "emotion or speaker, as a share of what there is to know (mutual information over entropy); purity: the "
        "share of frames whose unit's commonest emotion or speaker is theirs. More units tell more of "
        "either by themselves."
    )
    if "intensity_pnmi" in table:
        note += " True intensity: in which fifth of all frames the intensity lies that the speech was made with."
    return "\n".join(["# Units", "", *aligned(lines), "", f"- {note}"]) + "\n"


def _number(value):
    return "-" if pd.isna(value) else f"{value:.3f}".removeprefix("0")
