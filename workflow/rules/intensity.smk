# Neutral and emotional speech of a fold's training speakers -> how emotional every frame sounds.


include: "inputs/intensity.smk"


rule strengths:
    input:
        functionals=f"{RESULTS}/features/functionals.parquet",
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
    output:
        strengths=f"{RESULTS}/fold-{{fold}}/intensity/strengths.parquet",
        ranked=f"{RESULTS}/fold-{{fold}}/intensity/ranked.parquet",
    log:
        f"{LOGS}/fold-{{fold}}/strengths.log",
    benchmark:
        f"{RUN}/jobs/fold-{{fold}}/strengths.jsonl"
    conda:
        "../../envs/training.yaml"
    params:
        selection=config["protocol"]["selection"],
        code=code("strengths"),
    message:
        "Ranking utterances by strength of emotion (fold {wildcards.fold})"
    script:
        "../scripts/strengths.py"


rule train_intensity:
    input:
        audio=rules.corpus.output.audio,
        strengths=intensity_strengths,
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
    output:
        model=f"{RESULTS}/fold-{{fold}}/seed-{{seed}}/intensity/{{intensity}}/model/model.safetensors",
        description=f"{RESULTS}/fold-{{fold}}/seed-{{seed}}/intensity/{{intensity}}/model/config.json",
        history=f"{RESULTS}/fold-{{fold}}/seed-{{seed}}/intensity/{{intensity}}/model/history.csv",
    log:
        f"{LOGS}/fold-{{fold}}/seed-{{seed}}/train-intensity-{{intensity}}.log",
    benchmark:
        f"{RUN}/jobs/fold-{{fold}}/seed-{{seed}}/train-intensity-{{intensity}}.jsonl"
    conda:
        "../../envs/training.yaml"
    threads: threads_of_a_fold()
    params:
        settings=intensity_settings,
        code=intensity_training_code,
    message:
        "Training intensity {wildcards.intensity} (fold {wildcards.fold}, seed {wildcards.seed})"
    script:
        "../scripts/train_intensity.py"


rule intensity:
    input:
        unpack(intensity_source),
        model=intensity_model,
        audio=rules.corpus.output.audio,
    output:
        frames=f"{RESULTS}/fold-{{fold}}/seed-{{seed}}/intensity/{{intensity}}/frames.arrow",
    log:
        f"{LOGS}/fold-{{fold}}/seed-{{seed}}/intensity-{{intensity}}.log",
    benchmark:
        f"{RUN}/jobs/fold-{{fold}}/seed-{{seed}}/intensity-{{intensity}}.jsonl"
    conda:
        "../../envs/training.yaml"
    threads: threads_of_a_fold()
    params:
        settings=scoring_settings,
        code=intensity_code,
    message:
        "Scoring frames by intensity {wildcards.intensity} (fold {wildcards.fold}, seed {wildcards.seed})"
    script:
        "../scripts/intensity.py"


rule loudness:
    input:
        model=[],
        audio=rules.corpus.output.audio,
    output:
        frames=f"{RESULTS}/intensity/{{intensity}}/frames.arrow",
    log:
        f"{LOGS}/intensity-{{intensity}}.log",
    benchmark:
        f"{RUN}/jobs/intensity-{{intensity}}.jsonl"
    conda:
        "../../envs/training.yaml"
    params:
        settings=scoring_settings,
        code=intensity_code,
    message:
        "Scoring frames by {wildcards.intensity}"
    script:
        "../scripts/intensity.py"
