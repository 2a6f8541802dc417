"""Learning and forgetting."""

from core.lessons.base import Expected, Lesson

LESSON = Lesson(
    name="forgetting",
    title="Learning and forgetting",
    asks="What is the loss on test rows after LoRA and after full fine-tuning?",
    text="""\
A language model that learns a new format may lose some of what it knew. Beside the loss on the rows of the task,
Thaw measures a fixed panel of texts that have nothing to do with it: how much worse the tuned model predicts them
is what it forgot.

LoRA and full fine-tuning learn the same 48 rows, sentences that are turned into JSON, in 24 steps. Before training the
loss on test rows is 2.6 nats a token: the right next token gets a probability of one in fourteen. Each trains at its
usual learning rate; LoRA's is twenty times the other.""",
    claim=(
        "On code and mathematics LoRA learned less than full fine-tuning, and kept more of what the base model "
        "could do beside them."),
    source="Biderman et al. 2024, arXiv 2405.09673",
    look_for=(
        "The loss on test rows of both: lower is better.",
        "What was forgotten, below the chart; which kinds of text, on the page of a run that was trained here.",
        "Whether the better learner is the one that forgot more.",
    ),
    expects=(
        Expected(a="full", b="lora"),
    ),
    design="methods",
    dataset="sentence-to-json",
    model="smollm2",
    metric="loss",
    range=(0.0, 2.6),
    features=False,
    choices={"methods": ("lora", "full"), "budgets": (48,), "updates": 24},
)
