# Frames of a pool, or hidden states of a model of it -> k-means -> a unit for every frame.


include: "inputs/units.smk"


rule cluster:
    input:
        model=clustered_model,
        inputs=clustered_inputs,
        speech=MADE_SPEECH,
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
    output:
        centroids=f"{RESULTS}/{{pool}}/seed-{{seed}}/units/{{units}}/centroids.npy",
        units=f"{RESULTS}/{{pool}}/seed-{{seed}}/units/{{units}}/units.arrow",
        quality=f"{RESULTS}/{{pool}}/seed-{{seed}}/units/{{units}}/quality.json",
    log:
        f"{LOGS}/{{pool}}/seed-{{seed}}/cluster-{{units}}.log",
    benchmark:
        f"{RUN}/jobs/{{pool}}/seed-{{seed}}/cluster-{{units}}.jsonl"
    conda:
        "../../envs/training.yaml"
    threads: threads_of_a_fold()
    params:
        settings=clustering_settings,
        truth=TRUE_INTENSITY,
        code=clustering_code,
    message:
        "Clustering units {wildcards.units} ({wildcards.pool}, seed {wildcards.seed})"
    script:
        "../scripts/cluster.py"


# Hidden states are written only for who asks for their file.
rule embed:
    input:
        model=embedded_model,
        inputs=embedded_inputs,
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
    output:
        frames=f"{RESULTS}/{{pool}}/seed-{{seed}}/embeddings/{{frames}}/layer-{{layer}}/frames.arrow",
    log:
        f"{LOGS}/{{pool}}/seed-{{seed}}/embed-{{frames}}-layer-{{layer}}.log",
    benchmark:
        f"{RUN}/jobs/{{pool}}/seed-{{seed}}/embed-{{frames}}-layer-{{layer}}.jsonl"
    conda:
        "../../envs/training.yaml"
    threads: threads_of_a_fold()
    params:
        settings=embedding_settings,
        code=embedding_code,
    message:
        "Embedding by layer {wildcards.layer} of {wildcards.frames} ({wildcards.pool}, seed {wildcards.seed})"
    script:
        "../scripts/embed.py"
