"""What a corpus of 7, 240, 1,000 or 100,000 hours asks for: docs/scale.md, computed from measured throughputs.

`python benchmarks/scale.py --measure` times every stage on this machine, on a few minutes of synthesised speech, and
writes them to benchmarks/scale.json under the name of its processor or GPU. The page is printed from that file and
from the jobs that Snakemake plans: python benchmarks/scale.py > docs/scale.md
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import tempfile
import textwrap
import time
from collections import Counter
from pathlib import Path

import yaml
from planning import PROJECT, make_corpus

FILE = Path(__file__).with_suffix(".json")
CORPORA = {7: "IEMOCAP", 240: "MSP-Podcast", 1000: "", 100_000: ""}
FOLDS, CLUSTERS = 5, 100
WIDTH, TOKENS, WEIGHTS = 768, 50, 95_000_000  # of HuBERT-base: hidden units, tokens a second
MAX_FRAMES, CANDIDATES = 5_000_000, 200_000  # that k-means takes by config, and that were clustered to time it
LABELLED = 1000  # hours from which on speech is unlabelled: it is pretrained on, by config/speech.yaml
PLANS = {"flea": (), "speech": ("config/speech.yaml",)}
PROFILE = PROJECT / "profiles" / "slurm" / "config.yaml"

OF_WHAT = """
What corpora of four sizes ask for, with HuBERT-base from scratch (95 million weights) on waveforms. Made by
`python benchmarks/scale.py > docs/scale.md` from what `--measure` timed on a few minutes of synthesised speech.
Hours are that, times the hours of the corpus: extrapolated, not run. Timed on: {machines}. A machine with a GPU
adds its column by `--measure`.
"""
HOW = """
Training is counted in passes over a fold's speech, one for a pretraining and one for a system: multiply by
yours (steps times seconds of a batch over seconds of speech). Up to 1,000 hours the plan is FLEA's table with
its baselines, five folds, one seed; 100,000 hours are pretrained on without labels, in two iterations
(`config/speech.yaml`). Jobs are those that Snakemake plans, submissions those of `profiles/slurm` where no job
fails and folds keep pace. Memory: what one process held that read audio, made
features and embedded, as timed; with the frames of k-means, and 16 bytes a weight in training, computed. Files are
mapped: the system keeps of them what has room.
"""
LIMITS = """
* **Planning** knows neither audio nor hours: jobs grow with folds, seeds and systems alone
  (`benchmarks/planning.py`). It looks at size and time of every file, so millions of them cost minutes: put
  long recordings into few files, with `start` and `end` in the table.
* **Corpus** is one job, which opens every file: a day is enough for {corpus}.
* **Frames** are one job and one file a feature: a day is enough for fbank of {fbank}. A stage of a fold has no
  shards: a larger corpus has to be several, each with a run of its own.
* **Functionals** share the job's cores: a day of one is enough for {functionals}.
* **Units** of hidden states are embedded, clustered and labelled in one job a fold, which hears every utterance
  once: a day is enough to embed {embed}. The hidden states themselves, {an_hour} for an hour of speech and {many}
  for 100,000, are written only for who asks for their file.
* **k-means** takes at most `max_frames` ({max_frames}) frames, of utterances drawn at random: from {bounded}
  hours on, the fit takes the same time and memory, and labelling alone grows.
* **Pretraining** takes the steps that it is told, on as many GPUs of one machine as its `gpu` says; on several
  machines it cannot run. It goes on from checkpoints, so a queue's limit of time adds turns and loses nothing.
* **Systems** take their steps too; up to four of a fold on one encoder share a submission.
* **Files**: a job leaves one to six, whatever the hours; never one an utterance.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--measure", action="store_true", help="on this machine, before the page")
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    if parser.parse_args().measure:
        name, taken, held = measured()
        known[name] = {"seconds": taken, "memory": held}
        FILE.write_text(json.dumps(known, indent=1) + "\n")
    print(page(known), end="")


