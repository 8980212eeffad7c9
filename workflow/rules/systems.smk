# Training speakers of a fold -> a system -> predictions for its test speakers.


include: "inputs/systems.smk"


rule classical:
    input:
        features=classical_features,
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
    output:
        predictions=f"{RESULTS}/systems/{{system}}/fold-{{fold}}/seed-{{seed}}/predictions.parquet",
    log:
        f"{LOGS}/systems/{{system}}/fold-{{fold}}-seed-{{seed}}.log",
    benchmark:
        f"{RUN}/jobs/systems/{{system}}/fold-{{fold}}-seed-{{seed}}.jsonl"
    wildcard_constraints:
        system="|".join(CLASSICAL_SYSTEMS) or "none",
    group:
        "classical"
    conda:
        "../../envs/evaluation.yaml"
    params:
        settings=system_settings,
        code=code("classical"),
    message:
        "Fitting {wildcards.system} (fold {wildcards.fold}, seed {wildcards.seed})"
    script:
        "../scripts/classical.py"


rule finetune:
    input:
        encoder=system_encoder,
        inputs=system_inputs,
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
    output:
        model=f"{RESULTS}/systems/{{system}}/fold-{{fold}}/seed-{{seed}}/model/model.safetensors",
        description=f"{RESULTS}/systems/{{system}}/fold-{{fold}}/seed-{{seed}}/model/config.json",
        history=f"{RESULTS}/systems/{{system}}/fold-{{fold}}/seed-{{seed}}/model/history.csv",
        predictions=f"{RESULTS}/systems/{{system}}/fold-{{fold}}/seed-{{seed}}/predictions.parquet",
        frames=f"{RESULTS}/systems/{{system}}/fold-{{fold}}/seed-{{seed}}/frames.arrow",
        validation=validation_predictions(),
    log:
        f"{LOGS}/systems/{{system}}/fold-{{fold}}-seed-{{seed}}.log",
    benchmark:
        f"{RUN}/jobs/systems/{{system}}/fold-{{fold}}-seed-{{seed}}.jsonl"
    wildcard_constraints:
        system="|".join(TRAINED_SYSTEMS) or "none",
    group:
        submitted_together
    conda:
        "../../envs/training.yaml"
    threads: threads_of_a_fold()
    params:
        settings=system_settings,
        code=system_code,
    message:
        "Fine-tuning {wildcards.system} (fold {wildcards.fold}, seed {wildcards.seed})"
    script:
        "../scripts/finetune.py"
