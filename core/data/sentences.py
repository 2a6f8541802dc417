"""A small instruction set made by rule: an English sentence that orders something, and the order as JSON.

Whether a model has learned the form can be told exactly, as each sentence has one right answer. Kinds of things and
colours stand together in the test rows that never do in training rows. Made by Thaw; CC0.
"""

from __future__ import annotations

import itertools
import json

import numpy as np

THINGS = {"mug": "mugs", "chair": "chairs", "lamp": "lamps", "book": "books", "box": "boxes", "scarf": "scarves",
          "knife": "knives", "brush": "brushes", "pen": "pens", "plate": "plates", "shelf": "shelves", "rug": "rugs",
          "clock": "clocks", "towel": "towels", "basket": "baskets", "cherry": "cherries"}
COLOURS = ("red", "blue", "green", "black", "white", "yellow", "grey", "brown")
COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
          "a dozen": 12}
NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Frank", "Grace", "Henry", "Iris", "Jack", "Kate", "Liam", "Maria",
         "Noah", "Olivia", "Paul", "Ruth", "Simon", "Tara", "Victor")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WORDINGS = (
    "Please send {count} {colour} {things} to {name} by {day}.",
    "{name} needs {count} {colour} {things} on {day}.",
    "I would like {count} {colour} {things} for {name}, to arrive on {day}.",
    "On {day}, {name} wants {count} {things}, all of them {colour}.",
    "Could {name} have {count} {colour} {things} before {day}?",
    "By {day} we owe {name} {count} {things} in {colour}.",
    "{count} {colour} {things}, please: they are for {name} and are due on {day}.",
    "Order {count} {things} in {colour} for {name}; {day} is early enough.",
)
SIZES = {"train": 420, "validation": 60, "test": 120}
SEED = 13
_HELD_OUT = 0.2
"""Of the pairs of a thing and a colour: they are in test rows only."""


def answer(*, thing: str, count: int, colour: str, name: str, day: str) -> str:
    """The one right answer."""
    return json.dumps({"item": thing, "count": count, "colour": colour, "for": name, "day": day})


def rows() -> list[tuple[str, str, str]]:
    """(sentence, answer, split) of all rows; the same at every call, no sentence twice."""
    rng = np.random.default_rng(SEED)
    pairs = list(itertools.product(THINGS, COLOURS))
    order = rng.permutation(len(pairs))
    unseen = int(_HELD_OUT * len(pairs))
    pairs_of = {"test": order[:unseen], "train": order[unseen:], "validation": order[unseen:]}
    found: dict[str, tuple[str, str, str]] = {}
    for split, size in SIZES.items():
        wanted = len(found) + size
        while len(found) < wanted:
            thing, colour = pairs[int(rng.choice(pairs_of[split]))]
            word, name, day = (str(rng.choice(list(values))) for values in (COUNTS, NAMES, DAYS))
            said = WORDINGS[int(rng.integers(len(WORDINGS)))].format(
                count=word, colour=colour, things=THINGS[thing], name=name, day=day)
            said = said[0].upper() + said[1:]
            right = answer(thing=thing, count=COUNTS[word], colour=colour, name=name, day=day)
            found.setdefault(said, (said, right, split))
    return list(found.values())
