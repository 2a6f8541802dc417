"""What an exported folder says of itself: its README."""

from __future__ import annotations

from typing import Any

from core.domain.recipe import Recipe

_MERGED = """# {title}

A classifier fine-tuned with Thaw: {classes}.

**The head is a file of its own.** `model.safetensors` is the body without a head; `AutoModel` and its kin load it.
The classes are decided by one linear layer on the pooled feature, `head.safetensors` (`weight`, `bias`).
`AutoModelForSequenceClassification` and `AutoModelForImageClassification` do not know that file: they would begin with
a random head and predict at random.

`predict.py` puts the parts together and gives the run's own predictions{checked}:

```
python predict.py {example}
```

```python
from predict import Model
Model(".").predict([{example}])
```

| file | what it is |
|---|---|
| `model.safetensors`, `config.json` | the body, `{body}`{folded} |
| `head.safetensors` | the head, a linear layer: `weight` (classes, width), `bias` (classes) |
| `export.json` | classes in the order of the head's outputs, pooling ({pooling}), \
{input_facts}, precision ({precision}) |
| `labels.json` | the classes, as Thaw keeps them |
| `source.json` | the columns, template, and depth of pictures of the training data |
| `recipe.json` | how it was trained |
| `requirements.txt` | the packages that `predict.py` needs, in the versions that it was written with |
| the others | the {processor} |

Base model: {base}.
"""

_ADAPTER = """# {title}

What a run of Thaw trained: {classes}. It is no whole model: the base model, {base}, is needed beside it.

| file | what it is |
|---|---|
{rows}

To predict, load the base model's body ({load}), pool its last hidden state ({pooling}), and apply the
head: `feature @ weight.T + bias`. {input_facts_upper}; precision: {precision}.
`export --as merged` writes one folder with a script that does it.
"""

_FILES = (
    ("adapter/", "the PEFT adapter: `PeftModel.from_pretrained(body, \"adapter\")`"),
    ("weights.safetensors",
     "the body's weights that training changed, by their names in the body; all others are the base model's"),
    ("head.safetensors",
     "the head, **a file of its own**: a linear layer on the pooled feature, `weight` (classes, width) and `bias`"),
    ("base_head.safetensors", "the head of the base side: a probe on the untouched base model's features"),
    ("labels.json", "the classes in the order of the head's outputs"),
    ("export.json", "pooling, length, precision and the classes, for programs"),
    ("source.json", "the columns, template, and depth of pictures of the training data"),
    ("processor/", "the tokenizer or picture processor"),
    ("recipe.json", "how it was trained"),
    ("environment.json", "versions and device"),
    ("origin.json", "the revision of its base model and the hash of its dataset"),
    ("result.json", "its scores"),
    ("requirements.txt", "the packages that `predict.py` needs, in the versions that it was written with"),
)


def merged(about: dict[str, Any], recipe: Recipe, *, title: str, base: str, checked: str, folded: str) -> str:
    """README of a folder with body and head. about: `export.json`."""
    text = about["input"] == "text"
    return _MERGED.format(title=title, classes=_classes(about), body=about["body"], pooling=about["pooling"], base=base,
                          example='"a text"' if text else '"picture.png"',
                          processor="tokenizer" if text else "picture processor",
                          precision=about["precision"], input_facts=_input(about), checked=checked, folded=folded)


def adapter(about: dict[str, Any], *, title: str, base: str, files: list[str]) -> str:
    """README of a folder with what a run trained."""
    there = [(name, what) for name, what in _FILES if name in files or any(file.startswith(name) for file in files)]
    load = "and the adapter on it" if any(name == "adapter/" for name, _ in there) else (
        "with `weights.safetensors` put over its own" if any(name.startswith("weights") for name, _ in there)
        else "as published")
    rows = "\n".join(f"| `{name}` | {what} |" for name, what in there)
    return _ADAPTER.format(title=title, classes=_classes(about), base=base, rows=rows, load=load,
                           pooling=about["pooling"], input_facts_upper=_input(about).capitalize(),
                           precision=about["precision"])


def _classes(about: dict[str, Any]) -> str:
    names = about["classes"]
    return (f"{len(names)} classes, " + ", ".join(f"`{name[:40]}`" for name in names[:10])
            + (" …" if len(names) > 10 else ""))


def _input(about: dict[str, Any]) -> str:
    return f"at most {about['max_length']} tokens" if about["input"] == "text" else "how pictures are normalised"
