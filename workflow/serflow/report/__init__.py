"""What runs have found, as one HTML page that loads nothing: verdicts, tables, errors, training, protocols, and
utterances to look at and listen to.

Reads what runs left in `results/` and knows nothing of Snakemake. The page's text stands in `workflow/report/`.
"""

from collections.abc import Sequence
from pathlib import Path

from serflow.artifacts import write_text
from serflow.errors import UserError
from serflow.report.corpus import Corpus
from serflow.report.page import page
from serflow.report.section import Section

UTTERANCES, FEWEST = 48, 12  # in the explorers of all corpora together, and in each


def write(folders: Sequence[str | Path], target: str | Path) -> list[str]:
    """Write the page of the corpora in `folders`, each `results/<corpus>`, to `target`. Returns what is missing, a
    sentence a corpus. UserError where a folder holds no tables or a file in it is damaged."""
    if Path(target).is_dir():
        raise UserError(f"{target} is a folder: name the file that the report is to be.")
    corpora = [Corpus(folder) for folder in folders]
    names = [corpus.name for corpus in corpora]
    if len(set(names)) < len(names):
        raise UserError(f"two of the folders are called {max(names, key=names.count)}: give each corpus once.")
    sections = [Section(corpus, max(FEWEST, UTTERANCES // len(corpora))) for corpus in corpora]
    write_text(target, page(sections))
    return [f"{corpus.name}: not here: {'; '.join(corpus.missing)}" for corpus in corpora if corpus.missing]


def finished(results: str | Path = "results") -> list[Path]:
    """Every folder of `results` whose run has made tables."""
    found = sorted({path.parents[1] for path in Path(results).glob("*/tables/*.md")})
    if not found:
        raise UserError(f"{results}/ has no tables of any corpus: run snakemake first, or make demo.")
    return found
