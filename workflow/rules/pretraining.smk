# Units of a pool -> an encoder that predicts them behind a mask.


rule pretrain:
    input:
        start=pretraining_start,
        inputs=pretraining_inputs,
        labels=pretraining_labels,
        folds=rules.folds.output.folds,
    output:
        model=f"{RESULTS}/{{pool}}/ssl/{{pretraining}}/model.safetensors",
        description=f"{RESULTS}/{{pool}}/ssl/{{pretraining}}/config.json",
        history=f"{RESULTS}/{{pool}}/ssl/{{pretraining}}/history.csv",
    log:
        f"{LOGS}/{{pool}}/pretrain-{{pretraining}}.log",
    conda:
        "../../envs/training.yaml"
    threads: threads_of_a_fold()
    params:
        settings=pretraining_settings,
        code=code("pretrain", *ENCODER_MODULES),
    message:
        "Pretraining {wildcards.pretraining} ({wildcards.pool})"
    script:
        "../scripts/pretrain.py"
