"""A certificate in sentences, the same on pages, in read-mes and on the command line."""

from __future__ import annotations

from typing import Any

from core.metrics import REGISTRY
from core.plots.numbers import minus, size


def verdict(found: dict[str, Any]) -> str:
    """In a phrase."""
    return {True: "Certificate: passed", False: "Certificate: FAILED"}.get(found["passed"], "Not checked")


def said(found: dict[str, Any]) -> list[str]:
    """Its verdict, what was compared, and why it did not pass."""
    lines = [f"{verdict(found)}.{''.join(' ' + reason for reason in found['reasons'])}"]
    if not found.get("metric"):
        return lines
    metric, strict = found["metric"], found["in_32_bits"]
    label = REGISTRY[metric["name"]].label if metric["name"] in REGISTRY else metric["name"]
    difference = metric["difference"]
    lines.append(f"Read back by a process without Thaw, on all {found['rows']:,} test rows: {found['flipped']:,} get "
                 f"another answer than {found['compared_with']}; the largest difference of a log-probability is "
                 f"{found['largest_difference']:.2g}.")
    if strict["tolerance"] is None:
        lines.append("It trains again, and each of its steps is rounded otherwise: it passes where its metric lies in "
                     "the run's interval.")
    elif strict["compared_with"] != found["compared_with"]:
        lines.append(f"The run computed in {found['precision_of_the_run']}. Beside {strict['compared_with']}: "
                     f"{strict['flipped']:,} others, {strict['largest_difference']:.2g} at most (it passes up to "
                     f"{strict['tolerance']:g}).")
    else:
        lines.append(f"It passes up to {strict['tolerance']:g}.")
    if (runtime := found.get("runtime")) and not found["read_otherwise"]:
        lines.append(f"{runtime['name']} itself reads all of them as the run did; what it says first on "
                     f"{runtime['rows']} of them differs by {runtime['largest_difference']:.2g} at most.")
    interval = f" ({metric['run']['low']:.4g} to {metric['run']['high']:.4g})" if strict["tolerance"] is None else ""
    here = minus(f"{metric['export']['value']:.4g} here; the difference is {difference['value']:+.2g} "
                 f"({difference['low']:+.2g} to {difference['high']:+.2g})")
    same = not any((difference["value"], difference["low"], difference["high"]))
    lines.append(f"{label[:1].upper()}{label[1:]}: {metric['run']['value']:.4g}{interval} in the run, "
                 f"{'and the same here' if same else here}.")
    speed = (f"It took {found['seconds']:,.0f} s" if found["format"] == "script"
             else f"{found['rows_a_second']:,.1f} rows a second")
    lines.append(f"{speed}; {size(found['bytes'])}.")
    return lines
