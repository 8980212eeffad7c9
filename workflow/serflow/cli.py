"""The command `serflow`: what is asked of the project besides running it, which `snakemake` does."""

import argparse
import sys

from serflow.errors import UserError


def main(arguments: list[str] | None = None) -> int | None:
    """Run one subcommand; returns its exit code, None where all is well."""
    parser = argparse.ArgumentParser(prog="serflow", description="Compare methods of speech emotion recognition.")
    commands = parser.add_subparsers(required=True, metavar="command")
    _doctor(commands)
    _versioning(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except UserError as error:
        sys.exit(f"serflow: {error}")


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
    parser.set_defaults(run=_run_doctor)


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


def _run_doctor(options):
    from serflow.doctor import examine

    return examine(options.configfile, options.config, options.cores)


def _cores(text):
    if text == "all":
        return None
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is neither a number of cores nor all")


if __name__ == "__main__":
    sys.exit(main())
