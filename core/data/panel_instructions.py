"""The instructions of the forgetting panel: questions with short answers, made by a rule, the same on every machine."""

from __future__ import annotations

import random
from collections.abc import Callable

CAPITALS = {"France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Germany": "Berlin", "Japan": "Tokyo",
            "Egypt": "Cairo", "Peru": "Lima", "Norway": "Oslo", "Sweden": "Stockholm", "Finland": "Helsinki",
            "Portugal": "Lisbon", "Austria": "Vienna", "Greece": "Athens", "Poland": "Warsaw", "Hungary": "Budapest",
            "Ireland": "Dublin", "Cuba": "Havana", "Kenya": "Nairobi", "Chile": "Santiago", "Canada": "Ottawa",
            "Thailand": "Bangkok", "Iraq": "Baghdad", "Russia": "Moscow", "China": "Beijing", "Denmark": "Copenhagen"}
OPPOSITES = [("hot", "cold"), ("big", "small"), ("fast", "slow"), ("old", "young"), ("light", "dark"), ("hard", "soft"),
             ("early", "late"), ("rich", "poor"), ("open", "closed"), ("near", "far"), ("strong", "weak"),
             ("happy", "sad"), ("high", "low"), ("wet", "dry"), ("loud", "quiet"), ("sharp", "blunt"),
             ("deep", "shallow"), ("wide", "narrow"), ("first", "last"), ("brave", "cowardly")]
PASTS = {"go": "went", "eat": "ate", "see": "saw", "take": "took", "write": "wrote", "run": "ran", "sing": "sang",
         "think": "thought", "buy": "bought", "teach": "taught", "fly": "flew", "know": "knew", "begin": "began",
         "break": "broke", "drink": "drank", "forget": "forgot", "give": "gave", "swim": "swam"}
YOUNG = {"dog": "puppy", "cat": "kitten", "cow": "calf", "horse": "foal", "sheep": "lamb", "bear": "cub",
         "goose": "gosling", "goat": "kid", "frog": "tadpole", "hen": "chick", "swan": "cygnet", "deer": "fawn"}
PLURALS = {"mouse": "mice", "child": "children", "leaf": "leaves", "foot": "feet", "city": "cities", "box": "boxes",
           "wolf": "wolves", "tooth": "teeth", "goose": "geese", "baby": "babies", "man": "men", "knife": "knives"}
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December"]
KINDS = {"fruits": ["apple", "pear", "plum", "cherry", "orange", "grape", "lemon", "peach"],
         "tools": ["hammer", "saw", "drill", "spanner", "chisel", "file", "plane", "pliers"],
         "birds": ["robin", "eagle", "owl", "sparrow", "crow", "heron", "finch", "gull"],
         "instruments": ["piano", "violin", "flute", "drum", "trumpet", "guitar", "harp", "cello"],
         "trees": ["oak", "birch", "pine", "maple", "willow", "elm", "ash", "beech"]}

Pair = tuple[str, str]


def _capital(rng: random.Random) -> Pair:
    country = rng.choice(list(CAPITALS))
    return f"What is the capital of {country}?", f"The capital of {country} is {CAPITALS[country]}."


def _opposite(rng: random.Random) -> Pair:
    one, other = rng.choice(OPPOSITES)
    return f"What is the opposite of {one}?", f"The opposite of {one} is {other}."


def _past(rng: random.Random) -> Pair:
    verb = rng.choice(list(PASTS))
    return f'Give the past tense of the verb "{verb}".', f'The past tense of "{verb}" is "{PASTS[verb]}".'


def _young(rng: random.Random) -> Pair:
    animal = rng.choice(list(YOUNG))
    return f"What is a young {animal} called?", f"A young {animal} is called a {YOUNG[animal]}."


def _plural(rng: random.Random) -> Pair:
    word = rng.choice(list(PLURALS))
    return f'What is the plural of "{word}"?', f'The plural of "{word}" is "{PLURALS[word]}".'


def _day(rng: random.Random) -> Pair:
    place = rng.randrange(7)
    return f"Which day comes after {DAYS[place]}?", f"{DAYS[(place + 1) % 7]} comes after {DAYS[place]}."


def _month(rng: random.Random) -> Pair:
    place = rng.randrange(12)
    return f"Which month comes before {MONTHS[place]}?", f"{MONTHS[place - 1]} comes before {MONTHS[place]}."


def _sum(rng: random.Random) -> Pair:
    a, b = rng.randrange(2, 60), rng.randrange(2, 40)
    return f"What is {a} plus {b}?", f"{a} plus {b} is {a + b}."


def _product(rng: random.Random) -> Pair:
    a, b = rng.randrange(2, 10), rng.randrange(2, 10)
    return f"Multiply {a} by {b}.", f"{a} times {b} is {a * b}."


def _listing(rng: random.Random) -> Pair:
    kind = rng.choice(list(KINDS))
    one, two, three = rng.sample(KINDS[kind], 3)
    return f"Name three {kind}.", f"Three {kind} are {one}, {two} and {three}."


def _sorting(rng: random.Random) -> Pair:
    words = rng.sample(KINDS[rng.choice(list(KINDS))], 4)
    return f"Put these words in alphabetical order: {', '.join(words)}.", f"{', '.join(sorted(words))}."


def _odd(rng: random.Random) -> Pair:
    kind, other = rng.sample(list(KINDS), 2)
    words, odd = rng.sample(KINDS[kind], 3), rng.choice(KINDS[other])
    shown = [*words, odd]
    rng.shuffle(shown)
    return (f"Which word does not belong with the others: {', '.join(shown)}?",
            f'"{odd.capitalize()}" does not belong; the others are {kind}.')


RULES: tuple[Callable[[random.Random], Pair], ...] = (
    _capital, _opposite, _past, _young, _plural, _day, _month, _sum, _product, _listing, _sorting, _odd)


def documents(count: int, characters: int) -> list[str]:
    """So many documents of questions and answers of all kinds, each of at most so many characters, none cut."""
    return [_document(random.Random(f"panel {place}"), characters) for place in range(count)]


def _document(rng: random.Random, characters: int) -> str:
    text, rules = "", list(RULES)
    rng.shuffle(rules)
    place = 0
    while True:
        question, answer = rules[place % len(rules)](rng)
        pair = f"Question: {question}\nAnswer: {answer}\n\n"
        if len(text) + len(pair) > characters:
            return text.rstrip()
        text, place = text + pair, place + 1
