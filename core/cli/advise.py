"""`core advise`: which method to train with, on what evidence, and the experiment that would settle it."""

from __future__ import annotations

import shlex
from argparse import Namespace
from typing import Any

from core import advice
from core.advice import Advice, Expected
from core.api import Settling, Thaw
from core.cli import compare, follow, output, sources
from core.cli.parser import WORKSPACE
from core.domain import codec
from core.errors import RecipeError
from core.models.methods import card_of
from core.settings import Settings


def run(args: Namespace, settings: Settings) -> int:
    """Advise, or say how often such advice is right."""
    if args.score:
        return _score(args)
    if not args.data or not args.model:
        raise RecipeError("There is nothing to advise on.", why="Advice is about data and a base model.",
                          remedy="Name both with --data and --model, or ask how often advice is right with --score.")
    dataset = sources.dataset(args.data, shift=args.shift_data, wanted=sources.wanted(args), settings=settings,
                              workspace=args.workspace, options=sources.options(args))
    facts = sources.model(args.model, settings=settings, workspace=args.workspace)
    compare.check_task(dataset, facts)
    follow.device(settings, workspace=args.workspace)
    budget = compare.budgets(args.budget)[0]
    thaw = Thaw(settings)
    found = thaw.advice.of(args.workspace, dataset=dataset.id, model=facts.id, served=args.served, effort=args.effort,
                           budget=budget)
    settling = thaw.advice.settling(args.workspace, found, dataset=dataset.id, model=facts.id, minutes=args.minutes,
                                    effort=args.effort, budget=budget)
    if args.json:
        output.document(document(found, settling))
    else:
        # the data as they were read just now, with the columns and the shift set that flags named
        data = args.data if sources.is_dataset(args.data) and not args.shift_data else dataset.id
        _print(args, data, found, settling)
    return 0


def document(found: Advice, settling: Settling | None) -> dict[str, Any]:
    """What is advised and what it rests on, as one JSON document."""
    own = found.own
    stored: dict[str, Any] = codec.to_json({
        "recommended": {"method": found.method, "label": found.label(found.method), "ground": found.ground,
                        "because": found.because},
        "situation": found.situation, "rivals": found.rivals, "candidates": found.candidates,
        "own": None if own is None else {"metric": own.metric.name, "split": "validation", "methods": own.methods},
        "expected": found.expected,
        "sets": [{"dataset": each.dataset, "weight": weight, "labels": each.situation.labels,
                  "classes": each.situation.classes, "model": each.model, "seeds": each.seeds, "arms": each.arms}
                 for each, weight in found.settings],
        "papers": [{"text": each.text, "source": each.source, "favours": each.favours} for each in found.papers],
        "settle": None if settling is None else {
            "design": settling.plan.design.name, "methods": [arm.recipe.method for arm in
                                                             settling.plan.experiment.arms],
            "seeds": len(settling.plan.experiment.seeds), "runs": len(settling.plan.runs),
            "seconds": settling.plan.seconds, "fits": settling.fits, "budget": settling.budget}})
    return stored


def _print(args: Namespace, data: str, found: Advice, settling: Settling | None) -> None:
    print(f"Train with: {found.label(found.method)}. {found.because}")
    print(f"This rests on {found.ground.value}.")
    if found.expected:
        print(output.table((
            "method", "expected, beside the best", "on the sets most like these data", "one run here"), [
            (found.label(each.method), f"{100 * each.value:+.1f} points", _range(each), _time(found, each.method))
            for each in found.expected]))
    for paper in found.papers:
        print(f"Papers: {paper.text} ({paper.source})")
    for each in found.candidates:
        if each.reason is not None and card_of(each.method).everyday:
            print(f"{each.label} is out of the question: {each.reason}.")
    if settling is not None and settling.plan.seconds is not None:
        chosen = ",".join(dict.fromkeys(arm.recipe.method for arm in settling.plan.experiment.arms))
        time = f"about {settling.plan.seconds / 60:.0f} min"
        print(f"What would settle it in {time}:" if settling.fits else
              f"Nothing settles it in {args.minutes:g} min; the shortest experiment takes {time}:")
        if settling.budget is not None:
            print(f"  (With {settling.budget:,} labels: with more, nothing fits. What it finds holds for so many.)")
        asked = settling.budget or args.budget
        budget = "" if asked == "all" else f" --budgets {asked}"
        workspace = "" if args.workspace == WORKSPACE else f" --workspace {args.workspace}"
        print(f"  python -m core experiment {settling.plan.design.name} --data {data} "
              f"--model {shlex.quote(args.model)} --methods {chosen} --seeds {len(settling.plan.experiment.seeds)} "
              f"--effort {args.effort}{budget}{workspace} --out DIR")


def _range(each: Expected) -> str:
    return (f"{100 * each.low:+.1f} to {100 * each.high:+.1f}, " if each.sets > 1 else "") + (
        f"{each.sets} set{'s' * (each.sets > 1)}")


def _time(found: Advice, method: str) -> str:
    seconds = next(each.seconds for each in found.candidates if each.method == method)
    return "-" if seconds is None else f"{seconds:.0f} s"


def _score(args: Namespace) -> int:
    """Leave one set out: the advisor's choice from the others, beside rules that always name one method."""
    tried = advice.leave_one_out(advice.stored())
    if args.json:
        output.document([codec.to_json(each) for each in tried])
        return 0
    if not tried:
        raise RecipeError("There are too few stored results to try advice on.", why="One set has to be left out.",
                          remedy="Make them with `core table --store`.")
    print("\n".join(advice.summary(tried)))
    chosen = "; ".join(f"{each.dataset}: {card_of(each.method).label}" for each in tried if each.rule == advice.ADVISOR)
    print(f"What the advisor chose: {chosen}" if chosen else
          "The advisor had nothing to go by: no two sets of the same kind were measured.")
    return 0
