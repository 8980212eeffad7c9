"""An audformat database as it lies on disk: db.yaml and, for each table, db.<table>.parquet or .csv.

What the format means is audformat 1.4's. Its own loader is not used: it prefers pickled copies of the tables (.pkl),
and nothing is unpickled here.
"""

from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import yaml

from serflow.corpora import folders
from serflow.errors import UserError

HEADER = "db.yaml"
KEYS = ["file", "start", "end"]


def read(root: Path, table: str | None, column: str) -> pd.DataFrame:
    """A row for each file or segment with `column` and path, start, end, speaker, gender, session, text; all is text.

    `column` is a column of this name or, in a table that has none, the one of this scheme; all tables that have it
    are taken together, or `table` alone. The others may be in any table of the same files or segments; gender also
    in the speakers' scheme. The index is (file of the table, line). Raises UserError.
    """
    database = _open(root)
    if table is not None and table not in database.tables:
        known = ", ".join(database.tables)
        raise UserError(f"{root / HEADER}: no table {table!r}; name one of {known} in the option `table`.")
    rows, _ = _gather(database, column, [table] if table else database.tables)
    if rows.empty:
        known = ", ".join(sorted({name for columns in database.tables.values() for name in columns}))
        raise UserError(f"{root / HEADER}: no table has {column!r}; name one of {known} in the option `column`.")
    whole = rows["start"].eq("") & rows["end"].eq("")
    both = rows["file"][~whole & rows["file"].isin(rows["file"][whole])]
    if len(both):
        raise UserError(
            f"{root / HEADER}: {both.iloc[0]} has {column} as a whole and in segments; name one table in the option "
            "`table`."
        )
    rows["speaker"], speakers = _told(database, "speaker", rows)
    rows["gender"], _ = _told(database, "gender", rows)
    rows["session"], _ = _told(database, "session", rows)
    rows["text"], texts = _told(database, "transcription", rows)
    genders = {speaker: str(about.get("gender", "")) for speaker, about in speakers.items()}
    sentences = {code: about.get("", code) for code, about in texts.items()}
    return rows.rename(columns={"file": "path"}).assign(
        gender=rows["gender"].where(rows["gender"] != "", rows["speaker"].map(lambda own: genders.get(own, ""))),
        text=rows["text"].map(lambda own: sentences.get(own, own)),
    )


def _open(root):
    """tables: {name: {column: its scheme or None}}; schemes; load: a table's file and rows, read once."""
    try:
        header = yaml.safe_load(folders.read_text(root / HEADER))
        columns = {name: table.get("columns") or {} for name, table in header["tables"].items()}
        tables = {
            name: {column: (about or {}).get("scheme_id") for column, about in own.items()}
            for name, own in columns.items()
        }
        schemes = dict(header.get("schemes") or {})
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{root / HEADER}: this is no header of an audformat database; get it again.") from error
    return SimpleNamespace(root=root, tables=tables, schemes=schemes, load=cache(partial(_load, root)))


def _load(root, table):
    paths = [root / f"db.{table}.{suffix}" for suffix in ("parquet", "csv", "pkl")]
    path = next((path for path in paths if path.is_file()), paths[1])
    if path.suffix == ".pkl":
        raise UserError(f"{path}: nothing is unpickled here; save the database again with storage_format='csv'.")
    if not path.is_file():
        raise UserError(f"{path} does not exist, but {HEADER} names this table; get it again.")
    return path, folders.read_table(path)


def _gather(database, wanted, tables):
    """What `tables` say in the column `wanted`: KEYS and it, each file or segment once; and its scheme."""
    found, scheme = {}, None
    for table in tables:
        columns = database.tables[table]
        own = [wanted] if wanted in columns else [name for name in columns if columns[name] == wanted]
        if len(own) > 1:
            raise UserError(
                f"{database.root / HEADER}: {wanted} of table {table!r} may be {' or '.join(own)}; name one in the "
                "option `column`."
            )
        if own:
            path, rows = database.load(table)
            rows = rows.reindex(columns=[*KEYS, *own], fill_value="").set_axis([*KEYS, wanted], axis=1)
            found[path] = rows.assign(start=_seconds(path, rows["start"]), end=_seconds(path, rows["end"]))
            scheme = columns[own[0]]
    if not found:
        return pd.DataFrame(columns=[*KEYS, wanted], dtype=str), None
    rows = pd.concat(found).drop_duplicates()
    rows = rows[rows[wanted].ne("") | ~rows.duplicated(KEYS, keep=False)]
    for _, told in rows[rows.duplicated(KEYS, keep=False)].groupby(KEYS):
        values = " and ".join(map(repr, told[wanted]))
        raise UserError(
            f"{database.root / HEADER}: the {wanted} of {told['file'].iloc[0]} is both {values}; correct one or, for "
            "the emotion, name its table in the option `table`."
        )
    return rows, scheme


def _seconds(path, times):
    """Seconds or `0 days 00:00:01.5` as seconds in text; "" for the file's start, and for its end (NaT)."""
    number = pd.to_numeric(times, errors="coerce").astype(float)
    written = times[number.isna() & ~times.isin(["", "NaT"])]
    number[written.index] = pd.to_timedelta(written, errors="coerce").dt.total_seconds()
    wrong = number[written.index].isna()
    if wrong.any():
        raise UserError(f"{path}, line {wrong.idxmax()}: {written[wrong.idxmax()]!r} is not a time; correct it.")
    return number.astype(str).where(number.notna() & (number != 0), "")


def _told(database, wanted, rows):
    """The cells of `wanted` for `rows`, "" where no table tells, and what its scheme says: {value: {name: text}}."""
    values, scheme = _gather(database, wanted, database.tables)
    of_file = values[values["start"].eq("") & values["end"].eq("")].set_index("file")[wanted]
    cells = rows[KEYS].merge(values, how="left", on=KEYS)[wanted].set_axis(rows.index).replace("", None)
    cells = cells.astype(object).fillna(rows["file"].map(of_file).astype(object)).fillna("")
    labels = (database.schemes.get(scheme) or {}).get("labels") or {}
    if isinstance(labels, str):  # the name of a table whose first column has the values
        _, table = database.load(labels)
        labels = table.drop_duplicates(table.columns[0]).set_index(table.columns[0]).to_dict("index")
    elif isinstance(labels, list):
        labels = {}
    about = {str(value): told if isinstance(told, dict) else {"": str(told)} for value, told in labels.items()}
    return cells, about
