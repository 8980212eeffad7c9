"""Interactive charts, as specifications of Vega-Lite, whose data stand in columns; the page's script draws them.

Colours are names of the page's stylesheet, so that a chart follows light, dark and print.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable

SERIES = [f"var(--series-{number})" for number in range(1, 9)]
SCORE = {"type": "quantitative", "scale": {"zero": False, "nice": True}, "axis": {"tickCount": 6}}
APART = {"bounds": "flush", "spacing": {"row": 56, "column": 52}}  # panels, whose axes line up


@cache
def library() -> str:
    """Vega-Lite and all it needs as one script, which defines `vegaEmbed`."""
    import vl_convert

    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


def training(history: pd.DataFrame, runs: Sequence[str]) -> dict:
    """One panel a measure (loss, its terms, UA), one colour a part (train, validation). Thin: one line a run, which
    the columns `runs` name; bold: their mean.

    history: frame of step, quantity (`<part> <measure>`), value and `runs`.
    """
    told = history["quantity"].str.split(" ", n=1, expand=True)
    frame = pd.DataFrame(
        {"step": history["step"], "value": history["value"].round(5), "part": told[0], "measure": told[1]}
    )
    named = frame.assign(run=history[list(runs)].astype(str).agg(" ".join, axis=1))
    measures = sorted(named["measure"].unique(), key=lambda name: name != "loss")
    parts = sorted(named["part"].unique())
    color = {**_by("part", parts), "legend": {"orient": "top"} if len(parts) > 1 else None}
    panels = []
    for measure in measures:
        shared = {
            "x": {"field": "step", "type": "quantitative", "title": "step", "axis": {"tickCount": 4}},
            "color": color,
        }
        y = {"type": "quantitative", "title": None, "scale": {"zero": False}}
        seen = [{"field": name} for name in ("run", "part", "step")] + [{"field": "value", "format": ".3f"}]
        thin = {**shared, "y": {"field": "value", **y}, "detail": {"field": "run"}, "tooltip": seen}
        bold = {**shared, "y": {"field": "value", "aggregate": "mean", **y}}
        panels.append(
            {
                "title": measure,
                "width": 210,
                "height": 130,
                "transform": [{"filter": {"field": "measure", "equal": measure}}],
                "layer": [
                    {
                        "mark": {"type": "line", "strokeWidth": 1, "opacity": 0.45, "point": {"size": 14}},
                        "encoding": thin,
                    },
                    {"mark": {"type": "line", "strokeWidth": 2.5}, "encoding": bold},
                ],
            }
        )
    return _chart(named, f"Training curves: {', '.join(measures)}", concat=panels, columns=3, **APART)


def speakers(frame: pd.DataFrame, titles: Sequence[str], overall: dict[str, float]) -> dict:
    """A row a system, a mark a speaker at its UA; the tick is the system's own. frame: see errors.speakers."""
    own = frame.assign(UA=100 * frame["UA"])[["title", "speaker", "gender", "UA", "utterances"]].round(1)
    y = {"field": "title", "type": "nominal", "sort": list(titles), "title": None, "axis": {"labelLimit": 330}}
    genders = sorted(own["gender"].unique())
    seen = [{"field": name} for name in ("title", "speaker", "gender", "UA", "utterances")]
    marks = {
        "y": y,
        "x": {"field": "UA", "title": "UA % of a speaker", **SCORE},
        **(_marked("gender", genders) if len(genders) > 1 else {"color": {"value": SERIES[0]}}),
        "tooltip": seen,
    }
    ticks = [{"title": title, "UA": round(100 * score, 1)} for title, score in overall.items()]
    layers = [
        {"mark": {"type": "point", "filled": True, "size": 55, "opacity": 0.75}, "encoding": marks},
        {
            "data": {"values": ticks},
            "mark": {"type": "tick", "thickness": 2, "size": 16, "color": "var(--ink)"},
            "encoding": {"y": y, "x": {"field": "UA", **SCORE}, "tooltip": [{"field": "title"}, {"field": "UA"}]},
        },
    ]
    return _chart(own, "UA of every speaker by system", layer=layers, width=520, height={"step": 21})


def units(frame: pd.DataFrame, titles: dict[str, str]) -> dict:
    """A row a clustering, a mark a measure. frame: tables/units.csv; titles: {column: what it is}."""
    layer = frame["layer"].map(lambda number: "" if pd.isna(number) else f", layer {number:g}")
    named = frame.assign(row=frame["units"] + " (" + frame["frames"] + layer + ", k " + frame["k"].astype(str) + ")")
    known = [column for column in titles if column in frame and column.endswith("pnmi")]
    told = named.melt(["row"], known, "measure", "value").replace({"measure": titles})
    encoding = {
        "y": {
            "field": "row",
            "type": "nominal",
            "sort": list(named["row"]),
            "title": None,
            "axis": {"labelLimit": 330},
        },
        "x": {"field": "value", "type": "quantitative", "title": "share of what there is to know (PNMI)"},
        **_marked("measure", [titles[column] for column in known]),
        "tooltip": [{"field": "row"}, {"field": "measure"}, {"field": "value", "format": ".3f"}],
    }
    mark = {"type": "point", "filled": True, "size": 80}
    return _chart(told, "What units tell", mark=mark, encoding=encoding, width=520, height={"step": 24})


