"""What the tables say of each claim: that an idea beats its baseline."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serflow.evaluation.claims import POOLED, VERDICTS, gather, verdict

if TYPE_CHECKING:
    from serflow.report.corpus import Corpus


@dataclass(frozen=True)
class Claim:
    """One row of a table against its baseline. Scores are fractions of 1; NaN is what the table does not say."""

    corpus: str
    table: str
    system: str
    baseline: str
    UA: float
    difference: float
    low: float
    high: float
    p: float
    resolvable: float
    against_guessing: bool

    @property
    def verdict(self) -> str:
        """A key of VERDICTS; p is Holm's."""
        return verdict(self.difference, self.p)


def claims(corpus: Corpus, guessing: float) -> dict[str, list[Claim]]:
    """{title of a table: its claims}: the rows that the table tests; where it can test none, those that it would.
    `guessing`: the UA of that."""
    found = {}
    for name, table in corpus.tables.items():
        titles = table.set_index("system")["name"]
        told = (corpus.configuration or {}).get("tables", {}).get(name, {}).get("claims")
        compared = table[table["difference"].notna()]
        tested = compared[compared["p"].notna()]
        chosen = tested if len(tested) else compared[compared["system"].isin(told)] if told else compared
        found[corpus.headings[name]] = [
            Claim(
                corpus.name, name, row.name, titles.get(row.baseline, row.baseline), row.UA, row.difference,
                row.difference_low, row.difference_high, row.p_holm, row.resolvable,
                row.UA - row.difference < guessing + 0.01,
            )
            for row in chosen.itertuples(index=False)
        ]  # fmt: skip
    return {title: own for title, own in found.items() if own}


def pooled(corpora: Iterable[Corpus]) -> dict[str, list[Claim]]:
    """{title of a table: its claims over all corpora that count, as `serflow claims` pools them}; may be empty."""
    found = {}
    table = gather(corpus.folder for corpus in corpora)
    for row in table[table["scope"] == POOLED].itertuples():
        told = row.difference, row.low, row.high, row.p_holm, row.resolvable
        claim = Claim(row.corpus, row.paper, row.name, row.against, np.nan, *told, against_guessing=False)
        found.setdefault(row.title, []).append(claim)
    return found


def headline(found: Collection[Claim]) -> str:
    """One sentence that counts verdicts; to be better than guessing is no idea."""
    found = [claim for claim in found if not claim.against_guessing] or found
    counts = {verdict: sum(claim.verdict == verdict for claim in found) for verdict in VERDICTS}
    told = [
        f"{counts[verdict] or 'none'} {VERDICTS[verdict]}"
        for verdict in VERDICTS
        if counts[verdict] or verdict == "helps"
    ]
    return f"{len(found)} {'claim' if len(found) == 1 else 'claims'}: {', '.join(told)}."


def reach(found: Collection[Claim]) -> float:
    """Half the width of a forest plot, a multiple of .05, that holds all intervals but those of claims to be better
    than guessing, which would dwarf the others."""
    telling = [claim for claim in found if not claim.against_guessing] or found
    bounds = [abs(bound) for claim in telling for bound in (claim.low, claim.high, claim.difference)]
    return max(0.05, np.ceil(np.nanmax(bounds) * 20) / 20) if found else 0.05


def place(difference: float, half: float) -> float:
    """Where a difference stands on the axis of a forest plot that reaches `half` to both sides: 0 to 100 %."""
    return float(np.clip(50 + 50 * difference / half, 0, 100))
