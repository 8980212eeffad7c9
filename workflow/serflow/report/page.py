"""From sections to HTML, by the templates in `workflow/report/`."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from serflow.evaluation.figures import EMOTIONS
from serflow.evaluation.tables import MINUS, written
from serflow.report import charts
from serflow.report.section import Section
from serflow.report.verdicts import headline, place, pooled, reach

TEMPLATES = Path(__file__).parents[2] / "report"


def page(sections: Sequence[Section]) -> str:
    """The HTML of the whole page, whose policy lets no script run but its own two."""
    together = pooled(section.corpus for section in sections)
    claims = [together] if together else [section.claims for section in sections]
    every = [claim for found in claims for own in found.values() for claim in own]
    scripts = [charts.library(), _text("report.js")]
    return _environment().get_template("page.html").render(
        sections=sections,
        headline=headline(every),
        pooled=together,
        reach=reach(every),
        palette=EMOTIONS,
        style=Markup(_text("report.css")),  # noqa: S704 the project's own
        scripts=list(map(Markup, scripts)),  # noqa: S704
        hashes=[base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts],
    )  # fmt: skip


def _text(name):
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _environment():
    trimmed = {"trim_blocks": True, "lstrip_blocks": True}
    made = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, **trimmed)
    made.filters |= {"percent": _percent, "points": _points, "p": written, "duration": _duration, "memory": _memory}
    made.filters["place"] = place
    made.tests["known"] = pd.notna
    return made


def _percent(share, digits=1):
    return "–" if pd.isna(share) else f"{100 * share:.{digits}f}"


def _points(difference):
    """A signed difference in percentage points."""
    return "–" if pd.isna(difference) else f"{MINUS if difference < 0 else '+'}{100 * abs(difference):.1f}"


def _duration(seconds):
    if pd.isna(seconds):
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{seconds:.1f} s"


def _memory(megabytes):
    return "–" if pd.isna(megabytes) else f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"
