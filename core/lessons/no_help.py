"""When transfer does not help."""

from core.lessons.base import Expected, Lesson

LESSON = Lesson(
    name="no-help",
    title="When transfer does not help",
    asks="How accurate is each way of training on tiny grey digits?",
    text="""\
Pretraining helps where the new task needs what the old one taught. These digits are 8 × 8 grey pixels: photographs
have taught a model little that is needed here, and the task is easy enough to be learned from its own rows.

A probe on frozen features, full fine-tuning from published weights, and the same network from scratch.""",
    claim=(
        "On two medical imaging tasks pretraining on photographs brought little: for diabetic retinopathy "
        "ResNet-50 reached an AUC of 96.7 with it and 96.4 without."),
    source="Raghu et al. 2019 (Transfusion), arXiv 1902.07208",
    look_for=(
        "The gap between full fine-tuning and scratch beside the same gap for news articles.",
        "The probe: what do features of photographs say about digits?",
        "How many steps each arm took: is the arm from scratch still learning when it stops?",
    ),
    expects=(
        Expected(a="full", b="scratch", relation="alike"),
    ),
    design="methods",
    dataset="sklearn-digits",
    model="efficientnet-lite0",
    metric="accuracy",
    choices={"methods": ("probe", "full", "scratch"), "budgets": (400,)},
    features=False,
)
