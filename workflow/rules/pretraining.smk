# What a pool may hear -> an encoder that guesses units or frames of it.


include: "inputs/pretraining.smk"


rule pretrain:
    input:
        start=pretraining_start,
        inputs=pretraining_inputs,
        units=pretraining_units,
        intensity=pretraining_intensity,
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
    output:
        model=f"{RESULTS}/{{pool}}/seed-{{seed}}/ssl/{{pretraining}}/model.safetensors",
        description=f"{RESULTS}/{{pool}}/seed-{{seed}}/ssl/{{pretraining}}/config.json",
        history=f"{RESULTS}/{{pool}}/seed-{{seed}}/ssl/{{pretraining}}/history.csv",
        masking=f"{RESULTS}/{{pool}}/seed-{{seed}}/ssl/{{pretraining}}/masking.json",
    log:
        f"{LOGS}/{{pool}}/seed-{{seed}}/pretrain-{{pretraining}}.log",
    benchmark:
        f"{RUN}/jobs/{{pool}}/seed-{{seed}}/pretrain-{{pretraining}}.jsonl"
    conda:
        "../../envs/training.yaml"
    threads: threads_of_a_fold()
    params:
        settings=pretraining_settings,
        code=pretraining_code,
    message:
        "Pretraining {wildcards.pretraining} ({wildcards.pool}, seed {wildcards.seed})"
    script:
        "../scripts/pretrain.py"
