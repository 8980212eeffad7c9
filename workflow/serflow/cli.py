"""The command `serflow`: what is asked of the project besides running it, which `snakemake` does."""

import argparse
import sys

from serflow.errors import UserError


def main(arguments: list[str] | None = None) -> int | None:
    """Run one subcommand; returns its exit code, None where all is well."""
    parser = argparse.ArgumentParser(prog="serflow", description="Compare methods of speech emotion recognition.")
    commands = parser.add_subparsers(required=True, metavar="command")
    _doctor(commands)
    _predict(commands)
    _models(commands)
    _versioning(commands)
    _claims(commands)
    _report(commands)
    _export(commands)
    _import(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except UserError as error:
        sys.exit(f"serflow: {error}")
    except BrokenPipeError:  # whoever read this, as in `serflow predict ... | head`, wants no more
        sys.stdout = None
        return 1


def _doctor(commands):
    text = "check the environment, devices, configuration, corpus and disk, and say what would run and how large"
    parser = commands.add_parser(
        "doctor",
        help=text,
        description=f"Before anything runs: {text}. To be called in the project's folder, with what would be given "
        "to snakemake. Changes nothing; exit code 1 when there is an error.",
    )
    parser.add_argument(
        "--configfile",
        nargs="+",
        default=[],
        metavar="FILE",
        help="overlays, laid over config/config.yaml in the order given",
    )
    parser.add_argument(
        "--config", nargs="+", default=[], metavar="KEY=VALUE", help="laid over them, as in root=<folder>"
    )
    parser.add_argument(
        "--cores",
        type=_cores,
        default=None,
        metavar="N",
        help="how many the run may use; a number or all, the default",
    )
    parser.add_argument(
        "--profile", default=None, metavar="FOLDER", help="whose cluster is asked whether it would take the jobs"
    )
    parser.set_defaults(run=_run_doctor)


def _predict(commands):
    text = "tell the emotions in recordings, by a trained system"
    parser = commands.add_parser(
        "predict",
        help=text,
        description=f"To {text}. A recording of up to a minute is one segment, a longer one is cut into segments of "
        "about 10 s. Writes what was heard to standard output; a file in which nothing can be heard is named on "
        "standard error, does not stop the others, and makes the exit code 1.",
    )
    parser.add_argument("recordings", nargs="+", metavar="FILE_OR_FOLDER", help="files, and folders with all below")
    parser.add_argument(
        "--model",
        metavar="FOLDER",
        help="results/<corpus>/systems/<system>, for all its folds and seeds together, or one model in it; by "
        "default the system of results/ with the best score, its final model where it has one",
    )
    parser.add_argument(
        "--classes",
        metavar="NAME,NAME...",
        help="tell only these apart; a system that reads prompts may be new to them",
    )
    parser.add_argument(
        "--frames", action="store_true", help="what is said of every frame, by the half second around"
    )
    parser.add_argument(
        "--segment", type=_seconds, metavar="SECONDS", help="cut every recording into segments of about so much"
    )
    parser.add_argument("--format", default="tsv", choices=["tsv", "json", "audacity", "rttm"], help="tsv by default")
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        help="write a file for each recording there, in place of one list; audacity's way",
    )
    parser.set_defaults(run=_run_predict)


def _models(commands):
    text = "list the trained systems of results/, with their scores"
    parser = commands.add_parser("models", help=text, description=f"To {text}; the best of a corpus first.")
    parser.set_defaults(run=_run_models)


def _versioning(commands):
    from serflow import versioning

    plan = commands.add_parser(
        "plan",
        help="write dvc.yaml and what decides every stage, from the workflow",
        description="Write results/<corpus>/plan.json for every corpus of config/corpora.yaml, and dvc.yaml. With "
        "names of corpora: write their plans only, and check that dvc.yaml fits them.",
    )
    plan.add_argument("corpora", nargs="*", metavar="CORPUS")
    plan.set_defaults(run=lambda options: versioning.plan(options.corpora))
    for command in (versioning.commit, versioning.restore, versioning.verify):
        text = command.__doc__.split(".")[0]
        parser = commands.add_parser(command.__name__, help=text[0].lower() + text[1:], description=command.__doc__)
        parser.set_defaults(run=lambda options, command=command: command())


def _report(commands):
    text = "write verdicts, tables, figures and an explorer of one or several corpora as one HTML page"
    parser = commands.add_parser(
        "report",
        help=text,
        description=f"To {text}, which loads nothing from anywhere. What a run has not left there, the page says.",
    )
    parser.add_argument("folders", nargs="*", metavar="results/CORPUS", help="all that have tables, if none is named")
    parser.add_argument(
        "--output", default="results/report.html", metavar="FILE", help="default: results/report.html"
    )
    parser.set_defaults(run=_run_report)


def _claims(commands):
    text = "gather what is claimed, on every corpus and pooled, from the tables of results/"
    parser = commands.add_parser(
        "claims",
        help=text,
        description=f"To {text}: writes results/claims.csv, .md, .json and .svg, and results/README.md with every "
        "table. Needs no artifact but the tables.",
    )
    parser.set_defaults(run=_run_claims)


def _export(commands):
    text = "write a saved model for use without serflow, as a class of transformers or as an ONNX graph"
    parser = commands.add_parser(
        "export",
        help=text,
        description=f"To {text}. What is not normalised over the utterance itself must be normalised by the caller.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="a model folder: of an encoder, a pretraining or a system")
    parser.add_argument("target", metavar="TARGET", help="the folder to write, which must not exist")
    parser.add_argument(
        "--onnx", action="store_true", help="write TARGET/model.onnx, which any head and layer can be"
    )
    parser.set_defaults(run=_run_export)


def _import(commands):
    text = "make a model folder of a HuBERT checkpoint of fairseq or torchaudio"
    parser = commands.add_parser(
        "import",
        help=text,
        description=f"To {text}, read as data: nothing in it is run. serflow and transformers load the folder.",
    )
    parser.add_argument("file", metavar="FILE", help="as hubert_base_ls960.pt or hubert_fairseq_base_ls960.pth")
    parser.add_argument("target", metavar="TARGET", help="the folder to write, which must not exist")
    parser.add_argument(
        "--heads",
        type=int,
        default=None,
        metavar="N",
        help="attention heads a layer, of a size that is not published",
    )
    parser.set_defaults(run=_run_import)


def _run_doctor(options):
    from serflow.doctor import examine

    return examine(options.configfile, options.config, options.cores, options.profile)


def _run_report(options):
    from serflow import report

    for sentence in report.write(options.folders or report.finished(), options.output):
        print(sentence)
    print(f"Report: {options.output}")


def _run_claims(options):
    from serflow.evaluation import overview

    print(overview.write())


def _run_predict(options):
    from serflow.recognition.command import predict

    classes = options.classes and [name.strip() for name in options.classes.split(",")]
    told = {"classes": classes, "frames": options.frames, "segment": options.segment}
    return predict(options.recordings, options.model, format=options.format, output=options.output, **told)


def _run_models(options):
    from serflow.recognition.trained import lines, trained

    found = trained()
    print(*lines(found), sep="\n") if found else print("results/ has no trained system: run snakemake first.")


def _run_export(options):
    from serflow.export import export

    export(options.folder, options.target, options.onnx)


def _run_import(options):
    from serflow.export import import_hubert

    import_hubert(options.file, options.target, options.heads)


def _seconds(text):
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if 0.1 <= seconds < float("inf"):
        return seconds
    raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds from 0.1 on")


def _cores(text):
    if text == "all":
        return None
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is neither a number of cores nor all")


if __name__ == "__main__":
    sys.exit(main())
