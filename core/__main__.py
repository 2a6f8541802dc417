"""`python -m core`: what the pages do, headless. Exit status 0 done, 1 failed with the error's three parts, 2 wrong
usage."""

from __future__ import annotations

import importlib
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import cast

from core import settings as settings_module
from core.cli import boundary, output, parser
from core.errors import ThawError
from core.settings import Settings

HANDLERS: dict[str, str] = {
    "data_check": "core.cli.data:check",
    "data_mend": "core.cli.mend:mend",
    "data_undo": "core.cli.mend:undo",
    "data_make_shift": "core.cli.make_shift:run",
    "compare": "core.cli.compare:run",
    "experiment": "core.cli.experiment:run",
    "lesson": "core.cli.lesson:run",
    "advise": "core.cli.advise:run",
    "table": "core.cli.table:run",
    "try": "core.cli.one_step:run",
    "shift": "core.cli.shift:run",
    "strength": "core.cli.strength:run",
    "predict": "core.cli.predict:predict",
    "serve": "core.cli.serve:serve",
    "export": "core.cli.export:export",
    "share": "core.cli.share:share",
    "import_archive": "core.cli.share:take_in",
    "runs": "core.cli.queue:runs",
    "resume": "core.cli.queue:resume",
    "stop": "core.cli.queue:stop",
    "first": "core.cli.queue:first",
    "supervise": "core.cli.queue:supervise",
    "example_make": "core.cli.example:make",
    "doctor": "core.cli.doctor:run",
}
"""Handler name -> module:function(args, settings) -> exit status. Imported when asked for, so that --help is
instant."""

HANDED_ON = ("export", "share")
"""What these write is made for others to read."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    boundary.forgiving_streams()
    args = parser.build().parse_args(argv)
    settings: Settings | None = None
    try:
        module, _, function = HANDLERS[args.handler].partition(":")
        handler = cast("Callable[[Namespace, Settings], int]", getattr(importlib.import_module(module), function))
        settings = settings_module.load()
        settings_module.keep_private(settings, new_files=args.handler not in HANDED_ON)
        status = handler(args, settings)
        sys.stdout.flush()
        return status
    except ThawError as problem:
        output.error(problem, as_json=args.json)
        return 1
    except KeyboardInterrupt:
        output.say("Stopped.")
        return 1
    except BrokenPipeError:                                          # whoever read the output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as problem:  # noqa: BLE001 - the boundary: three parts for people, the traceback for the log
        output.error(boundary.in_three_parts(problem, arguments=sys.argv[1:] if argv is None else argv,
                                             settings=settings),
                     as_json=args.json)
        return 1


if __name__ == "__main__":
    sys.exit(main())
