"""Transfer against scratch."""

from core.lessons.base import Expected, Lesson

LESSON = Lesson(
    name="transfer",
    title="Transfer against scratch",
    asks="How accurate is each way of training, with 100 labelled articles?",
    text="""\
A model that has read much text has learned what words mean. To sort news articles into five topics it needs little
more: which regions of its feature space belong to which topic. A model with random weights has to learn the words
first, from the same 100 articles.

Three ways are trained here on the same articles: *from scratch* (random weights, everything trains), *full
fine-tuning* (published weights, everything trains) and a *linear probe* (published weights, frozen; only a linear
layer on top is fitted).""",
    claim=(
        "With 100 labelled examples, a pretrained language model matched training from scratch on 100 times as "
        "much data."),
    source="Howard and Ruder 2018 (ULMFiT), arXiv 1801.06146",
    look_for=(
        "The gap between the arm from scratch and the other two: is it larger than their intervals?",
        "The probe trains 1,925 numbers and the others 22 million. What does it lose?",
        "The seeds of the arm from scratch: do they agree among themselves?",
    ),
    expects=(
        Expected(a="full", b="scratch"),
        Expected(a="probe", b="scratch"),
    ),
    design="methods",
    dataset="bbc-news",
    model="minilm",
    metric="accuracy",
    choices={"methods": ("scratch", "full", "probe"), "budgets": (100,)},
)
