# Audio -> fbank and MFCC frames, and features of a whole utterance, a row each.


include: "inputs/features.smk"


rule frame_features:
    input:
        audio=rules.corpus.output.audio,
    output:
        frames=f"{RESULTS}/features/{{feature}}.arrow",
    log:
        f"{LOGS}/features/{{feature}}.log",
    benchmark:
        f"{RUN}/jobs/features/{{feature}}.jsonl"
    wildcard_constraints:
        feature="|".join(WIDTHS),
    conda:
        "../../envs/features.yaml"
    params:
        code=code("frame_features"),
    message:
        "Extracting {wildcards.feature}"
    script:
        "../scripts/frame_features.py"


rule utterance_features:
    input:
        frames=summarised,
    output:
        features=f"{RESULTS}/features/{{feature}}.parquet",
    log:
        f"{LOGS}/features/{{feature}}.log",
    benchmark:
        f"{RUN}/jobs/features/{{feature}}.jsonl"
    wildcard_constraints:
        feature="|".join(UTTERANCE_FEATURES),
    conda:
        "../../envs/features.yaml"
    threads: workflow.cores or 1
    params:
        code=code("utterance_features"),
    message:
        "Extracting {wildcards.feature}"
    script:
        "../scripts/utterance_features.py"
