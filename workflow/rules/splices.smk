# Utterances joined so that it is known where the emotion is -> what intensities, systems and units say of their frames.


include: "inputs/splices.smk"


rule splice_frames:
    input:
        spliced_models,
        audio=rules.corpus.output.audio,
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
    output:
        segments=f"{RESULTS}/fold-{{fold}}/seed-{{seed}}/splices/segments.parquet",
        scores=f"{RESULTS}/fold-{{fold}}/seed-{{seed}}/splices/scores.parquet",
        emotions=f"{RESULTS}/fold-{{fold}}/seed-{{seed}}/splices/emotions.parquet",
        units=f"{RESULTS}/fold-{{fold}}/seed-{{seed}}/splices/units.parquet",
        timelines=f"{RESULTS}/fold-{{fold}}/seed-{{seed}}/splices/timelines.parquet",
    log:
        f"{LOGS}/fold-{{fold}}/seed-{{seed}}/splice-frames.log",
    benchmark:
        f"{RUN}/jobs/fold-{{fold}}/seed-{{seed}}/splice-frames.jsonl"
    conda:
        "../../envs/training.yaml"
    threads: threads_of_a_fold()
    params:
        settings=spliced_settings,
        code=spliced_code,
    message:
        "Asking where the emotion is in splices (fold {wildcards.fold}, seed {wildcards.seed})"
    script:
        "../scripts/splice_frames.py"


rule frames_table:
    input:
        **{part: every_splice(part) for part in ("scores", "emotions", "units", "timelines")},
    output:
        csv=f"{RESULTS}/tables/frames.csv",
        markdown=report(f"{RESULTS}/tables/frames.md", caption="../report/frames.rst", category="Tables"),
        figures=report(
            directory(f"{RESULTS}/figures/frames"),
            patterns=["{figure}.png"],
            caption="../report/figures.rst",
            category="Figures",
            subcategory="frames",
        ),
    log:
        f"{LOGS}/tables/frames.log",
    benchmark:
        f"{RUN}/jobs/tables/frames.jsonl"
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    params:
        titles={name: config["systems"][name]["title"] for name in CARDED},
        control=INTENSITIES[-1] if INTENSITIES else None,
        code=code("frames_table"),
    message:
        "Comparing what is known of frames"
    script:
        "../scripts/frames_table.py"
