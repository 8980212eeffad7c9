"""Confusion matrices and training curves: the same numbers give the same bytes."""

from __future__ import annotations

from itertools import cycle, product
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from serflow.artifacts import replacing
from serflow.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

INK, MUTED, GRID = "#1f2933", "#667380", "#e4e8ec"
SERIES = ["#1f6fb2", "#d9722b", "#2f8f6b", "#8a5cb8"]
EMOTIONS = [  # after Okabe & Ito: colour-blind people tell them apart
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7f7f7f",
]  # fmt: skip
SHADES = LinearSegmentedColormap.from_list("shades", ["#f5f8fb", "#a9cbe6", "#1f6fb2", "#0d3b66"])
STYLE = {
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "savefig.dpi": 160,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.15,
    "svg.hashsalt": "serflow",
}
FORMATS = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}


@matplotlib.rc_context(STYLE)
def confusion_matrix(confusion: np.ndarray, classes: list[str], title: str) -> Figure:
    """`[C, C]` counts, rows true: each cell the share of its row in %, with the count below; a Figure."""
    confusion = np.asarray(confusion)
    totals = confusion.sum(1, keepdims=True)
    shares = np.divide(100 * confusion, totals, out=np.zeros(confusion.shape), where=totals > 0)
    side = 0.72 * len(classes)
    figure = Figure(figsize=(side + 1.5, side + 1.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap=SHADES, vmin=0, vmax=100)
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share > 50 else INK
        axes.text(column, row - 0.06, f"{share:.0f}", color=color, ha="center", va="center", fontsize=12)
        count = f"{confusion[row, column]:g}"
        axes.text(column, row + 0.28, count, color=color, ha="center", va="center", fontsize=7, alpha=0.75)
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, classes)
    axes.set_xticks(np.arange(0.5, len(classes) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(classes) - 1), minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted emotion (% of the row, count below)")
    axes.set_ylabel("true emotion")
    axes.set_title(title, fontsize=12, fontweight="bold", pad=10)
    return figure


@matplotlib.rc_context(STYLE)
def training_curves(history: pd.DataFrame, title: str) -> Figure:
    """One panel a measure (loss, its terms, UA), one colour a part (train, validation): `quantity` is both.

    history: frame of fold, seed, step, quantity, value. Thin: one line a fold and seed. Bold: their mean over
    the steps that all of them reached (between its own steps, a run is interpolated).
    """
    names = [quantity.split(" ", 1) for quantity in sorted(history["quantity"].unique())]
    parts, measures = (list(dict.fromkeys(name[end] for name in names)) for end in (0, 1))
    figure = Figure(figsize=(0.5 + 4.2 * len(measures), 3.4), layout="constrained")
    panels = figure.subplots(1, len(measures), squeeze=False)[0]
    for axes, measure in zip(panels, measures, strict=True):
        for part, color in zip(parts, cycle(SERIES)):
            runs = history[history["quantity"] == f"{part} {measure}"]
            runs = runs.pivot(index="step", columns=["fold", "seed"], values="value").sort_index()
            if runs.empty:
                continue
            for run in runs:
                axes.plot(runs[run].dropna(), color=color, linewidth=0.7, alpha=0.35)
            mean = runs.interpolate("index", limit_area="inside").dropna().mean(axis=1)
            axes.plot(mean, color=color, linewidth=2.4, label=part, solid_capstyle="round")
        axes.set_title(measure, color=INK)
        axes.set_xlabel("step")
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
        axes.margins(x=0.02)
        axes.legend(frameon=False)
    figure.suptitle(title, x=0.02, ha="left", fontsize=12, fontweight="bold")
    return figure


@matplotlib.rc_context(STYLE)
def sweep_curves(points: pd.DataFrame, title: str) -> Figure:
    """What a sweep of units changes, a panel a measure: over k, a line for each layer; over layers where k is one.

    points: frame of measure, line (what is measured, the empty text for the units themselves), k, layer, value; a
    point is the mean of its values, with their standard deviation where there are several.
    """
    over, other = ("k", "layer") if points["k"].nunique() > 1 else ("layer", "k")
    measures = list(dict.fromkeys(points["measure"]))
    figure = Figure(figsize=(0.5 + 4.2 * len(measures), 3.8), layout="constrained")
    panels = figure.subplots(1, len(measures), squeeze=False)[0]
    for axes, measure in zip(panels, measures, strict=True):
        lines = points[points["measure"] == measure].groupby(["line", other], sort=False)
        for ((line, value), own), color in zip(lines, cycle(SERIES)):
            summary = own.groupby(over)["value"].agg(["mean", "std"])
            label = ", ".join(filter(None, [line, f"{other} {value}" if points[other].nunique() > 1 else ""]))
            axes.errorbar(
                summary.index, summary["mean"], summary["std"], color=color, label=label or None, linewidth=1.6,
                marker="o", elinewidth=0.8,
            )  # fmt: skip
        axes.set_xscale("log" if over == "k" else "linear")
        axes.set_xticks(sorted(points[over].unique()), sorted(points[over].unique()), minor=False)
        axes.set_xticks([], minor=True)
        axes.set_xlabel("units (k)" if over == "k" else "layer")
        axes.set_title(measure, color=INK)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(frameon=False, fontsize=7)
    figure.suptitle(title, x=0.02, ha="left", fontsize=12, fontweight="bold")
    return figure


@matplotlib.rc_context(STYLE)
def vector_map(places: dict[str, np.ndarray], rows: dict[str, pd.DataFrame], title: str) -> Figure:
    """Vectors of utterances in two dimensions, a panel a vector: its colour the emotion, its mark the speaker.

    places: {name: `[N, 2]`}; rows: {name: frame of speaker and emotion, N rows}.
    """
    figure = Figure(figsize=(0.5 + 4.4 * len(places), 4.2), layout="constrained")
    panels = figure.subplots(1, len(places), squeeze=False)[0]
    for axes, (name, points) in zip(panels, places.items(), strict=True):
        own = rows[name]
        emotions, speakers = (sorted(own[column].unique()) for column in ("emotion", "speaker"))
        colors, marks = zip(cycle(EMOTIONS), emotions), zip(cycle("o^sDvP*X"), speakers)
        for (color, emotion), (mark, speaker) in product(colors, marks):
            chosen = ((own["emotion"] == emotion) & (own["speaker"] == speaker)).to_numpy()
            shown = {"label": emotion if speaker == speakers[0] else None, "alpha": 0.75, "linewidths": 0}
            axes.scatter(*points[chosen].T, s=20, marker=mark, color=color, **shown)
        axes.set_title(f"{name} (marks: speakers {', '.join(map(str, speakers))})", color=INK)
        axes.set_xticks([])
        axes.set_yticks([])
    panels[-1].legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.suptitle(title, x=0.02, ha="left", fontsize=12, fontweight="bold")
    return figure


@matplotlib.rc_context(STYLE)
def stress_curves(scores: pd.DataFrame, names: dict[str, str], title: str, guessing: float) -> Figure:
    """UA in other sound, a colour a system: over the level of noise as curves, in the other conditions as points; a
    panel for each of both, which begins with clean speech.

    scores: a frame of system, name, condition, UA, low and high (fractions; NaN where there is no interval), clean
    speech first. names: of conditions. guessing: the UA of that, dotted.
    """
    clean, *conditions = dict.fromkeys(scores["condition"])
    noises = [one for one in conditions if one.startswith("noise-")]
    panels = [[clean, *own] for own in (noises, [one for one in conditions if one not in noises]) if own]
    systems = [own.set_index("condition") for _, own in scores.groupby("system", sort=False)]
    widths = [len(panel) for panel in panels]
    figure = Figure(figsize=(1 + 1.1 * sum(widths), 3.6 + 0.1 * len(systems)), layout="constrained")
    drawn = figure.subplots(1, len(panels), sharey=True, squeeze=False, width_ratios=widths)[0]
    for axes, panel in zip(drawn, panels, strict=True):
        style, apart = ("-o", 0.3) if panel[1:] == noises else ("o", 0.6)
        axes.axhline(100 * guessing, color=MUTED, linewidth=0.8, linestyle=":")
        for number, (own, color) in enumerate(zip(systems, cycle(matplotlib.colormaps["tab10"].colors))):
            told = 100 * own.loc[panel, ["UA", "low", "high"]]
            places = np.arange(len(panel)) + apart * ((number + 0.5) / len(systems) - 0.5)
            axes.vlines(places, told["low"], told["high"], color=color, linewidth=0.8, alpha=0.35)
            axes.plot(places, told["UA"], style, color=color, markersize=4, linewidth=1.6, label=own["name"].iloc[0])
        axes.set_xticks(range(len(panel)), [names[one].replace(" ", "\n", 1) for one in panel])
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
    drawn[0].set_ylabel("UA %")
    figure.legend(*drawn[0].get_legend_handles_labels(), frameon=False, loc="outside lower left", ncols=2, fontsize=8)
    figure.suptitle(title, x=0.02, ha="left", fontsize=12, fontweight="bold")
    return figure


@matplotlib.rc_context(STYLE)
def timeline(rows: pd.DataFrame, titles: dict[str, str]) -> Figure:
    """A splice on one time axis: its waveform and where it is emotional, intensities, what each system says of every
    frame, in the colour of the emotion and the paler the less sure, and units.

    rows: a frame of one splice, duration (s), kind (truth, waveform, intensity, posteriors, units), name, column and
    values, of frames that share the duration alike; truth has start and end. titles: of systems.
    """
    duration, kinds = rows["duration"].iloc[0], dict(list(rows.groupby("kind", sort=False)))
    truth, systems = kinds["truth"], dict(list(kinds["posteriors"].groupby("name", sort=False)))
    units = kinds.get("units", rows.iloc[:0])
    classes = sorted({*truth["name"], *kinds["posteriors"]["column"]})
    palette = {name: to_rgb(color) for name, color in zip(classes, cycle(EMOTIONS))}
    heights = [1.2, 1.2, 0.35 * len(systems) + 0.1, 0.35 * len(units) + 0.1]
    figure = Figure(figsize=(9, sum(heights) + 1.2), layout="constrained")
    wave, scores, said, clustered = figure.subplots(4, 1, sharex=True, height_ratios=heights)
    levels = np.stack(kinds["waveform"]["values"].iloc[0])
    wave.fill_between(np.linspace(0, duration, len(levels)), -levels, levels, color=MUTED, linewidth=0)
    for segment in truth.itertuples():
        for axes in (wave, scores):
            axes.axvspan(*segment.values, color=palette[segment.name], alpha=0.25, linewidth=0)
        wave.text(np.mean(segment.values), levels.max(), segment.name, ha="center", va="bottom", fontsize=8)
    wave.margins(y=0.18)  # room for names
    wave.set_yticks([])
    curves = kinds.get("intensity", rows.iloc[:0])
    for color, curve in zip(cycle(SERIES), curves.itertuples()):
        values = np.asarray(curve.values)
        scaled = (values - values.min()) / max(np.ptp(values), 1e-9)
        scores.plot((np.arange(len(values)) + 0.5) * duration / len(values), scaled, color=color, label=curve.name)
    scores.set_yticks([])
    if len(curves):
        scores.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
    strips = [np.stack(own["values"].to_list()) for own in systems.values()]
    columns = [own["column"].tolist() for own in systems.values()]
    for row, (values, names) in enumerate(zip(strips, columns, strict=True)):
        sure = values.max(0)[:, None]
        colors = np.array([palette[names[place]] for place in values.argmax(0)])
        _strip(said, row, colors * sure + (1 - sure), duration)
    named = [Patch(color=palette[name], label=name) for name in classes]
    said.legend(handles=named, frameon=False, loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    for row, own in enumerate(units.itertuples()):
        numbers = np.asarray(own.values).astype(int)
        _strip(clustered, row, matplotlib.colormaps["turbo"](numbers / max(numbers.max(), 1))[:, :3], duration)
    for axes, names in ((said, [titles.get(name, name) for name in systems]), (clustered, units["name"].tolist())):
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_yticks(range(len(names)), names, fontsize=7)
    clustered.set_xlim(0, duration)
    clustered.set_xlabel("seconds")
    figure.suptitle(f"Splice {rows['splice'].iloc[0]}", x=0.02, ha="left", fontsize=12, fontweight="bold")
    return figure


@matplotlib.rc_context(STYLE)
def forest(claims: pd.DataFrame) -> Figure:
    """Differences in UA of all claims, in points, with intervals: a line a corpus, hollow where it is not pooled, and
    a bold one for what is.

    claims: frame of title, paper, name, against, scope, corpus, difference, low, high, note, a claim's rows together.
    """
    corpora = list(claims["corpus"][claims["scope"] == "corpus"].unique())
    colors = dict(zip(corpora, cycle(SERIES)))
    shown = claims[claims["difference"].notna()]
    places, place, texts = [], 0.0, []
    for _, paper in shown.groupby("paper", sort=False):
        texts.append((place, paper["title"].iloc[-1], "bold"))
        place += 1
        for _, rows in paper.groupby(["system", "baseline"], sort=False):
            places += [place + 0.28 * step for step in range(len(rows))]
            texts.append(
                (np.mean(places[-len(rows) :]), f"{rows['name'].iloc[-1]}  vs  {rows['against'].iloc[-1]}", "normal")
            )
            place += 0.28 * len(rows) + 0.45
        place += 0.3
    figure = Figure(figsize=(10, 0.6 + 0.33 * max(place, 2)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color=MUTED, linewidth=1)
    for row, height in zip(shown.itertuples(), places, strict=True):
        alone = row.scope == "corpus"
        color = colors[row.corpus] if alone else INK
        style = {"marker": "o" if alone else "D", "markersize": 4 if alone else 6, "linewidth": 1 if alone else 2}
        if row.note.startswith("not pooled"):
            style |= {"markerfacecolor": "white", "linewidth": 0.6}
        axes.plot(
            100 * np.array([row.low, row.high]), [height, height], color=color, linewidth=style.pop("linewidth")
        )
        axes.plot(100 * row.difference, height, color=color, linestyle="", **style)
    for height, text, weight in texts:
        axes.text(
            -0.01,
            height,
            text,
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            weight=weight,
            fontsize=8.5,
            clip_on=False,
        )
    handles = [
        Line2D([], [], color=color, marker="o", markersize=4, label=corpus) for corpus, color in colors.items()
    ]
    if (shown["scope"] != "corpus").any():
        handles.append(Line2D([], [], color=INK, marker="D", markersize=6, linewidth=2, label="pooled"))
    axes.set_ylim(place, -0.7)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel("points of UA ahead of its baseline, 95 % interval (hollow: not pooled)")
    if handles:
        axes.legend(
            handles=handles, frameon=False, ncols=len(handles), loc="lower left", bbox_to_anchor=(0, 1), fontsize=8.5
        )
    return figure


def _strip(axes, row, colors, duration):
    """Colours `[T, 3]` as a line of an image."""
    axes.imshow(colors[None], aspect="auto", interpolation="nearest", extent=(0, duration, row + 0.4, row - 0.4))


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG or SVG, whichever the suffix says, with no date or version in it."""
    suffix = Path(path).suffix
    if suffix not in FORMATS:
        raise UserError(f"{path}: a figure is saved as .png or .svg, not {suffix or 'without a suffix'!r}")
    with replacing(path) as temporary, matplotlib.rc_context(STYLE):
        figure.savefig(temporary, format=suffix[1:], metadata=FORMATS[suffix])
