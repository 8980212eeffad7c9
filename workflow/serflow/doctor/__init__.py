"""Before a run: whether it can go well, what it would do, and how much disk its features fill.

A check is a generator of findings, (mark, sentence), about a `findings.Run`, to which it adds what later ones need.
"""

import logging
from collections import Counter
from collections.abc import Iterable

from serflow.doctor.findings import ERROR, WARNING, Run
from serflow.doctor.inputs import configuration, corpus
from serflow.doctor.jobs import plan
from serflow.doctor.machine import devices, disk, environment, results
from serflow.doctor.scheduler import scheduler
from serflow.errors import UserError

CHECKS = (environment, devices, scheduler, configuration, corpus, results, plan, disk)


def examine(
    configfiles: Iterable[str] = (),
    settings: Iterable[str] = (),
    cores: int | None = None,
    profile: str | None = None,
) -> int:
    """Print the findings of every check up to the first that finds an error; returns the exit code."""
    run, marks = Run(list(configfiles), list(settings), cores, profile), Counter()
    for check in CHECKS:
        print(check.__name__)
        for mark, text in _findings(check, run):
            marks[mark] += 1
            print(f"  {mark:8} {text}", flush=True)
        if marks[ERROR]:
            break
    warnings = f"{marks[WARNING]} warning{'s' * (marks[WARNING] != 1)}"
    rest = "" if check is CHECKS[-1] else "; what comes after it is checked once it is mended"
    print(f"\n{marks[ERROR]} to mend{rest}; {warnings}." if marks[ERROR] else f"\nReady to run; {warnings}.")
    return int(marks[ERROR] > 0)


def _findings(check, run):
    told, handler = [], logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())
    logging.getLogger("serflow").addHandler(handler)
    try:
        yield from check(run)
        yield from ((WARNING, text) for text in told)
    except UserError as error:
        yield ERROR, str(error)
    except OSError as error:
        yield ERROR, f"{error.filename or check.__name__}: {error.strerror or error}: give rights there or mend it."
    finally:
        logging.getLogger("serflow").removeHandler(handler)
