"""results/README.md: the tables of all corpora on one page."""

from pathlib import Path

from serflow.artifacts import write_text

PAGE = Path("results/README.md")


def write() -> None:
    """Gather `results/<corpus>/tables/*.md`, whose first line is a title."""
    lines = [
        "# Results",
        "",
        "Every table of every corpus, gathered by `make tables`.",
    ]
    for corpus in sorted({path.parents[1] for path in PAGE.parent.glob("*/tables/*.md")}):
        lines += ["", f"## {corpus.name}"]
        for path in sorted(corpus.glob("tables/*.md")):
            title, body = path.read_text(encoding="utf-8").split("\n", 1)
            forms = (other for form in ("csv", "tex") if (other := path.with_suffix(f".{form}")).is_file())
            links = ", ".join(f"[{other.suffix[1:]}]({other.relative_to(PAGE.parent).as_posix()})" for other in forms)
            lines += ["", f"#{title.replace('# ', '## ', 1)} ({links})", "", body.strip()]
    write_text(PAGE, "\n".join(lines) + "\n")


if __name__ == "__main__":
    write()
