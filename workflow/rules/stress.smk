# Trained systems asked again in other sound: noise, level, telephone, room, codec -> what is left of their scores.


include: "inputs/stress.smk"


rule stress:
    input:
        stressed_models,
        audio=rules.corpus.output.audio,
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
    output:
        predictions=f"{RESULTS}/fold-{{fold}}/seed-{{seed}}/stress.parquet",
    log:
        f"{LOGS}/fold-{{fold}}/seed-{{seed}}/stress.log",
    benchmark:
        f"{RUN}/jobs/fold-{{fold}}/seed-{{seed}}/stress.jsonl"
    conda:
        "../../envs/training.yaml"
    threads: threads_of_a_fold()
    params:
        settings=stress_settings,
        code=stress_code(),
    message:
        "Asking systems in other sound (fold {wildcards.fold}, seed {wildcards.seed})"
    script:
        "../scripts/stress.py"


rule stress_table:
    input:
        predictions=every_stress(),
        tables=expand(f"{RESULTS}/tables/{{table}}.csv", table=config["tables"]),
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
    output:
        csv=f"{RESULTS}/tables/stress.csv",
        markdown=report(f"{RESULTS}/tables/stress.md", caption="../report/stress.rst", category="Tables"),
        figures=report(
            directory(f"{RESULTS}/figures/stress"),
            patterns=["{figure}.png"],
            caption="../report/figures.rst",
            category="Figures",
            subcategory="stress",
        ),
    log:
        f"{LOGS}/tables/stress.log",
    benchmark:
        f"{RUN}/jobs/tables/stress.jsonl"
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    params:
        titles={name: config["systems"][name]["title"] for name in CARDED},
        headings={name: table["title"] for name, table in config["tables"].items()},
        code=code("stress_table"),
    message:
        "Comparing systems in other sound"
    script:
        "../scripts/stress_table.py"
