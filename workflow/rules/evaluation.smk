# Predictions -> tables, the numbers behind them, and figures.


rule table:
    input:
        predictions=table_predictions,
        validations=table_validations,
        maskings=table_maskings,
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
        protocol=rules.protocol.output.protocol,
    output:
        csv=f"{RESULTS}/tables/{{table}}.csv",
        markdown=report(f"{RESULTS}/tables/{{table}}.md", caption="../report/table.rst", category="Tables"),
        latex=f"{RESULTS}/tables/{{table}}.tex",
    log:
        f"{LOGS}/tables/{{table}}.log",
    conda:
        "../../envs/evaluation.yaml"
    params:
        settings=table_settings,
        code=code("table"),
    message:
        "Building table {wildcards.table}"
    script:
        "../scripts/table.py"


rule intensity_table:
    input:
        frames=every_intensity(),
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
    output:
        csv=f"{RESULTS}/tables/intensity.csv",
        markdown=report(f"{RESULTS}/tables/intensity.md", caption="../report/intensity.rst", category="Tables"),
    log:
        f"{LOGS}/tables/intensity.log",
    conda:
        "../../envs/training.yaml"
    params:
        truth=TRUTH,
        names=INTENSITIES,
        code=code("intensity_table"),
    message:
        "Comparing intensities with the truth"
    script:
        "../scripts/intensity_table.py"


rule metrics:
    input:
        tables=expand(f"{RESULTS}/tables/{{table}}.csv", table=config["tables"]),
    output:
        metrics=f"{RESULTS}/metrics.json",
    log:
        f"{LOGS}/metrics.log",
    conda:
        "../../envs/evaluation.yaml"
    params:
        code=code("metrics"),
    message:
        "Collecting metrics"
    script:
        "../scripts/metrics.py"


rule figures:
    input:
        predictions=tabled_predictions(),
        histories=training_histories(),
        utterances=rules.corpus.output.utterances,
    output:
        figures=report(every_figure(), caption="../report/figures.rst", category="Figures"),
    log:
        f"{LOGS}/figures.log",
    conda:
        "../../envs/evaluation.yaml"
    params:
        titles={name: config["systems"][name]["title"] for name in tabled_systems()},
        code=code("figures"),
    message:
        "Drawing confusion matrices and training curves"
    script:
        "../scripts/figures.py"
