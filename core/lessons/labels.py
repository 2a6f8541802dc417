"""How many labels?"""

from core.lessons.base import Expected, Lesson

LESSON = Lesson(
    name="labels",
    title="How many labels?",
    asks="How does accuracy grow with the number of labelled articles?",
    text="""\
Errors fall with the number of labels along a power law: each doubling takes off about the same share. Pretraining
does not make the law go away; it shifts it, as if there had been more labels from the beginning. How many times
more is the *data multiplier*.

The same model is trained with 20, 60, 180 and 540 labels, from published weights and from scratch. A label budget
counts training and validation rows.""",
    claim=(
        "Over four kinds of tasks, errors fell as a power of the number of examples, with exponents between 0.07 "
        "and 0.35."),
    source="Hestness et al. 2017, arXiv 1712.00409",
    look_for=(
        "Draw a horizontal line from the pretrained arm with few labels: where does it meet the other curve?",
        "On the page of its runs, with the power law beside the curve: does it fit?",
        "What twice the labels would buy, in the sentence below the chart.",
    ),
    expects=(
        Expected(a="full-20", b="scratch-20"),
        Expected(a="full-60", b="scratch-60"),
        Expected(a="full-180", b="scratch-180"),
    ),
    design="labels",
    dataset="bbc-news",
    model="minilm",
    metric="accuracy",
    choices={"budgets": (20, 60, 180, 540)},
)
