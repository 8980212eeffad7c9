"""Extract fbank or MFCC frames of every utterance."""

from job import job
from serflow import features
from serflow.audio import from_int16
from serflow.frames import FrameStore, writing_frames
from serflow.progress import track

with job(snakemake) as made:
    kind = snakemake.wildcards.feature
    audio = FrameStore(snakemake.input.audio)
    with writing_frames(snakemake.output.frames, features.WIDTHS[kind], hop=features.HOP, made=made) as writer:
        for utterance in track(audio.utterances, len(audio), kind):
            writer.append(utterance, features.extracted(kind, from_int16(audio[utterance])))
