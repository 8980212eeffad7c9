"""Every way in which a corpus can be broken, and the one sentence that it must produce."""

import io

import numpy as np
import pytest
import soundfile

from serflow.corpora import read_corpus
from serflow.errors import UserError

FOUR = "path,speaker,emotion\na.wav,1,joy\nb.wav,1,fear\nc.wav,2,joy\nd.wav,2,fear\n"
HEADER = """name: db
schemes:
  emotion: {dtype: str}
tables:
  emotion:
    type: filewise
    columns:
      emotion: {scheme_id: emotion}
      emotion.confidence: {}
  files:
    type: filewise
    columns:
      speaker: {}
"""
TWO_RATERS = HEADER.replace("      emotion:", "      x: {scheme_id: emotion}\n      y:")
SEGMENTED = (
    HEADER
    + """  segments:
    type: segmented
    columns:
      emotion: {}
"""
)
EMOTION = "file,emotion,emotion.confidence\na.wav,joy,1\nb.wav,fear,1\nc.wav,joy,1\nd.wav,fear,1\n"
SPEAKERS = "file,speaker\na.wav,1\nb.wav,1\nc.wav,2\nd.wav,2\n"
SEGMENTS = "file,start,end,emotion\na.wav,0 days 00:00:00,0 days 00:00:00.1,joy\n"


def sound(seed=0, seconds=0.2, rate=16000, samples=None, **options):
    if samples is None:
        samples = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * rate))
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", **options)
    return file.getvalue()


def write(root, files):
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content.encode() if isinstance(content, str) else content)


def berlin(*names, at=""):
    return {f"{at}{name}.wav": sound(seed) for seed, name in enumerate(names)}


def table(text=FOUR, name="labels.csv"):
    return {name: text} | {f"{letter}.wav": sound(seed) for seed, letter in enumerate("abcd")}


def audformat(header=HEADER, emotion=EMOTION, files=SPEAKERS):
    tables = {"db.emotion.csv": emotion, "db.files.csv": files, "db.segments.csv": SEGMENTS}
    return table(header, "db.yaml") | tables


def without(name):
    return {path: content for path, content in audformat().items() if path != name}


CLASSIC = berlin("03a01Wa", "03a02Na", "08a01Na", "08a02Wa")
NEITHER = {"1.wav": sound(), "notes.txt": "x"}
TURN = "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"


def listing(line):
    return {"labels.csv": FOUR + line}


def timed(start, end):
    return {"labels.csv": f"path,speaker,emotion,start,end\na.wav,1,joy,,\nb.wav,1,fear,{start},{end}\n"}


def classes(*labels):
    return {"classes": {str(number): chosen for number, chosen in enumerate(labels)}}


def second(**changes):
    """Options of two joined corpora; of the second, what is changed and without what is None."""
    one = {"adapter": "emodb", "folder": "."}
    two = {key: value for key, value in {**one, **changes}.items() if value is not None}
    return {"corpora": {"one": one, "two": two}}


