"""The registry of made shift sets: ways to derive one from test rows where there is no second domain. A new one is one
file in this folder and one line here.

The parameters of pictures are those of Hendrycks and Dietterich (2019, arXiv 1903.12261) as their code has them for
CIFAR-10-C (32 pixels) and ImageNet-C (224 pixels): github.com/hendrycks/robustness, `make_cifar_c.py` and
`make_imagenet_c.py`. Pictures up to 64 pixels get the former, others the latter; blur, which is a length, in proportion
to their side.
"""

from __future__ import annotations

from importlib import import_module

from core.data.made.kind import Kind
from core.domain.dataset import Dataset, Shape
from core.errors import DataError

FILES = (
    "gaussian_noise",
    "gaussian_blur",
    "contrast",
    "brightness",
    "pixelate",
    "jpeg",
    "typos",
    "case",
    "truncation",
)
"""In the order in which they are offered: a file of that name each, with its `KIND`."""

REGISTRY: dict[str, Kind] = {kind.name: kind for kind in (import_module(f"{__name__}.{name}").KIND for name in FILES)}


def get(name: str) -> Kind:
    """The kind of that name. Raises DataError naming the known ones."""
    if name not in REGISTRY:
        raise DataError(f"There is no kind of made shift set called {name[:40]!r}.",
                        why=f"There are: {', '.join(REGISTRY)}.", remedy="Choose one of these.")
    return REGISTRY[name]


def kinds_for(dataset: Dataset) -> tuple[Kind, ...]:
    """Those that can be made of this dataset's rows; none for conversations."""
    if dataset.shape is Shape.CHAT and not dataset.task.labelled:
        return ()
    return tuple(kind for kind in REGISTRY.values() if kind.content is dataset.task.content)


__all__ = ["REGISTRY", "Kind", "get", "kinds_for"]
