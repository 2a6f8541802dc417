"""Fine-tuning can distort features."""

from core.lessons.base import Expected, Lesson

LESSON = Lesson(
    name="distortion",
    title="Fine-tuning can distort",
    asks="How accurate is each way of training on pictures that another hand drew?",
    text="""\
Fine-tuning bends features towards the rows it sees. In the rows' own domain that helps. Rows of another domain may
land where the bent features no longer tell classes apart, while frozen features would have.

Three ways are trained on coloured emoji and judged on the same emoji drawn in black by other hands: a probe (features
frozen), full fine-tuning, and LP-FT (first the head, then everything).""",
    claim=(
        "Over ten distribution shifts full fine-tuning was 2 points better than a linear probe in the domain and 7 "
        "points worse beyond it; with the head fitted first it was 1 point better in the domain and 10 beyond it."),
    source="Kumar et al. 2022, arXiv 2202.10054",
    look_for=(
        "Who leads on test rows and who on shift rows: are they the same?",
        "How far the features of each run moved, block by block.",
        "Whether the order on shift rows is beyond chance.",
    ),
    expects=(
        Expected(a="probe", b="full", split="shift"),
        Expected(a="lp-ft", b="full", split="shift"),
        Expected(a="full", b="probe"),
    ),
    design="shift",
    dataset="openmoji",
    model="efficientnet-lite0",
    metric="accuracy",
    choices={"methods": ("probe", "full", "lp_ft"), "budgets": (150,)},
    split="shift",
)
