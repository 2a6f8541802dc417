"""What do four bits cost?"""

from core.lessons.base import Expected, Lesson

LESSON = Lesson(
    name="four-bits",
    title="What do four bits cost?",
    asks="How accurate is LoRA on weights in 16 and in 4 bits?",
    text="""\
A 4-bit weight takes one of 16 values. QLoRA stores the frozen weights that way and trains LoRA beside them; the
updates can make up for part of the rounding. The model shrinks by almost four; what does that cost?

Both arms share rank, learning rate, optimiser and rows. Only the stored weights differ.""",
    claim=(
        "LoRA on 4-bit weights (NF4, double quantisation) reached 53.1 on MMLU, and on 16-bit weights 53.0, on "
        "average over LLaMA models of 7 to 65 billion parameters."),
    source="Dettmers et al. 2023 (QLoRA), arXiv 2305.14314, Table 4",
    look_for=(
        "Accuracy, and the memory that each run held: both are on the run's page.",
        "On a CPU four bits save memory of weights and cost time. How much of each?",
        "On the Features page: do 4-bit features already differ before any training?",
    ),
    expects=(
        Expected(a="lora", b="qlora", relation="alike"),
    ),
    design="four-bit",
    dataset="bbc-news",
    model="minilm",
    metric="accuracy",
    choices={"budgets": (100,)},
)
