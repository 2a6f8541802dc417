"""LoRA against full fine-tuning, at equal care."""

from core.lessons.base import Expected, Lesson

LESSON = Lesson(
    name="lora-and-full",
    title="LoRA against full, at equal care",
    asks="How accurate are LoRA and full fine-tuning, each at the learning rate that suits it?",
    text="""\
Many published comparisons gave one side a better learning rate than the other. Here both get the same grid, a
third, one and three times their usual rate, and validation rows choose for each. Only then are they compared, on
test rows that chose nothing.

LoRA trains small low-rank updates beside frozen weights: 1.4 % of the parameters of this model.""",
    claim=(
        "On the GLUE benchmark RoBERTa-base reached 87.2 on average with LoRA and 86.4 with full fine-tuning, with "
        "0.3 of its 125 million parameters trained."),
    source="Hu et al. 2021 (LoRA), arXiv 2106.09685, Table 2",
    look_for=(
        "Which rate was chosen for each arm; is it at the edge of the grid?",
        "The interval of the difference: does it hold zero?",
        "How many more rows or seeds would tell the two apart.",
    ),
    expects=(
        Expected(a="lora", b="full", relation="alike"),
    ),
    design="methods",
    dataset="bbc-news",
    model="minilm",
    metric="accuracy",
    choices={"methods": ("lora", "full"), "budgets": (100,), "rates": (0.3, 1.0, 3.0)},
)