def sweep(points: pd.DataFrame) -> dict:
    """What a sweep of units changes, a panel a measure. points: see evaluation.units.sweep_points."""
    over, other = ("k", "layer") if points["k"].nunique() > 1 else ("layer", "k")
    score = points["measure"].str.startswith("UA")
    named = points.assign(
        value=np.where(score, 100 * points["value"], points["value"]).round(4),
        line=(points["line"] + ", " + other + " " + points[other].astype(str)).str.removeprefix(", "),
        over=points[over],
    )
    panels = [
        {
            "title": measure,
            "width": 210,
            "height": 130,
            "transform": [{"filter": {"field": "measure", "equal": measure}}],
            "mark": {"type": "line", "point": True},
            "encoding": {
                "x": {"field": "over", "type": "ordinal", "title": "units (k)" if over == "k" else "layer"},
                "y": {"field": "value", "aggregate": "mean", "title": None, **SCORE},
                "color": {
                    **_by("line", sorted(named["line"].unique())),
                    "legend": {"orient": "bottom", "columns": 1, "labelLimit": 320},
                },
                "tooltip": [
                    {"field": "line"},
                    {"field": "over"},
                    {"field": "value", "aggregate": "mean", "format": ".3f"},
                ],
            },
        }
        for measure in dict.fromkeys(points["measure"])
    ]
    columns = named[["measure", "line", "over", "value"]]
    return _chart(
        columns, "A sweep of units", concat=panels, columns=3, **APART, resolve={"scale": {"color": "shared"}}
    )


def vectors(places: np.ndarray, rows: pd.DataFrame, name: str) -> dict:
    """Vectors of utterances on their two principal axes: colour the emotion, shape the speaker. places `[N, 2]`."""
    told = {
        "x": places[:, 0].round(3),
        "y": places[:, 1].round(3),
        "emotion": rows["emotion"],
        "speaker": rows["speaker"].astype(str),
    }
    frame = pd.DataFrame({**told, "utterance": rows["utterance"]})
    quiet = {"type": "quantitative", "title": None, "axis": {"labels": False, "ticks": False, "grid": False}}
    encoding = {
        "x": {"field": "x", **quiet},
        "y": {"field": "y", **quiet},
        "color": _by("emotion", sorted(frame["emotion"].unique())),
        "shape": {"field": "speaker", "type": "nominal"},
        "tooltip": [{"field": field} for field in ("utterance", "emotion", "speaker")],
    }
    mark = {"type": "point", "filled": True, "size": 45, "opacity": 0.8}
    return _chart(frame, f"Map of {name}", title=name, mark=mark, encoding=encoding, width=300, height=260)


def transductive(pairs: pd.DataFrame) -> dict:
    """A row a system: its UA where nothing heard test audio, and where pretraining did. pairs: title, inductive,
    transductive."""
    told = pairs.assign(**{name: (100 * pairs[name]).round(1) for name in ("inductive", "transductive")})
    y = {"field": "title", "type": "nominal", "sort": list(told["title"]), "title": None, "axis": {"labelLimit": 330}}
    line = {"y": y, "x": {"field": "inductive", **SCORE, "title": "UA %"}, "x2": {"field": "transductive"}}
    marks = {
        "y": y,
        "x": {"field": "UA", **SCORE},
        **_marked("heard", ["inductive", "transductive"]),
        "tooltip": [{"field": "title"}, {"field": "heard"}, {"field": "UA"}],
    }
    layers = [
        {"mark": {"type": "rule", "color": "var(--muted)"}, "encoding": line},
        {
            "transform": [{"fold": ["inductive", "transductive"], "as": ["heard", "UA"]}],
            "mark": {"type": "point", "filled": True, "size": 80},
            "encoding": marks,
        },
    ]
    return _chart(told, "Inductive against transductive", layer=layers, width=520, height={"step": 26})


def _marked(field: str, names: Iterable[str]) -> dict:
    """Colour and shape by `field`, in one legend, above: beside a wide chart it would be cut off."""
    above = {"legend": {"orient": "top"}}
    shape = {"field": field, "type": "nominal", "title": None, "scale": {"domain": list(names)}, **above}
    return {"color": _by(field, names) | above, "shape": shape}


def _by(field: str, names: Iterable[str]) -> dict:
    return {"field": field, "type": "nominal", "title": None, "scale": {"domain": list(names), "range": SERIES}}


def _chart(frame, description, **spec):
    """Numbers travel in columns, a third of the size of rows, which the page's script makes of them."""
    data = {"columns": {name: json.loads(frame[name].to_json(orient="values")) for name in frame}}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": description,
        "data": data,
        **spec,
    }
