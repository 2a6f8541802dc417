"""The command line's grammar."""

from __future__ import annotations

import argparse

from core import lessons
from core.advice import SERVED
from core.domain.freeze import NAMED
from core.domain.strength import Dial, HeadRule
from core.export import FORMATS
from core.models.methods import COMPARED
from core.planning import designs

SHARED = {"report": "one HTML file with every figure, opened in any browser without a network",
          "archive": "recipes, results, predictions and curves, which another Thaw takes in beside its own runs"}
"""What `share` can write."""
WORKSPACE = "cli"
"""The workspace that commands use unless told otherwise."""


def build() -> argparse.ArgumentParser:
    """The parser of `python -m core`; wrong usage ends with status 2."""
    parser = argparse.ArgumentParser(prog="python -m core",
                                     description="Thaw without a browser: compare, look at and use fine-tuned models.",
                                     epilog="Exit status: 0 done, 1 failed with a reason, 2 wrong usage.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _data(commands)
    _compare(commands)
    _experiment(commands)
    _lesson(commands)
    _advise(commands)
    _try(commands)
    _artifact(commands)
    _share(commands)
    _queue(commands)
    _example(commands)
    doctor = _add(commands, "doctor", "device, versions, settings, cache, and whether each bundled asset is in place")
    doctor.set_defaults(handler="doctor")
    return parser


def _add(commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str,
         text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    parser.add_argument("--workspace", default=WORKSPACE, help=f"workspace to use (default: {WORKSPACE})")
    return parser


def _data(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    data = commands.add_parser("data", help="look at a data file, mend a dataset").add_subparsers(
        dest="data_command", required=True, metavar="COMMAND")
    check = _add(data, "check", "the import report of a file, before anything is accepted; or of a dataset")
    check.add_argument("file", metavar="FILE_OR_ID")
    _columns(check)
    check.add_argument("--model", metavar="ID", help="a base model: its tokens are counted (taught, context, cut)")
    check.add_argument("--shift-of", metavar="ID", help="the file as the shift set of this dataset: leaks from its "
                                                        "training rows, classes that are unknown or missing")
    _mending(check)
    check.set_defaults(handler="data_check")
    mend = _add(data, "mend", "do something about the findings of a dataset; the new one takes its place")
    mend.add_argument("dataset", metavar="ID")
    mend.add_argument("--do", default="", metavar="LIST",
                      help="comma-separated, e.g. merge-labels,drop-leaks,drop-repeats or drop-rows:very-short-texts: "
                           "each for all rows of the findings that it answers, or of the one named behind a colon; an "
                           "unknown name lists them all")
    mend.add_argument("--drop-class", action="append", default=[], metavar="NAME", help="may be repeated")
    mend.add_argument("--drop-rows", default="", metavar="LIST", help="comma-separated row numbers")
    mend.add_argument("--dry-run", action="store_true", help="only say what would change")
    mend.set_defaults(handler="data_mend")
    undo = _add(data, "undo", "bring back the dataset whose place a mended one took")
    undo.add_argument("dataset", metavar="ID")
    undo.set_defaults(handler="data_undo")
    make = _add(data, "make-shift", "a shift set made from the test rows, where there is no second domain")
    make.add_argument("dataset", metavar="ID")
    make.add_argument("--kind", required=True, metavar="KIND",
                      help="texts: typos, case, truncation; pictures: gaussian-noise, gaussian-blur, contrast, "
                           "brightness, pixelate, jpeg")
    make.add_argument("--severity", type=int, default=3, metavar="1-5", help="default: 3")
    make.add_argument("--seed", type=int, default=0, metavar="N")
    make.set_defaults(handler="data_make_shift")


def _columns(parser: argparse.ArgumentParser) -> None:
    """What the rows of a file are for, and which column is what; all of it is proposed where it is not said."""
    from core.domain.dataset import Task

    names = ("language", *(task.value for task in Task))
    parser.add_argument("--task", choices=names, metavar="TASK",
                        help=f"what a model is to learn of a file: {', '.join(names)} (default: seen in the file)")
    parser.add_argument("--shape", metavar="SHAPE",
                        help="how rows for language models are written: text, chat, prompt-response, alpaca, messages "
                             "or sharegpt (default: seen in the file)")
    parser.add_argument("--text", metavar="COLUMN", help="text column, or the one that names the pictures")
    parser.add_argument("--label", metavar="COLUMN", help="label column")
    parser.add_argument("--domain", metavar="COLUMN", help="column that says where a row is from")
    parser.add_argument("--shift-domain", metavar="VALUE",
                        help="the domain whose rows are the shift set: they are only evaluated on (classes)")
    parser.add_argument("--prompt", metavar="COLUMN", help="column of what is asked")
    parser.add_argument("--response", metavar="COLUMN", help="column of the answers")
    parser.add_argument("--messages", metavar="COLUMN", help="column of whole conversations as JSON")
    parser.add_argument("--group", metavar="COLUMN",
                        help="column whose equal cells no split parts: a book, an author (language models)")
    parser.add_argument("--passage-tokens", type=int, default=None, metavar="N",
                        help="about how many tokens a passage of a long text has (default: 220; 0 cuts nothing)")
    parser.add_argument("--passage-overlap", type=int, default=0, metavar="N",
                        help="tokens that a passage shares with the one before (default: 0)")
    parser.add_argument("--lines", action="store_true",
                        help="each line of a plain text file is a row for a language model")


def _mending(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fix-leaks", action="store_true",
                        help="move validation and test rows with a twin on another side of the split "
                                                                 "to the side of their twin")
    parser.add_argument("--merge-labels", action="store_true",
                        help="labels that look the same (letter case, spaces, invisible characters, "
                                                                    "1 and 1.0) become one class")


def _compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    compare = _add(commands, "compare", "train one base model several ways on one dataset and compare")
    compare.add_argument("--data", required=True, metavar="FILE_OR_ID",
                         help="a table, an archive or folder of texts or pictures, or the id of a bundled dataset "
                              "such as bbc-news")
    compare.add_argument("--shift-data", metavar="FILE_OR_ID",
                         help="a set of another domain (labelled as the data are), only evaluated on")
    _columns(compare)
    _mending(compare)
    compare.add_argument("--model", required=True, metavar="ID",
                         help="a bundled model such as minilm, a hub id, a folder, or a GGUF file")
    compare.add_argument("--methods", default=",".join(COMPARED), help="comma-separated (default: %(default)s)")
    compare.add_argument("--seeds", type=_positive, default=1, metavar="N",
                         help="runs of each method, with seeds 0 to N-1 (default: 1)")
    compare.add_argument("--budgets", default="all", metavar="LIST",
                         help="labels to use, training and validation together, e.g. 32,128,all (default: all)")
    compare.add_argument("--effort", choices=("quick", "normal", "thorough"), default="normal")
    compare.add_argument("--freeze", metavar="SPEC",
                         help=f"{', '.join(NAMED)}, top-2, or blocks such as embeddings,0-3: what stays frozen, for "
                              "methods with a freeze plan")
    compare.add_argument("--out", required=True, metavar="DIR", help="folder for the runs and compare.json")
    compare.set_defaults(handler="compare")


def _experiment(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    one = _add(commands, "experiment", "a question, the runs that settle it, and what they support saying")
    one.add_argument("design", choices=tuple(designs.REGISTRY), metavar="DESIGN",
                     help="; ".join(f"{design.name}: {design.question}" for design in designs.REGISTRY.values()))
    one.add_argument("--data", required=True, metavar="FILE_OR_ID", help="as of compare")
    one.add_argument("--shift-data", metavar="FILE_OR_ID", help="as of compare")
    _columns(one)
    _mending(one)
    one.add_argument("--model", required=True, metavar="ID", help="as of compare; base: several, with commas")
    one.add_argument("--methods", default="", help="comma-separated (default: the design's own)")
    one.add_argument("--seeds", type=_positive, metavar="N", help="seeds 0 to N-1 (default: 3; of seeds: 5)")
    one.add_argument("--budgets", default="", metavar="LIST", help="as of compare (default: the design's own)")
    one.add_argument("--rates", default="", metavar="LIST",
                     help="factors on the learning rate, e.g. 0.3,1,3: every arm runs with each, and validation rows "
                          "choose (default: 1; of rate: 0.1,0.3,1,3,10)")
    one.add_argument("--depths", default="", metavar="LIST",
                     help="of depth: blocks thawed from the top, e.g. 1,4 (default: all, at most eight); nothing and "
                          "everything are arms in any case")
    one.add_argument("--effort", choices=("quick", "normal", "thorough"), default="normal")
    one.add_argument("--freeze", metavar="SPEC", help="as of compare")
    one.add_argument("--out", required=True, metavar="DIR",
                     help="folder for the runs and experiment.json; runs that are done there are not repeated")
    one.set_defaults(handler="experiment")


def _lesson(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    one = _add(commands, "lesson", "measure a lesson, or list them all")
    one.add_argument("name", nargs="?", default="", metavar="NAME", choices=("", *lessons.REGISTRY),
                     help=", ".join(lessons.REGISTRY))
    one.add_argument("--seeds", type=_positive, default=3, metavar="N", help="seeds 0 to N-1 (default: %(default)s)")
    one.add_argument("--out", metavar="DIR", help="folder for its runs and lesson.json")
    one.add_argument("--store", action="store_true",
                     help="also put the result where Thaw looks for stored results of lessons")
    one.set_defaults(handler="lesson")


def _advise(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    one = _add(commands, "advise", "which method to train with, on what evidence, and what would settle it")
    one.add_argument("--data", default="", metavar="FILE_OR_ID", help="as of compare")
    one.add_argument("--shift-data", metavar="FILE_OR_ID", help="as of compare")
    _columns(one)
    _mending(one)
    one.add_argument("--model", default="", metavar="ID", help="as of compare")
    one.add_argument("--served", choices=tuple(SERVED), default=next(iter(SERVED)),
                     help="; ".join(f"{name}: {said[0].lower()}{said[1:]}" for name, said in SERVED.items()))
    one.add_argument("--minutes", type=float, default=15.0, metavar="N",
                     help="time for the experiment that would settle it (default: 15)")
    one.add_argument("--budget", default="all", metavar="N", help="labels to use, training and validation together")
    one.add_argument("--effort", choices=("quick", "normal", "thorough"), default="quick")
    one.add_argument("--score", action="store_true",
                     help="instead: how often such advice is right on sets that it had not seen")
    one.set_defaults(handler="advise")
    table = _add(commands, "table", "the method table: methods on the bundled sets with labels")
    table.add_argument("--data", default="", metavar="LIST", help="bundled sets (default: all with labels)")
    table.add_argument("--methods", default="", metavar="LIST", help="comma-separated (default: all that apply)")
    table.add_argument("--seeds", type=_positive, default=3, metavar="N", help="seeds 0 to N-1 (default: %(default)s)")
    table.add_argument("--rates", default="0.3,1,3", metavar="LIST", help="as of experiment (default: %(default)s)")
    table.add_argument("--budget", type=_positive, default=200, metavar="N",
                       help="labels, training and validation together (default: %(default)s)")
    table.add_argument("--effort", choices=("quick", "normal", "thorough"), default="quick")
    table.add_argument("--out", required=True, metavar="DIR",
                       help="folder for the runs, a folder a set; what is done there is not repeated")
    table.add_argument("--store", action="store_true", help="also put the results where advice looks for them")
    table.set_defaults(handler="table")


def _try(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    one = _add(commands, "try", "take one real step of each method, and say what a run would need")
    one.add_argument("--data", required=True, metavar="FILE_OR_ID", help="as of compare")
    _columns(one)
    _mending(one)
    one.add_argument("--model", required=True, metavar="ID", help="as of compare")
    one.add_argument("--methods", default=",".join(COMPARED), help="comma-separated (default: %(default)s)")
    one.add_argument("--effort", choices=("quick", "normal", "thorough"), default="normal")
    one.add_argument("--freeze", metavar="SPEC", help="as of compare")
    one.add_argument("--length", type=_positive, metavar="N", help="tokens a row, instead of the effort's own")
    one.add_argument("--batch", type=_positive, metavar="N", help="rows a batch, instead of the method's own")
    one.set_defaults(handler="try")


def _artifact(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    shift = _add(commands, "shift", "how a finished run moved the features, block by block")
    shift.add_argument("run_dir", nargs="?")
    shift.add_argument("--rows", type=_positive, default=2000, metavar="N",
                       help="rows of the probe sample (default: 2000)")
    shift.add_argument("--beside", metavar="FILE_OR_ID",
                       help="another dataset (a file, an id, or a bundled one): up to 500 of its rows take the place "
                            "of the shift set")
    shift.add_argument("--null-table", action="store_true",
                       help="instead: what each view draws when nothing changed, on this run's features (or on digits "
                            "without a run)")
    shift.set_defaults(handler="shift")
    _strength(commands)
    predict = _add(commands, "predict", "predict with a finished run, or with several models beside each other")
    predict.add_argument("run_dir", nargs="+", metavar="RUN_DIR[:MODEL]",
                         help="folder of a run; :base is its base model with a probe's head, :4bit the same in 4 bits, "
                              ":tuned (as without) what training made, :step40 a step whose weights are kept; "
                              "@0.75 or @NAME turns the change to a strength or a saved setting")
    predict.add_argument("--input", required=True, metavar="FILE_OR_TEXT",
                         help="a table, a picture, an archive or folder of pictures, or the text itself")
    predict.add_argument("--text", metavar="COLUMN",
                         help="text column of the file (default: the one of the training data, by its name)")
    predict.add_argument("--base", action="store_true",
                         help="the base model with a probe's head, instead of the tuned model")
    predict.add_argument("--strength", metavar="S",
                         help="the trained change turned up or down: a number from -0.5 to 1.5 (0: the base model, 1: "
                              "as trained), or the name of a saved setting")
    predict.add_argument("--nearest", type=_positive, metavar="K",
                         help="also name the K training rows nearest to each row, and rows unlike all of them; with "
                              "--json also its place on the map of the Features page, where that has been made")
    predict.add_argument("--why", action="store_true",
                         help="also what each answer rests on: a share of the score (of a language model: of the "
                              "log-probability of the first token it says) for each token, or for each cell of a "
                              "picture (integrated gradients), and by how much their sum misses it")
    predict.set_defaults(handler="predict")
    serve = _add(commands, "serve", "answer over HTTP with one model of a run")
    serve.add_argument("run_dir", metavar="RUN_DIR[:MODEL]", help="as of predict")
    serve.add_argument("--port", type=_port, default=8765, metavar="N", help="0 takes a free one (default: 8765)")
    serve.add_argument("--host", default="127.0.0.1", metavar="ADDRESS",
                       help="address to listen on; other machines are answered only where this is said, and without a "
                            "key (default: %(default)s)")
    serve.set_defaults(handler="serve")
    export = _add(commands, "export", "write a run's model for use elsewhere")
    export.add_argument("run_dir")
    export.add_argument("--to", required=True, metavar="DIR")
    export.add_argument("--as", dest="form", required=True, choices=tuple(FORMATS),
                        help="; ".join(f"{name}: {form.summary}" for name, form in FORMATS.items()))
    export.add_argument("--strength", default="", metavar="S",
                        help="turn what the run changed up or down: a number from -0.5 to 1.5, or a saved setting")
    export.add_argument("--start-over", action="store_true",
                        help="leave what an export to DIR that was cut off had written; it is gone on with otherwise")
    export.add_argument("--upload", metavar="USER/NAME",
                        help="put it on the Hugging Face hub, too; private, and never with rows")
    export.add_argument("--dry-run", action="store_true", help="list what --upload would upload, and upload nothing")
    export.add_argument("--public", action="store_true", help="everybody may read what is uploaded")
    export.add_argument("--even-if-failed", action="store_true", help="upload it although its certificate failed")
    export.set_defaults(handler="export")


def _share(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    share = _add(commands, "share", "finished runs as one file that is read without this machine")
    share.add_argument("runs", nargs="+", metavar="RUN_OR_EXPERIMENT", help="run folders, run ids, or experiment ids")
    share.add_argument("--to", required=True, metavar="FILE")
    share.add_argument("--as", dest="form", choices=tuple(SHARED), default="report",
                       help="; ".join(f"{name}: {summary}" for name, summary in SHARED.items()))
    rows = share.add_mutually_exclusive_group()
    rows.add_argument("--with-rows", dest="rows", action="store_true", default=None,
                      help="rows of the dataset (texts, pictures, answers) go into it (default: unless the licence of "
                           "a bundled set is in the way)")
    rows.add_argument("--without-rows", dest="rows", action="store_false", default=None)
    share.add_argument("--with-features", action="store_true",
                       help="an archive with the features of the runs that have them, so that their maps can be drawn")
    share.set_defaults(handler="share")
    take_in = _add(commands, "import-archive", "keep the runs of an archive in the workspace, to be looked at")
    take_in.add_argument("file", metavar="FILE")
    take_in.set_defaults(handler="import_archive")


def _strength(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    strength = _add(commands, "strength", "turn a run's trained change up and down, and measure it on fixed rows")
    strength.add_argument("run_dir")
    strength.add_argument("--dial", choices=tuple(Dial), default=Dial.STRENGTH.value,
                          help="strength: W_base + s (W_tuned - W_base); rank: the strongest directions of each "
                               "low-rank update; intruders: the share of intruder dimensions taken away")
    strength.add_argument("--values", default="", metavar="LIST",
                          help="comma-separated settings, e.g. --values=-0.5,0,0.75 (default: a grid)")
    strength.add_argument("--blocks", default="", metavar="LIST",
                          help="comma-separated blocks to turn, e.g. 'block 3,block 4'; the others stay as trained")
    strength.add_argument("--head", choices=tuple(HeadRule), default=HeadRule.FOLLOWS.value,
                          help="follows: from the solved head to the trained one; fixed: the trained one")
    strength.add_argument("--save", metavar="NAME",
                          help="only save the setting that --at names, for predict --strength")
    strength.add_argument("--at", type=float, metavar="X", help="where the dial stands in the setting to save")
    strength.set_defaults(handler="strength")


def _queue(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    _add(commands, "runs", "the runs of a workspace, newest first").set_defaults(handler="runs")
    resume = _add(commands, "resume", "go on with a run from its last checkpoint")
    resume.add_argument("run", help="a run id, or the folder of a run of compare")
    resume.set_defaults(handler="resume")
    stop = _add(commands, "stop", "stop a run and keep its best checkpoint")
    stop.add_argument("run")
    stop.set_defaults(handler="stop")
    first = _add(commands, "first", "let a waiting run start before the others of its workspace")
    first.add_argument("run")
    first.set_defaults(handler="first")
    supervise = _add(commands, "supervise", "start queued runs until ended; the app starts one by itself")
    supervise.add_argument("--detach", action="store_true",
                           help="start it in the background, unless one is alive, and return")
    supervise.add_argument("--id", help=argparse.SUPPRESS)
    supervise.set_defaults(handler="supervise")


def _example(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    example = commands.add_parser("example", help="the recorded example that comes with Thaw").add_subparsers(
        dest="example_command", required=True, metavar="COMMAND")
    make = _add(example, "make", "train the first comparison of the home page and write it as the recorded example")
    make.add_argument("--finished", action="store_true",
                      help="train nothing: take the newest finished comparison of the workspace")
    make.add_argument("--out", metavar="DIR", help="folder for the two files (default: where the app finds them)")
    make.set_defaults(handler="example_make")


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError("must lie between 0 and 65535")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