def planned(overlays):
    """{rule: [jobs, submissions by profiles/slurm]} of FLEA on a labelled corpus, or of pretraining on any folder;
    `hidden`: those of `cluster` that embed before."""
    from serflow.versioning.jobs import workflow_of

    with tempfile.TemporaryDirectory() as temporary, contextlib.chdir(temporary):
        root = Path("corpus")
        make_corpus(root)
        Path("overlay.yaml").write_text(f"corpus: {{name: planned, adapter: table}}\nfolds: {{count: {FOLDS}}}\n")
        for name in ("workflow", "config", "profiles", "envs", "Snakefile"):
            Path(name).symlink_to(PROJECT / name)
        corpus = {"overlays": [*(overlays or ["overlay.yaml"])], "root": str(root)}
        jobs = workflow_of("speech" if overlays else "planned", corpus).jobs
    profile = yaml.safe_load(PROFILE.read_text())
    arrays = profile["slurm-array-jobs"].split(", ")
    sizes = {group: int(size) for group, size in (told.split("=") for told in profile["group-components"])}
    made, submitted = Counter(job.rule.name for job in jobs), {job.rule.name: Counter() for job in jobs}
    for job in jobs:
        rule, wildcards = job.rule.name, dict(job.wildcards_dict)
        if rule in job.rule.workflow._localrules:
            continue
        if rule == "classical":
            together = sizes["classical"], ()
        elif rule == "finetune":  # those on one encoder in one fold
            encoder = job.rule.workflow.config["systems"][wildcards["system"]]["encoder"]
            together = sizes["systems"], (encoder, wildcards["fold"])
        else:
            alike = (value for key, value in wildcards.items() if key not in ("pool", "fold", "seed"))
            together = (len(jobs), tuple(alike)) if rule in arrays else (1, ())
        submitted[rule][together] += 1
    units = [job.rule.workflow.config["units"][job.wildcards.units] for job in jobs if job.rule.name == "cluster"]
    return {"hidden": [sum(entry["frames"] != "mfcc" for entry in units), 0]} | {
        rule: [made[rule], sum(-(-count // size) for (size, _), count in submitted[rule].items())]
        for rule in sorted(made)
    }


def measured():
    """(name of the machine, {stage: seconds for a second of speech}, {job: bytes that it held, at most}); on a CPU,
    seconds of one core."""
    import numpy as np
    import torch

    from serflow import audio, features, training
    from serflow.batches import Inputs
    from serflow.clustering import fit_kmeans
    from serflow.corpora import read_corpus
    from serflow.corpora.demo import synthesise
    from serflow.frames import FrameStore, writing_frames
    from serflow.heads.classifier import EmotionClassifier
    from serflow.inference import embed
    from serflow.models import build, pretraining_class
    from serflow.padding import batch_seconds
    from serflow.utterance_features import functionals

    on_gpu, taken, held = torch.cuda.is_available(), {}, {}
    torch.set_num_threads(1)

    @contextlib.contextmanager
    def timed(stage, seconds, gpu=False):
        """On a core, its own time, which other processes do not lengthen."""
        clock = time.perf_counter if gpu and on_gpu else time.process_time
        began = clock()
        yield
        if gpu and on_gpu:
            torch.cuda.synchronize()
        taken[stage] = (clock() - began) / seconds

    device = "cuda" if on_gpu else "cpu"
    with tempfile.TemporaryDirectory() as temporary:
        root, store = Path(temporary, "raw"), Path(temporary, "audio.arrow")
        synthesise(root)
        total = read_corpus("demo", root)[0]["seconds"].sum()
        with timed("corpus", total), writing_frames(store, 0, "int16", 1 / audio.RATE, {}) as writer:
            for row in read_corpus("demo", root)[0].itertuples():
                writer.append(row.utterance, audio.to_int16(audio.load(root / row.path, row.start, row.end)))
        speech = FrameStore(store)
        some = speech.utterances[:60]
        told = sum(len(speech[name]) for name in some) / audio.RATE
        for name in ("fbank", "mfcc"):
            with timed(name, told):
                for utterance in some:
                    getattr(features, name)(audio.from_int16(speech[utterance]))
        functionals(audio.from_int16(speech[some[0]]))  # what it loads once
        with timed("functionals", told):
            for utterance in some:
                functionals(audio.from_int16(speech[utterance]))
        encoder, rng = build("hubert", {"size": "base"}, 0).to(device).eval(), np.random.default_rng(0)
        few = speech.utterances if on_gpu else some[:12]
        list(embed(encoder, Inputs(speech), few[:2], 9, batch_seconds()))
        with timed("embed", sum(len(speech[name]) for name in few) / audio.RATE, gpu=True):
            list(embed(encoder, Inputs(speech), few, 9, batch_seconds()))
    held["others"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    frames = rng.standard_normal((CANDIDATES, WIDTH), dtype=np.float32)
    with timed("cluster: fit", CANDIDATES / TOKENS, gpu=True):
        kmeans = fit_kmeans(frames, CLUSTERS)
    with timed("cluster: label", CANDIDATES / TOKENS, gpu=True):
        kmeans.assign(frames)
    rows, seconds, steps = (16, 10, 20) if on_gpu else (2, 4, 2)
    generator = torch.Generator().manual_seed(0)
    waves = torch.randn(rows, seconds * audio.RATE, generator=generator).to(device)
    masked = pretraining_class("hubert").around(encoder, units=CLUSTERS, seed=0, frozen=False)
    tokens = seconds * TOKENS - 1
    mask = (torch.rand(rows, tokens, generator=generator) < 0.5).to(device)
    units = torch.randint(CLUSTERS, mask.shape, generator=generator).to(device)
    schedule = {"head": "pooled", "options": {}, "layers": "last", "frozen": "front-end"}
    pooled = EmotionClassifier.around(encoder, list("abcd"), schedule, 0)
    lengths, emotions = torch.full((rows,), waves.shape[1]), torch.arange(rows) % 4
    batches = {
        "pretrain": (masked, {"input_values": waves, "mask": mask, "units": units}),
        "finetune": (pooled, {"input_values": waves, "lengths": lengths.to(device), "emotions": emotions.to(device)}),
    }
    for stage, (model, batch) in batches.items():
        model.to(device).train()
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5)

        def step(model=model, batch=batch, optimiser=optimiser):
            with torch.autocast(device, torch.bfloat16, enabled=training.has_bfloat16()):
                loss = model(**batch).loss
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()

        step()
        with timed(stage, steps * rows * seconds, gpu=True):
            for _ in range(steps):
                step()
    name = torch.cuda.get_device_name() if on_gpu else f"{_processor()}, one core"
    return name, taken, held


def page(known):
    """docs/scale.md, of {machine: what was timed on it}."""
    from serflow.features import WIDTHS

    plans = {plan: planned(overlays) for plan, overlays in PLANS.items()}
    machines = {name: told["seconds"] for name, told in known.items()}
    held = max(told["memory"]["others"] for told in known.values())
    lines = [
        "# Scale",
        "",
        _filled(OF_WHAT.format(machines="; ".join(machines))),
        "",
        _filled(HOW),
    ]
    for hours, name in CORPORA.items():
        plan = plans["flea" if hours <= LABELLED else "speech"]
        stages = _stages(hours, plan, held, WIDTHS)
        head = ["stage", "jobs", "submissions", "disk", "memory of a job", *(f"hours on {one}" for one in machines)]
        lines += ["", f"## {hours:,} hours{f' ({name})' * bool(name)}", "", _row(head), _row(["---"] * len(head))]
        total = Counter()
        for stage, (rules, disk, memory, work) in stages.items():
            jobs, submitted = (sum(plan.get(rule, [0, 0])[part] for rule in rules) for part in (0, 1))
            if not jobs:
                continue
            taken = {
                one: sum(seconds[what] * much for what, much in work.items()) for one, seconds in machines.items()
            }
            total.update({"jobs": jobs, "submitted": submitted, "disk": disk, **taken})
            cells = [f"{jobs:,}", f"{submitted:,}", _size(disk), _size(memory)]
            lines.append(_row([stage, *cells, *(_hours(taken[one]) for one in machines)]))
        cells = [f"{total['jobs']:,}", f"{total['submitted']:,}", _size(total["disk"]), ""]
        lines.append(_row(["all", *cells, *(_hours(total[one]) for one in machines)]))
    return "\n".join([*lines, "", *_limits(machines, WIDTHS)]) + "\n"


def _stages(hours, plan, base, widths):
    """{stage: (its rules, bytes that it leaves, bytes in memory of its largest job, {what was timed: how many seconds
    of speech go through it})}"""
    seconds, jobs = hours * 3600, Counter({rule: count for rule, (count, _) in plan.items()})
    heard = seconds * ((FOLDS - 1) / FOLDS if hours <= LABELLED else 1)
    fitted = min(heard, MAX_FRAMES / TOKENS)
    frames, model = 2 * 100 * (widths["fbank"] + widths["mfcc"]), 4 * WEIGHTS
    all_heard = {rule: jobs[rule] * heard for rule in ("hidden", "cluster", "pretrain", "finetune")}
    functionals = {"functionals": seconds} if jobs["utterance_features"] else {}
    return {
        "corpus": (
            ["demo_speech", "corpus", "folds", "protocol", "audit"], 32e3 * seconds, base, {"corpus": seconds},
        ),
        "features": (
            ["frame_features", "utterance_features", "classical"],
            frames * seconds,
            base,
            {"fbank": seconds, "mfcc": seconds, **functionals},
        ),
        "units": (
            ["cluster"],
            4 * TOKENS * all_heard["cluster"],
            base + 4 * WIDTH * TOKENS * fitted,
            {
                "embed": all_heard["hidden"],
                "cluster: fit": jobs["cluster"] * fitted,
                "cluster: label": all_heard["cluster"],
            },
        ),
        "pretraining, a pass each": (
            ["pretrain"], model * jobs["pretrain"], base + 16 * WEIGHTS, {"pretrain": all_heard["pretrain"]},
        ),
        "systems, a pass each": (
            ["finetune"], model * jobs["finetune"], base + 16 * WEIGHTS, {"finetune": all_heard["finetune"]},
        ),
        "tables": (["table", "figures", "units_table", "cards", "configuration"], 1e6, base, {}),
    }  # fmt: skip


def _limits(machines, widths):
    """Where each stage ends, and what is done there."""
    day = 24 * 3600

    def within(what):
        """Hours of speech that a day is enough for, machine by machine."""
        return ", ".join(f"{day / seconds[what] / 3600:,.0f} h ({name})" for name, seconds in machines.items())

    stored = 2 * WIDTH * TOKENS * 3600
    told = {
        "corpus": within("corpus"),
        "fbank": within("fbank"),
        "functionals": within("functionals"),
        "embed": within("embed"),
        "an_hour": f"{stored / 1e6:,.0f} MB",
        "many": f"{stored / 1e7:,.1f} TB",
        "max_frames": f"{MAX_FRAMES:,}",
        "bounded": f"{MAX_FRAMES / TOKENS / 3600:.0f}",
    }
    return [
        "## Where each stage's limit lies",
        "",
        *(_filled(line.format(**told), "  ") for line in LIMITS.replace("\n  ", " ").strip().splitlines()),
    ]


def _filled(text, indent=""):
    return textwrap.fill(
        " ".join(text.split()), 118, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _row(cells):
    return f"| {' | '.join(cells)} |"


def _size(count):
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return "< 1 MB"


def _hours(seconds):
    hours = seconds / 3600
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.1f}" if hours >= 0.05 else "< 0.1"


def _processor():
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(": ")[2]
    return platform.processor() or os.uname().machine


if __name__ == "__main__":
    main()
