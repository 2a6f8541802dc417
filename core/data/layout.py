"""Where the class of each file is: which folder level holds the classes, and which one the splits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.data.splits import NAMES, folder_meanings

_EXTRAS = frozenset({
    "doc", "docs", "documentation", "sample", "samples", "example", "examples", "demo", "readme", "misc", "assets",
    "figures", "figs", "paper", "papers", "screenshots", "preview", "previews", "thumbnails", "notebooks", "scripts",
    "src", "code", "models", "weights", "results", "output", "outputs", "predictions", "logs", "annotations",
    "metadata", "backup", "tmp"})
"""Folders that come beside the data; none is entered in search of the classes."""
_WRAPPERS = frozenset({"image", "images", "img", "imgs", "jpegimages", "pictures", "photos", "data", "text",
                       "texts", "txt", "files", "classes"})
"""Folders that may lie between a split and its classes."""
_UNLABELLED = frozenset({"unsup", "unsupervised", "unlabeled", "unlabelled"})
"""Folders beside the classes that hold rows which have none (IMDb's `train/unsup`)."""


_DOMAINS = frozenset({
    "photo", "photos", "real", "art", "painting", "paintings", "cartoon", "clipart", "sketch", "sketches", "quickdraw",
    "infograph", "product", "products", "drawing", "drawings", "color", "colour", "grayscale", "greyscale", "gray",
    "grey", "segmented", "amazon", "dslr", "webcam", "caltech", "labelme", "sun", "voc", "mnist", "svhn", "usps",
    "synthetic", "synth", "simulated", "source", "target", "day", "night", "books", "dvd", "electronics", "kitchen"})
"""Words in the names of folders that are domains, in the sets of domain adaptation (Office-31, Office-Home, PACS,
DomainNet, VLCS, the reviews of Blitzer et al. 2007), or another look of the same pictures."""
_SENTIMENTS = frozenset({"pos", "neg", "positive", "negative", "neutral", "ham", "spam", "yes", "no"})
_PART = re.compile(r"part|batch|fold|patient|case|subject|slide|set|group|session|view|scan|series|page|frame|\d")
"""How names of folders begin that are parts of a class."""
_LEAST_CLASSES = 5
_ALIKE = 0.8
"""Share of all inner folders that each outer one holds."""
_FEW = 0.1
"""Share of files beside those folders."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a file's folders say of it."""

    label: str
    split: str | None = None
    """Name of a `Split`."""
    inner: str = ""
    """Folders inside the class folder, which do not count."""
    domain: str | None = None
    """The folder above the class, where those are domains."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the files of an archive or folder are arranged."""

    root: str = ""
    """What comes before everything that counts: empty, or a path that ends in a slash."""
    splits: Mapping[str, str] = field(default_factory=dict)
    """Folder -> split; empty when no level tells it."""
    above: bool = True
    """Whether the split is above the class (`train/cat`), not below it (`cat/train`)."""
    wrapped: Mapping[str, str] = field(default_factory=dict)
    """Split folder -> a path inside it before its classes, that ends in a slash."""
    nameless: frozenset[tuple[str | None, str]] = frozenset()
    """(split, folder) where a class should be, but is not: the only folder of that split, such as `images`."""

    domains: bool = False
    """Whether the first folder is a domain, the one in it the class (`sketch/dog`), and not the other way round."""
    wrapper: str = ""
    """A folder between each domain and its classes."""
    copies: frozenset[str] = frozenset()
    """Folders beside the classes that hold them all once more."""
    inner: bool = False
    """Whether all class folders hold the same folders: which level is the class is then for a person to say."""

    def split_of(self, name: str) -> str | None:
        """The split that the first folder of a file says; None for none."""
        head = name.removeprefix(self.root).partition("/")[0]
        return self.splits.get(head) if self.above and name.startswith(self.root) else None

    def place(self, name: str) -> Place | str:
        """Where a file is, or why it belongs to no class.

        A folder such as `images` where the training rows have classes (`val/images/1.jpg`) is none.
        """
        if not name.startswith(self.root):
            return f"it lies outside of {self.root.rstrip('/')!r}, where the class folders are"
        parts = name[len(self.root):].split("/")
        stray = "it does not lie in a class folder like the others"
        split = None
        if self.splits and self.above:
            if len(parts) < 2 or parts[0] not in self.splits:
                return (stray if len(parts)
                        < 2 else f"its folder {parts[0][:60]!r} is none of the split folders ({self._names()})")
            split, inside = self.splits[parts[0]], self.wrapped.get(parts[0], "")
            below = "/".join(parts[1:])
            if not below.startswith(inside):
                return stray
            parts = below[len(inside):].split("/")
        if len(parts) < 2:
            return stray
        if parts[0] in self.copies:
            return f"its folder {parts[0][:60]!r} holds the class folders once more"
        domain = None
        if self.domains:
            domain, parts = parts[0], parts[1:]
            parts = parts[1:] if self.wrapper and parts[0] == self.wrapper else parts
            if len(parts) < 2:
                return stray
        label, inner = parts[0], parts[1:-1]
        if self.splits and not self.above:
            if not inner or inner[0] not in self.splits:
                return f"it lies in none of the split folders ({self._names()}) of its class"
            split, inner = self.splits[inner[0]], inner[1:]
        if any(part.startswith(".") for part in inner):
            return "it lies in a hidden folder"
        if label.casefold() in _UNLABELLED or (split, label) in self.nameless:
            return f"its folder {label[:60]!r} says no class"
        return Place(label=label, split=split, inner="/".join(inner), domain=domain)

    def _names(self) -> str:
        return ", ".join(sorted(self.splits)[:5])


def arrange(names: Sequence[str]) -> Layout | None:
    """The layout of these files (pictures, or texts), by their paths with forward slashes; None when no folder tells a
    class.

    Single wrapping folders are entered; folders such as `docs` beside them are not. Understood are `class/…`,
    `split/class/…` and `class/split/…`, with the usual names of splits (`splits.folder_meanings`).
    """
    root = ""
    while True:
        parts = [name[len(root):].split("/") for name in names if name.startswith(root)]
        heads = Counter(part[0] for part in parts if len(part) > 1)
        splits = folder_meanings(heads)
        if len(splits) > 1:
            if found := _split_above(root, parts, splits):
                return found
            return _classes(root, parts) if sum(heads[head] for head in splits) <= len(parts) / 2 else None
        main = _entered(parts, heads, next(iter(splits), None))
        if main is None:
            return _classes(root, parts)
        root += main + "/"


def _entered(parts: list[list[str]], heads: Counter[str], train: str | None) -> str | None:
    """The one folder that holds the class folders; None where they are here. train: a folder of that name."""
    deep = {head: [part for part in parts if part[0] == head and len(part) > 2] for head in heads}
    if train and len({part[1] for part in deep[train]}) > 1 and not any(deep[head] for head in heads if head != train):
        return train
    main = [head for head in heads if head.casefold() not in _EXTRAS] or list(heads)
    if len(main) != 1 or len(deep[main[0]]) <= sum(part[0] == main[0] or len(part) == 1 for part in parts) / 2:
        return None
    return main[0]


def _split_above(root: str, parts: list[list[str]], splits: Mapping[str, str]) -> Layout | None:
    """`split/class/…`; None where most training files lie in the split folder itself. Those of test may: they have no
    class then."""
    inside = {head: [part[1:] for part in parts if part[0] == head and len(part) > 1] for head in splits}
    wrapped = {head: _wrapper(files, meaning=splits[head]) for head, files in inside.items()}
    found = Layout(root=root, splits=dict(splits), wrapped={head: path for head, path in wrapped.items() if path})
    files = ["/".join([head, *part]) for head in inside for part in inside[head] if splits[head] == NAMES[0]]
    placed = sum(isinstance(found.place(root + file), Place) for file in files)
    return replace(found, nameless=_nameless(found, inside)) if placed > len(files) / 2 else None


def _nameless(layout: Layout, inside: Mapping[str, list[list[str]]]) -> frozenset[tuple[str | None, str]]:
    """Those folders of a split where classes should be that are called as folders around classes are, and hold all of
    its files, while the training rows have other classes."""
    places = [place for head, files in inside.items() for part in files
              if isinstance(place := layout.place(f"{layout.root}{head}/{'/'.join(part)}"), Place)]
    labels: dict[str | None, set[str]] = {}
    for place in places:
        labels.setdefault(place.split, set()).add(place.label)
    train = labels.get(NAMES[0], set())
    return frozenset((split, label) for split, found in labels.items() if len(found) == 1 and len(train) > 1
                     for label in found - train if label.casefold() in _WRAPPERS)


def _wrapper(files: list[list[str]], *, meaning: str) -> str:
    """Single folders between a split and its classes, such as `images`, or the split's name once more."""
    path = ""
    while True:
        heads = Counter(part[0] for part in files if len(part) > 1)
        if len(heads) != 1:
            return path
        head = next(iter(heads))
        deeper = sum(len(part) > 2 for part in files) > len(files) / 2
        if _loose_meaning(head) != meaning and not (deeper and head.casefold() in _WRAPPERS):
            return path
        path += head + "/"
        files = [part[1:] for part in files if part[0] == head]


def _loose_meaning(head: str) -> str | None:
    """The split of a folder's name whatever else it says (`seg_train`, `test_set`); None for none or several."""
    meaning = folder_meanings([head, *NAMES]).get(head)
    found = {split for split in NAMES if split in re.split(r"[\W\d_]+", head.casefold())}
    return meaning or (found.pop() if len(found) == 1 else None)


def _classes(root: str, parts: list[list[str]]) -> Layout | None:
    """`class/…`, or `class/split/…` where most classes hold folders of that kind; None without a class folder."""
    inside = [part for part in parts if len(part) > 1]
    if not inside:
        return None
    below = Counter(part[1] for part in inside if len(part) > 2)
    splits = folder_meanings(below)
    covered = sum(below[name] for name in splits)
    if len(set(splits.values())) > 1 and covered > len(inside) / 2:
        return Layout(root=root, splits=splits, above=False)
    return _with_inner(Layout(root=root), inside)


def _with_inner(layout: Layout, inside: list[list[str]]) -> Layout:
    """The layout with what the folders inside those of the first level say: that these are domains, or that one of them
    holds the others once more."""
    folders = {part[0]: set[str]() for part in inside}
    for part in inside:
        folders[part[0]].update(part[1:2] if len(part) > 2 else ())
    copies = frozenset(name for name, found in folders.items() if len(found) > 1 and found <= folders.keys() - {name})
    if copies:
        return replace(layout, copies=copies)
    wrapper = next(iter(folders[inside[0][0]]), "")
    if wrapper.casefold() in _WRAPPERS and all(found == {wrapper} for found in folders.values()):
        deep = [[part[0], *part[2:]] for part in inside if len(part) > 2]
        found = _with_inner(layout, deep)
        return replace(found, wrapper=wrapper) if found.domains else layout
    loose = sum(len(part) == 2 for part in inside)
    shared, every = set.intersection(*folders.values()), set.union(*folders.values())
    if len(folders) < 2 or loose > _FEW * len(inside) or len(shared) < max(2, _ALIKE * len(every)):
        return layout
    return replace(layout, domains=_are_domains(list(folders), every), inner=True)


def _are_domains(names: Sequence[str], inner: set[str]) -> bool:
    """Whether folders that hold the same folders are domains, and those the classes: by their names, or since the
    inner ones are many, and called otherwise than parts of a class are."""
    words = [set(re.split(r"[\W\d_]+", name.casefold())) - {""} for name in names]
    if all(found & _DOMAINS for found in words) or {name.casefold() for name in inner} <= _SENTIMENTS:
        return True
    parts = sum(bool(_PART.match(name.casefold())) for name in inner)
    return len(inner) >= max(_LEAST_CLASSES, 2 * len(names)) and parts <= len(inner) / 2
