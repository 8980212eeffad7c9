"""Read a corpus, check every file, and keep what is usable as one file of audio."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from job import job
from serflow import artifacts, audio
from serflow.corpora import read_corpus
from serflow.errors import UserError
from serflow.frames import writing_frames
from serflow.progress import say, track


def told(items: Sequence) -> Iterator:
    """`items`, with progress."""
    return track(items, len(items), "checking files")


with job(snakemake) as made:
    settings, speech = dict(snakemake.params.settings), snakemake.input.speech
    root = Path(speech or snakemake.params.root)
    name, adapter, options = settings.pop("name"), settings.pop("adapter"), settings.pop("options")
    if adapter == "demo":
        options = {}  # they are for making the speech; reading it takes none
    refused = Path(snakemake.output.quarantine).with_name("refused.csv")  # a failed job's outputs are deleted
    try:
        utterances, quarantined = read_corpus(adapter, root, progress=told, **settings, **options)
    except UserError as error:
        if not hasattr(error, "quarantined"):
            raise
        artifacts.write_csv(refused, error.quarantined)
        raise UserError(f"{error} All of them, with reasons: {refused}") from error
    with writing_frames(snakemake.output.audio, 0, "int16", 1 / audio.RATE, made) as writer:
        for row in track(utterances.itertuples(), len(utterances), "converting audio"):
            writer.append(row.utterance, audio.to_int16(audio.load(Path(root) / row.path, row.start, row.end)))
    artifacts.write_parquet(snakemake.output.utterances, utterances, made)
    artifacts.write_csv(snakemake.output.quarantine, quarantined)
    refused.unlink(missing_ok=True)  # of an earlier run
    counts = ", ".join(f"{count} {emotion}" for emotion, count in utterances.emotion.value_counts().items())
    say(
        f"{name}: {len(utterances)} utterances of {utterances.speaker.nunique()} speakers ({counts}); "
        f"{len(quarantined)} quarantined"
    )
