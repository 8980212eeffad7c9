# Audio -> fbank and MFCC frames, and one row of functionals an utterance.


rule frame_features:
    input:
        audio=rules.corpus.output.audio,
    output:
        frames=f"{RESULTS}/features/{{feature}}.arrow",
    log:
        f"{LOGS}/features/{{feature}}.log",
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


rule functionals:
    input:
        audio=rules.corpus.output.audio,
    output:
        functionals=f"{RESULTS}/features/functionals.parquet",
    log:
        f"{LOGS}/features/functionals.log",
    conda:
        "../../envs/features.yaml"
    params:
        code=code("functionals"),
    message:
        "Extracting eGeMAPS functionals"
    script:
        "../scripts/functionals.py"
