"""What was heard in recordings, written down: as tables, or as the tracks that editors of audio and tools of
diarisation read."""

import csv
import io
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from serflow.recognition.recogniser import Segment

Heard = Iterable[tuple[str | Path, list[Segment]]]  # recordings, and their segments


def tsv(heard: Heard) -> Iterator[str]:
    """A header, then a line a segment: file, start, end (s), emotion and the probability of each. Or, where segments
    have frames, a line a frame: file, time (s), weight, emotion and the posteriors."""
    header = True
    for path, segments in heard:
        for segment in segments:
            by_frame, classes = segment.times is not None, list(segment.probabilities)
            if header:
                places = ["time", "weight"] if by_frame else ["start", "end"]
                yield _line(["file", *places, "emotion", *(f"p_{name}" for name in classes)])
                header = False
            if by_frame:
                rows = zip(segment.times, segment.weights, segment.posteriors, strict=True)
                for time, weight, posteriors in rows:
                    told = [classes[posteriors.argmax()], *(f"{value:.6f}" for value in posteriors)]
                    yield _line([shown(path), f"{time:.4f}", f"{weight:.6f}", *told])
                continue
            told = [segment.emotion, *(f"{value:.6f}" for value in segment.probabilities.values())]
            yield _line([shown(path), f"{segment.start:.3f}", f"{segment.end:.3f}", *told])


def as_json(heard: Heard) -> Iterator[str]:
    """A list: of every file its name and its segments, as `Segment` has them."""
    before = "["
    for path, segments in heard:
        entry = {"file": os.fspath(path), "segments": [_entry(segment) for segment in segments]}
        yield f"{before}\n{json.dumps(entry)}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def audacity(heard: Heard) -> Iterator[str]:
    """A label track of Audacity: start and end in s, and the emotion."""
    for _, segments in heard:
        yield from (f"{start:.6f}\t{end:.6f}\t{_word(emotion, ' ')}\n" for start, end, emotion in _turns(segments))


def rttm(heard: Heard) -> Iterator[str]:
    """Rich Transcription Time Marked (NIST 2009), the emotion being who speaks."""
    for path, segments in heard:
        for start, end, emotion in _turns(segments):
            name = _word(shown(path), "_")
            yield f"SPEAKER {name} 1 {start:.3f} {end - start:.3f} <NA> <NA> {_word(emotion, '_')} <NA> <NA>\n"


FORMATS = {"tsv": tsv, "json": as_json, "audacity": audacity, "rttm": rttm}


def shown(path: str | Path) -> str:
    """A file's name in one line of text, whatever it is made of."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in os.fspath(path)
    )


def _turns(segments):
    """(start, end, emotion) of every segment; of frames, of every run that sounds the same."""
    for segment in segments:
        if segment.times is None:
            yield segment.start, segment.end, segment.emotion
            continue
        classes = list(segment.probabilities)
        ends = [*((segment.times[:-1] + segment.times[1:]) / 2).tolist(), segment.end]
        start = segment.start
        for number, run in itertools.groupby(
            zip(segment.posteriors.argmax(1), ends, strict=True), lambda one: one[0]
        ):
            *_, (_, end) = run
            yield start, end, classes[number]
            start = end


def _entry(segment):
    told = {"start": round(segment.start, 3), "end": round(segment.end, 3), "emotion": segment.emotion}
    told["probabilities"] = {name: round(value, 6) for name, value in segment.probabilities.items()}
    if segment.times is not None:
        told |= {name: getattr(segment, name).round(6).tolist() for name in ("times", "weights", "posteriors")}
    return told


def _line(cells):
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerow(cells)
    return text.getvalue()


def _word(text, blank):
    return blank.join(text.split())
