# Predictions -> tables, the numbers behind them, figures, and a card for every trained system.


include: "inputs/evaluation.smk"


rule audit:
    input:
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
        nuisance=f"{RESULTS}/features/nuisance.parquet",
    output:
        audit=f"{RESULTS}/corpus/audit.json",
    log:
        f"{LOGS}/audit.log",
    benchmark:
        f"{RUN}/jobs/audit.jsonl"
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    params:
        protocol=config["folds"]["protocol"],
        code=code("audit"),
    message:
        "Looking for what tells emotions without being emotion"
    script:
        "../scripts/audit.py"


rule planned:
    input:
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
    output:
        csv=f"{RESULTS}/tables/{{table}}-planned.csv",
    log:
        f"{LOGS}/tables/{{table}}-planned.log",
    benchmark:
        f"{RUN}/jobs/tables/{{table}}-planned.jsonl"
    priority: 100
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    params:
        settings=table_claims,
        code=code("planned"),
    message:
        "Writing down what table {wildcards.table} claims"
    script:
        "../scripts/planned.py"


rule table:
    input:
        planned=rules.planned.output.csv,
        predictions=table_predictions,
        validations=table_validations,
        maskings=table_maskings,
        intensity=table_intensities,
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
        protocol=rules.protocol.output.protocol,
        audit=rules.audit.output.audit,
    output:
        csv=f"{RESULTS}/tables/{{table}}.csv",
        markdown=report(f"{RESULTS}/tables/{{table}}.md", caption="../report/table.rst", category="Tables"),
        latex=f"{RESULTS}/tables/{{table}}.tex",
        metrics=f"{RESULTS}/tables/{{table}}.json",
        scores=f"{RESULTS}/tables/{{table}}-scores.csv",
    log:
        f"{LOGS}/tables/{{table}}.log",
    benchmark:
        f"{RUN}/jobs/tables/{{table}}.jsonl"
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    params:
        settings=table_settings,
        code=code("table"),
    message:
        "Building table {wildcards.table}"
    script:
        "../scripts/table.py"


rule cards:
    input:
        predictions=[path for name in CARDED for path in predictions_of(name)],
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
        protocol=rules.protocol.output.protocol,
        frames=frames_table()[:1],
        stress=stress_table()[:1],
    output:
        cards=every_card(),
    log:
        f"{LOGS}/cards.log",
    benchmark:
        f"{RUN}/jobs/cards.jsonl"
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    params:
        settings={name: card_settings(name) for name in CARDED},
        code=code("cards"),
    message:
        "Writing the model cards"
    script:
        "../scripts/cards.py"


rule figures:
    input:
        predictions=table_predictions,
        histories=table_histories,
        units=table_units,
        utterances=rules.corpus.output.utterances,
    output:
        figures=report(
            directory(f"{RESULTS}/figures/{{table}}"),
            patterns=["{figure}.png"],
            caption="../report/figures.rst",
            category="Figures",
            subcategory="{table}",
        ),
    log:
        f"{LOGS}/figures/{{table}}.log",
    benchmark:
        f"{RUN}/jobs/figures/{{table}}.jsonl"
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    params:
        titles=table_titles,
        title=lambda wildcards: config["tables"][wildcards.table]["title"],
        sweep=table_sweep,
        code=code("figures"),
    message:
        "Drawing confusion matrices and training curves of table {wildcards.table}"
    script:
        "../scripts/figures.py"


rule units_table:
    input:
        qualities=list(every_quality()),
    output:
        csv=f"{RESULTS}/tables/units.csv",
        markdown=report(f"{RESULTS}/tables/units.md", caption="../report/units.rst", category="Tables"),
    log:
        f"{LOGS}/tables/units.log",
    benchmark:
        f"{RUN}/jobs/tables/units.jsonl"
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    params:
        named=list(every_quality().values()),
        code=code("units_table"),
    message:
        "Comparing what units tell of emotion and speaker"
    script:
        "../scripts/units_table.py"


rule intensity_table:
    input:
        frames=list(every_intensity()),
        ranked=every_ranking(),
        speech=MADE_SPEECH,
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
    output:
        csv=f"{RESULTS}/tables/intensity.csv",
        markdown=report(f"{RESULTS}/tables/intensity.md", caption="../report/intensity.rst", category="Tables"),
        levels=levels_table("csv"),
        levels_markdown=levels_table("md"),
    log:
        f"{LOGS}/tables/intensity.log",
    benchmark:
        f"{RUN}/jobs/tables/intensity.jsonl"
    conda:
        "../../envs/training.yaml"
    params:
        scored=list(every_intensity().values()),
        ranked=list(FOLDS) if every_ranking() else [],
        truth=TRUE_INTENSITY,
        control=INTENSITIES[-1] if INTENSITIES else None,
        code=code("intensity_table"),
    message:
        "Comparing intensities with what is known of unheard speakers"
    script:
        "../scripts/intensity_table.py"


rule configuration:
    output:
        configuration=f"{RESULTS}/configuration.json",
    log:
        f"{LOGS}/configuration.log",
    benchmark:
        f"{RUN}/jobs/configuration.jsonl"
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    params:
        settings={key: value for key, value in config.items() if key != "root"},
        code=code("configuration"),
    message:
        "Writing down what the run was told, which the report reads"
    script:
        "../scripts/configuration.py"