# What the sentence tells, the files of the corpus, options of read_corpus; `at` is the root, seen from the files.
BROKEN = {
    "emodb": [
        ("Corpus emodb has no root: give the folder that holds it.", CLASSIC, {"at": None}),
        ("Corpus emodb: its root ROOT/no does not exist; give the folder", CLASSIC, {"at": "no"}),
        ("Corpus emodb: its root ROOT/x is not a folder; give the folder", {"x": ""}, {"at": "x"}),
        ("Corpus emodb: nothing labelled below ROOT: expected recordings named like wav/03a01Wa.wav, found an", {}),
        ("expected recordings named like wav/03a01Wa.wav, found 1.wav, notes.txt.", NEITHER),
        ("03a01Wa.wav and x/03a01Wa.wav are both utterance '03a01Wa'; rename", CLASSIC | berlin("03a01Wa", at="x/")),
        ("its only speaker is '03'; speaker-disjoint folds", berlin("03a01Wa", "03a02Na", "03a04Wa", "03a05Na")),
        ("its only class is 'anger'; two or more are needed.", berlin("03a01Wa", "08a01Wa")),
        ("class 'neutral' has 1 utterances and needs 2 or more", berlin("03a01Wa", "08a01Wa", "08a01Na")),
        ("Corpus emodb: got an unexpected keyword argument 'table' in its options.", CLASSIC, {"table": "x.csv"}),
        ("label 'anger' is listed twice in classes; keep one.", CLASSIC, classes(["anger"], ["neutral", "anger"])),
        ("label 'angry', but the corpus has anger, neutral (or its own: N, W).", CLASSIC, classes(["angry"], ["N"])),
        ("classes lists 'W' and, meaning it too, 'anger'; keep one.", CLASSIC, classes(["W"], ["anger"])),
        ("no class set '4class' (known: 4-class); did you mean '4-class'?", CLASSIC, {"classes": "4class"}),
        ("class 'happiness' has 0 utterances and needs 2 or more", CLASSIC, {"classes": "4-class"}),
    ],
    "emo-db": [("There is no corpus 'emo-db' (known: ", CLASSIC), ("); did you mean 'emodb'?", CLASSIC)],
    "../x": [("any other can be described in a table: use 'table'.", CLASSIC)],
    "iemocap": [("expected Session1/sentences/wav/<dialog>/<utterance>.wav and Session1/dialog", {TURN: sound()})],
    "table": [
        ("ROOT: found no .csv, .tsv or .parquet file; name the corpus' table in the option `table`.", NEITHER),
        ("ROOT: found 2 tables (a.csv, b.tsv); name the corpus' table in", {"a.csv": FOUR, "b.tsv": FOUR}),
        ("ROOT/b.csv: the option `table` must name an existing .csv, .tsv or", table(), {"table": "b.csv"}),
        ("Corpus table: got an unexpected keyword argument 'tabel'", table(), {"tabel": "labels.csv"}),
        (
            "nothing labelled below ROOT: expected a table whose rows name an",
            {"labels.csv": "path,speaker,emotion\n"},
        ),
        ("ROOT/labels.csv: this is not a well-formed table (No columns to parse", {"labels.csv": ""}),
        ("well-formed table (Expected 3 fields in line 6, saw 4); correct it.", listing("e.wav,2,joy,fear\n")),
        ("ROOT/labels.parquet: this is not a readable Parquet file; write it again.", {"labels.parquet": "PAR1"}),
        ("no column 'emotion' (rename 'Emotion'?); the columns found are 'path', ", table(FOUR.replace("em", "Em"))),
        ("'path;speaker;emotion' (separate columns by commas in a", table(FOUR.replace(",", ";"))),
        ("labels.csv, line 2: path names no file here: write / instead of \\.", table(FOUR.replace("a.", "x\\a."))),
        ("Corpus table: ROOT cannot be read (TypeError: unsupported", table(), {"table": 3}),
        ("cannot be read (TypeError: unhashable type: 'list'): check corpus.options", table(), {"column": ["a"]}),
        ("no column 'mood'; the columns found are 'path', 'speaker', 'emotion'.", table(), {"column": "mood"}),
        ("ROOT/labels.csv, line 6: speaker is empty: fill it in or delete the line.", listing("e.wav, ,joy\n")),
        ("ROOT/labels.csv, line 7: path is empty: fill it in or delete the line.", listing("\n,2,joy\n")),
        ("Corpus table: a.flac and a.wav are both utterance 'a'; rename or remove one.", listing("a.flac,2,joy\n")),
        ("line 3: start is not a time in seconds: write a number like 1.25.", timed("soon", 1)),
        ("line 3: start is not a time in seconds", timed(-1, 1)),
        ("line 3: end is not a time in seconds: write a number like 1.25.", timed(0, '"1,5"')),
        ("line 3: end is not a time in seconds: write", timed(0, "inf")),
        ("line 3: end is not a time in seconds", timed(0, "nan")),
        ("ROOT/labels.csv, line 3: end is not after start: correct the two times.", timed(2, 2)),
    ],
    "an audformat database": [
        ("ROOT/db.yaml: this is no header of an audformat database; get it again.", audformat("tables: [")),
        ("ROOT/db.yaml: this is no header of an audformat", audformat("name: db")),
        ("ROOT/db.yaml: this is no header", audformat("tables: {emotion: x}")),
        ("ROOT/db.emotion.csv does not exist, but db.yaml names this table", without("db.emotion.csv")),
        ("ROOT/db.emotion.pkl: nothing is unpickled here; save", without("db.emotion.csv") | {"db.emotion.pkl": "x"}),
        (
            "db.yaml: no table 'emotions'; name one of emotion, files in the option",
            audformat(),
            {"table": "emotions"},
        ),
        ("no table has 'mood'; name one of emotion, emotion.confidence, speaker", audformat(), {"column": "mood"}),
        (
            "db.emotion.csv, line 5: speaker is empty: fill it in",
            audformat(files=SPEAKERS.replace("d.wav,2", "e.wav,2")),
        ),
        ("the speaker of a.wav is both '1' and '2'; correct one", audformat(files=SPEAKERS + "a.wav,2\n")),
        ("emotion of table 'emotion' may be x or y; name one in the option `column`.", audformat(TWO_RATERS)),
        ("a.wav has emotion as a whole and in segments; name one table in the", audformat(SEGMENTED)),
        ("line 2: 'soon' is not a time; correct it.", audformat(emotion="file,start,end,emotion\na.wav,soon,,joy\n")),
    ],
    "joined": [
        ("Corpus joined: missing a required argument: 'corpora' in its options.", CLASSIC),
        ("the option `corpora` must name two corpora or more, each with its adapter.", CLASSIC, {"corpora": {}}),
        (
            "'a-b' cannot be a prefix; name it with letters, digits and _ only.",
            CLASSIC,
            {"corpora": {"a-b": 1, "c": 2}},
        ),
        ("give two the keys adapter and folder, perhaps options, and no other.", CLASSIC, second(folder=None)),
        ("give two the keys adapter and folder, perhaps options", CLASSIC, second(root=".")),
        ("the folder of two must be text and its options keys with values.", CLASSIC, second(folder=2)),
        ("two is joined itself; list its corpora here instead.", CLASSIC, second(adapter="joined")),
        ("There is no corpus 'emodbs' (known: ", CLASSIC, second(adapter="emodbs")),
        ("Corpus two: its root ROOT/no does not exist; give the folder", CLASSIC, second(folder="no")),
        ("two: ROOT cannot be read (TypeError: ", CLASSIC | table(), second(adapter="table", options={"table": 3})),
        ("Corpus two: got an unexpected keyword argument 'x' in its options.", CLASSIC, second(options={"x": 1})),
        (
            "Corpus two: nothing labelled below ROOT: expected recordings named like Actor",
            CLASSIC,
            second(adapter="ravdess"),
        ),
        (
            "Corpus joined: classes lists label 'W', but the corpus has anger, neutral.",
            CLASSIC,
            second() | classes(["W"]),
        ),
        ("Corpus one has no class set '6-class' (known: 4-class)", CLASSIC, second() | {"classes": "6-class"}),
        (
            "Corpus joined: 4 of 8 utterances cannot be used (50.0%, at most 5.0% may), mostly duplicate",
            CLASSIC,
            second(),
        ),
    ],
}
CASES = [(adapter, *case, {})[:4] for adapter, cases in BROKEN.items() for case in cases]


