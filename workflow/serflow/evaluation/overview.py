"""What all corpora say together: verdicts on claims, and results/README.md, which has them and every table."""

from pathlib import Path

import pandas as pd

from serflow.artifacts import write_csv, write_json, write_text
from serflow.evaluation.claims import AT_LARGE, CLAIM, ONE, POOLED, VERDICTS, gather, pools
from serflow.evaluation.figures import forest, save
from serflow.evaluation.statistics import ALPHA
from serflow.evaluation.tables import aligned, escaped, signed, written

RESULTS = Path("results")
READING = (
    "In a cell: by how many points of UA the idea is ahead of its baseline, and the 95 % interval; bold where "
    "p < .05, Holm-corrected over the claims of a table, or of all papers where corpora are pooled. Every claim that "
    "was tested is here, with whether it was claimed beforehand, and whether it had been seen before.",
    "Pooled: the mean over corpora, which count alike; the interval is of these corpora, whose true effects may "
    "differ. At large, from three corpora on: of others like them (Student's t over corpora).",
    "(x would be): the true difference that would be resolved 4 times in 5, by the errors that were measured; "
    "planned: by folds, speakers and seeds alone, beforehand.",
)


def write() -> str:
    """Write results/claims.{csv,md,svg,json} and results/README.md from the tables below results/; returns what is
    to be told of it."""
    claims = gather(path.parent for path in RESULTS.glob("*/tables"))
    write_csv(RESULTS / "claims.csv", claims)
    write_json(RESULTS / "claims.json", to_metrics(claims))
    save(forest(claims), RESULTS / "claims.svg")
    page = to_markdown(claims)
    write_text(RESULTS / "claims.md", page)
    write_text(RESULTS / "README.md", "\n".join(["# Results", "", f"#{page}", *_tables()]) + "\n")
    return f"{headline(claims)} {RESULTS / 'claims.md'}"


def to_metrics(claims: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """{paper: {system: {corpus or what is pooled: difference}}}."""
    found = {}
    for row in claims[claims["difference"].notna()].itertuples():
        place = row.corpus if row.scope == ONE else row.scope
        found.setdefault(row.paper, {}).setdefault(row.system, {})[place] = row.difference
    return found


def to_markdown(claims: pd.DataFrame) -> str:
    """A frame of claims as `gather` gives it: how many hold, the forest plot, a table a paper, how to read it."""
    told = ["# Verdicts on claims", "", headline(claims), "", "![All claims as a forest plot](claims.svg)"]
    corpora = list(claims["corpus"][claims["scope"] == ONE].unique())
    pooled = [scope for scope in (POOLED, AT_LARGE) if (claims["scope"] == scope).any()]
    for paper, own in claims.groupby("paper", sort=False):
        lines = [["Claim", *map(escaped, corpora), *pooled, "Verdict"]]
        for _, rows in own.groupby(CLAIM, sort=False):
            there = {row.corpus if row.scope == ONE else (row.scope,): row for row in rows.itertuples()}
            cells = [_cell(there.get(place)) for place in [*corpora, *((scope,) for scope in pooled)]]
            name = f"{rows['name'].iloc[-1]} vs {rows['against'].iloc[-1]}"
            lines.append([escaped(name), *cells, _verdict(telling(rows))])
        told += ["", f"## {escaped(own['title'].iloc[-1])} (`{paper}`)", "", *aligned(lines)]
    notes = []
    for (corpus, note), rows in claims[claims["note"] != ""].groupby(["corpus", "note"], sort=False):
        whole = len(rows) == (claims["corpus"] == corpus).sum()
        notes.append(f"{corpus}, {'all' if whole else ', '.join(dict.fromkeys(rows['name']))}: {note}.")
    return "\n".join([*told, "", *(f"- {line}" for line in [*READING, *map(escaped, notes)])]) + "\n"


def headline(claims: pd.DataFrame) -> str:
    """One sentence that counts the verdicts of all claims, where they are pooled, and else on the one corpus."""
    found = [telling(rows) for _, rows in claims.groupby(CLAIM, sort=False)]
    verdicts = ["not tested" if row is None else row["verdict"] for row in found]
    counts = {verdict: verdicts.count(verdict) for verdict in VERDICTS}
    told = [
        f"{count or 'none'} {VERDICTS[verdict]}" for verdict, count in counts.items() if count or verdict == "helps"
    ]
    return f"{len(verdicts)} claim{'s' * (len(verdicts) != 1)}: {', '.join(told)}."


def telling(rows: pd.DataFrame) -> pd.Series | None:
    """Of the rows of a claim the one that tells most: what is pooled, else the one corpus that could be; or None."""
    told = rows[rows["scope"] == POOLED]
    told = told if len(told) else rows[pools(rows)]
    return told.iloc[0] if len(told) else None


def _cell(row):
    if row is None or pd.isna(row.difference):
        return "-"
    text = signed(row.difference)
    if pd.notna(row.low):
        text += f" [{signed(row.low)}, {signed(row.high)}]"
    return f"**{text}**" if row.p_holm < ALPHA else text


def _verdict(row):
    if row is None:
        return "not tested"
    where = "" if row["scope"] == POOLED else f" on {escaped(row['corpus'])} alone"
    if row["verdict"] != "not resolved":
        return f"{VERDICTS[row['verdict']]}{where}, {written(row['p_holm'])}"
    would = f"{100 * row['resolvable']:.1f} would be, {100 * row['planned']:.1f} planned"
    return f"not resolved{where} ({would})"


def _tables():
    """The lines of `results/<corpus>/tables/*.md`, whose first line is a title."""
    for corpus in sorted({path.parents[1] for path in RESULTS.glob("*/tables/*.md")}):
        yield from ("", f"## {corpus.name}")
        for path in sorted(corpus.glob("tables/*.md")):
            title, body = path.read_text(encoding="utf-8").split("\n", 1)
            forms = (other for form in ("csv", "tex") if (other := path.with_suffix(f".{form}")).is_file())
            links = ", ".join(f"[{other.suffix[1:]}]({other.relative_to(RESULTS).as_posix()})" for other in forms)
            yield from ("", f"#{title.replace('# ', '## ', 1)} ({links})", "", body.strip())


if __name__ == "__main__":
    print(write())
