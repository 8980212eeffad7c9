# A folder of speech -> checked utterances, their audio in one file, and speaker-disjoint folds.


include: "inputs/corpus.smk"


rule demo_speech:
    output:
        speech=directory(f"{RESULTS}/raw"),
    log:
        f"{LOGS}/demo_speech.log",
    benchmark:
        f"{RUN}/jobs/demo_speech.jsonl"
    localrule: True
    conda:
        "../../envs/features.yaml"
    params:
        options=config["corpus"]["options"],
        code=code("demo_speech"),
    message:
        "Synthesising the demo corpus"
    script:
        "../scripts/demo_speech.py"


rule corpus:
    input:
        speech=MADE_SPEECH,
    output:
        utterances=f"{RESULTS}/corpus/utterances.parquet",
        quarantine=f"{RESULTS}/corpus/quarantine.csv",
        audio=f"{RESULTS}/corpus/audio.arrow",
    log:
        f"{LOGS}/corpus.log",
    benchmark:
        f"{RUN}/jobs/corpus.jsonl"
    conda:
        "../../envs/features.yaml"
    params:
        root=config["root"],
        settings=config["corpus"],
        folders=corpus_folders(),
        files=[listing_digest(folder) for folder in corpus_folders()],
        code=code("corpus", *adapter_modules()),
    message:
        "Reading and checking the corpus"
    script:
        "../scripts/corpus.py"


rule folds:
    input:
        utterances=rules.corpus.output.utterances,
        heard=heard_elsewhere(),
        file=config["folds"]["file"] or [],
    output:
        folds=f"{RESULTS}/corpus/folds.parquet",
    log:
        f"{LOGS}/folds.log",
    benchmark:
        f"{RUN}/jobs/folds.jsonl"
    localrule: True
    conda:
        "../../envs/features.yaml"
    params:
        folds=config["folds"],
        code=code("folds"),
    message:
        "Splitting by {config[folds][protocol]}"
    script:
        "../scripts/folds.py"


rule protocol:
    input:
        utterances=rules.corpus.output.utterances,
        folds=rules.folds.output.folds,
    output:
        protocol=f"{RESULTS}/corpus/protocol.json",
    log:
        f"{LOGS}/protocol.log",
    benchmark:
        f"{RUN}/jobs/protocol.jsonl"
    localrule: True
    conda:
        "../../envs/features.yaml"
    params:
        settings=protocol_settings(),
        code=code("protocol"),
    message:
        "Writing the protocol card"
    script:
        "../scripts/protocol.py"
