"""How transferable is each layer?"""

from core.lessons.base import Expected, Lesson

LESSON = Lesson(
    name="layers",
    title="How transferable is each layer?",
    asks="How accurate is a run that thaws only so many blocks from the top?",
    text="""\
Lower layers of a network hold what many tasks need; upper layers hold what the task needed that it was trained for.
If so, most of a new task can be learned by thawing the upper blocks alone, and thawing the lower ones should add
little.

Four depths, from the top down. *Nothing thawed* is a linear probe; *everything thawed* is full fine-tuning.""",
    claim=(
        "Features became more specific layer by layer; networks that started from transferred layers and trained "
        "on were 1.6 to 2.1 points better than random starts, however many layers were transferred."),
    source="Yosinski et al. 2014, arXiv 1411.1792, Table 1",
    look_for=(
        (
          "Where the curve flattens: from there on thawing more buys nothing that these runs could tell from "
          "chance."),
        "Whether everything thawed is the best at all.",
        "On the Features page: which blocks moved in the run with everything thawed?",
    ),
    expects=(
        Expected(a="thaw-7", b="thaw-0"),
        Expected(a="thaw-7", b="thaw-4", relation="alike"),
    ),
    design="depth",
    dataset="bbc-news",
    model="minilm",
    metric="accuracy",
    choices={"budgets": (100,), "depths": (1, 4)},
)
