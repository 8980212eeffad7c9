# What a pool may hear -> an encoder that guesses units or frames of it.


include: "inputs/pretraining.smk"


rule pretrain:
    input:
        start=pretraining_start,
        inputs=pretraining_inputs,
        labels=pretraining_labels,
        intensity=pretraining_intensity,
        folds=rules.folds.output.folds,
    output:
        model=f"{RESULTS}/{{pool}}/ssl/{{pretraining}}/model.safetensors",
        description=f"{RESULTS}/{{pool}}/ssl/{{pretraining}}/config.json",
        history=f"{RESULTS}/{{pool}}/ssl/{{pretraining}}/history.csv",
        masking=f"{RESULTS}/{{pool}}/ssl/{{pretraining}}/masking.json",
    log:
        f"{LOGS}/{{pool}}/pretrain-{{pretraining}}.log",
    conda:
        "../../envs/training.yaml"
    threads: threads_of_a_fold()
    params:
        settings=pretraining_settings,
        code=pretraining_code,
    message:
        "Pretraining {wildcards.pretraining} ({wildcards.pool})"
    script:
        "../scripts/pretrain.py"