@pytest.mark.parametrize(("adapter", "sentence", "files", "options"), CASES, ids=[case[1] for case in CASES])
def test_a_broken_corpus_is_one_clear_sentence(tmp_path, adapter, sentence, files, options):
    write(tmp_path, files)
    options = dict(options)
    at = options.pop("at", "")
    with pytest.raises(UserError) as error:
        read_corpus("table" if " " in adapter else adapter, None if at is None else tmp_path / at, **options)
    told = str(error.value).replace(str(tmp_path), "ROOT")
    assert sentence in told and "\n" not in told


UNUSABLE = {
    "missing: no such file": None,
    "empty: 0 bytes": b"",
    "empty: a header without samples": sound(seconds=0),
    "unreadable: Format not recognised.": b"not audio, whatever it is called",
    "truncated: the header promises 1.00 s, 0.50 s are there": sound(seconds=1)[:16044],
    "not finite: NaN or infinite samples": sound(samples=np.full(9000, np.nan), subtype="FLOAT"),
    "silent: every sample is the same or below one 16-bit step": sound(samples=np.zeros(9000)),
    "overdriven: float samples reach 300, full scale is 1": sound(
        samples=np.r_[np.zeros(9000), 300], subtype="FLOAT"
    ),
    "unsupported rate: 44099 Hz": sound(rate=44099),
    "too short: 0.050 s, at least 0.1 s is needed": sound(seconds=0.05),
    "too long: 3.0 s, at most 2 s is allowed": sound(seconds=3),
    "duplicate: the same samples as a": sound(0),
    "unknown label": sound(3),
    "outside: from 0 s to 9 s of a file of 0.20 s": sound(3),
}


@pytest.mark.parametrize("reason", UNUSABLE)
def test_an_unusable_file_is_quarantined_or_too_much(tmp_path, reason):
    text = "path,speaker,emotion,end\na.wav,1,joy,\nb.wav,1,fear,\nc.wav,2,joy,\nd.wav,2,fear,\ne.wav,2,EMOTION,END\n"
    text = text.replace("EMOTION", "" if reason == "unknown label" else "fear")
    write(tmp_path, table(text.replace("END", "9" if "outside" in reason else "")))
    if UNUSABLE[reason] is not None:
        (tmp_path / "e.wav").write_bytes(UNUSABLE[reason])
    kind = reason.partition(":")[0]
    sentence = rf"1 of 5 utterances .*\(20\.0%, at most 5\.0% may\), mostly {kind} \(1\); the first is e\.wav: "
    with pytest.raises(UserError, match=sentence) as error:
        read_corpus("table", tmp_path, max_seconds=2)
    utterances, quarantined = read_corpus("table", tmp_path, max_seconds=2, max_quarantined=0.2)
    assert quarantined.to_numpy().tolist() == error.value.quarantined.to_numpy().tolist() == [["e.wav", reason]]
    assert list(utterances["utterance"]) == list("abcd")
