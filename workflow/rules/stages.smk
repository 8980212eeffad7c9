# Every stage by its name: `snakemake -- <corpus>-<stage>` makes it, and dvc.yaml versions it, under that name.


include: "inputs/stages.smk"


for stage, files in stages().items():

    rule:
        name:
            f"{CORPUS}-{stage}"
        input:
            files,
