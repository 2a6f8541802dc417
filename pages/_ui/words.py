"""The glossary: the words of Thaw, one or two sentences each, used as tooltips and on the home page."""

from __future__ import annotations

import streamlit as st

from core import tasks
from core.domain.dataset import BundledDataset, Dataset, Shape, Task
from core.metrics import METRICS

WORDS: dict[str, str] = {
    "base model": "A pretrained model as published. Thaw never changes it on disk; every run starts from a fresh copy.",
    "block": "One unit of the model's depth, in forward order: the embeddings, then block 0, 1, 2 …, and the head on "
             "top.",
    "head": "The last layer, new for your classes. It always trains, since the base model has never seen your labels.",
    "frozen": "A frozen block keeps the pretrained weights exactly: no gradient, no dropout. A thawed block trains.",
    "freeze plan": "Which blocks train and which stay as they were published.",
    "method": "How the model becomes trainable: only a new head (probe), some blocks (partial), all of them (full), "
              "small adapters (LoRA, QLoRA), or everything from fresh weights (scratch).",
    "recipe": "Everything that decides a run: base model, method, freeze plan, settings, seed and label budget. "
              "It never changes after the start.",
    "arm": "One recipe of an experiment, repeated over seeds and label budgets.",
    "experiment": "One dataset and several arms, trained so that they can be compared fairly.",
    "run": "One recipe, executed once.",
    "effort": "One dial from which epochs, batch size, text length, learning rate and adapter rank follow.",
    "epoch": "One pass of training over all training rows.",
    "step": "One update of the weights, from one batch of rows.",
    "checkpoint": "The weights as they are at a moment of training. The one that judges best on validation rows is "
                  "kept.",
    "token": "A word or a piece of one, as the model reads and writes text; each model cuts text in its own way.",
    "taught token": "A token whose prediction is trained and judged: every token of a passage but the first, the "
                    "answers of a conversation. The others are context: read, not learned.",
    "chat template": "How a model writes a conversation as one text: who speaks, and where an answer ends. It comes "
                     "with the model. One that has none is given a plain format of Thaw's.",
    "EOS": "End of sequence, the token with which a model says that it has finished. A model that never learned it "
           "talks on.",
    "nat": "The unit of loss: a token that the model gave the probability p costs −ln p nats. 0 is certainty, 0.69 an "
           "even chance.",
    "untouched model": "The base model as published, judged on the same rows in the same way: what a run is measured "
                       "against.",
    "forgetting": "Loss that rises on texts which the run never saw: prose, news, Usenet, dialogue, instructions. Only "
                  "a change beyond the noise floor is called so.",
    "KL": "Kullback–Leibler divergence: how far the tuned model's predictions lie from the base model's, in nats a "
          "token. 0 means that they say the same.",
    "noise floor": "The change that comes from rounding alone (precision, 4-bit weights) or from another seed, "
                   "measured. A smaller one means nothing.",
    "feature": "What a block puts out for a row: a list of numbers, the row's place in the feature space.",
    "probe accuracy": "A probe is a simple classifier, fitted on features that stay as they are: the share of rows it "
                      "gets right says how much the features tell of the classes.",
    "CKA": "Centred kernel alignment: how alike two models arrange the same rows. 1 is the same up to rotation and "
           "scale.",
    "nearest neighbours": "The rows whose features are most alike (k-NN). Neighbours of one class are a good sign.",
    "p-value": "How often chance alone would show a difference at least this large. Below 0.05, Thaw calls it a "
               "difference.",
    "label budget": "How many labelled rows a run may use in all, training and validation together, each class in its "
                    "share. It shows what a method does with few labels.",
    "seed": "The number that fixes every random choice. Several seeds show how much of a difference is luck.",
    "split": "Training rows teach the model, validation rows choose the moment that is kept, test rows judge once at "
             "the end.",
    "leak": "A row that a model is judged on and has seen in training, or nearly so: it tests memory, not learning, "
            "and lifts scores.",
    "shift set": "A second labelled set from another domain. Runs are judged on it but never trained on it.",
    "interval": "The range that holds the true value in 95 of 100 repetitions, from resampling the test rows "
                "(bootstrap).",
    **{metric.label: metric.explanation for metric in METRICS},
    "confusion matrix": "Rows are the true classes, columns the predicted ones; everything off the diagonal is an "
                        "error.",
    "paired test": "Compares two runs row by row on the same test rows (exact McNemar test where rows are right or "
                   "wrong, else a bootstrap over rows): sharper than comparing two intervals.",
    "strength": "How far what training changed is turned up: 0 is the base model, 1 the model as trained, 0.5 lies "
                "half way between their weights, 1.5 goes on in the same direction.",
    "calibration": "Of all rows that a model is 80 % sure of, 80 % should be right. The calibration error is how far "
                   "confidence lies from that, on average. Dividing all logits by one number, the temperature, changes "
                   "no answer and can mend much of it (Guo et al. 2017); a solved or briefly tuned head has "
                   "little to mend.",
    "intruder dimensions": "Strong directions of a tuned weight that no direction of the base weight resembles. LoRA "
                           "makes more of them than full fine-tuning; taking them away can bring back what was "
                           "forgotten.",
    "artifact": "What a run saves: the head, the adapter or weights, the tokenizer and the class names.",
    "trained parameters": "Numbers inside the model that training may change.",
    "memory": "What a run adds to the memory in use: weights, gradients, optimiser, activations and buffers, without "
              "the libraries. The plan estimates its peak, a run under way shows it at this moment, a result the "
              "measured peak.",
    "race": "Best score on validation rows so far, at the same share of each run's steps. At a quarter and at half of "
            "them a run of the worse half is named where the best is ahead by more than the rows explain (successive "
            "halving, with an interval). Nothing stops unless you stop it.",
    "ran before": "The same model, data, method, settings and seed: on the same machine it would end the same. Train "
                  "again where you want to see that, or its time.",
    "in turns": "Each run trains to a quarter of its steps, then to half, then to the end, and lets others catch up "
                "in between: all curves grow side by side, and you see early which are worth finishing. Results are "
                "the same; each turn costs the start of a process, some ten seconds.",
    "resume": "Go on from the last checkpoint with the same recipe; the result is the same as if nothing had happened.",
    "fork": "Start a new run from this run's recipe with some of it changed.",
}


def things(task: Task) -> str:
    """What the rows of a dataset for that task are, in the plural."""
    return tasks.card(task).things


def rows_called(found: Dataset | BundledDataset) -> str:
    """What the rows of this dataset are, in the plural: passages and conversations too."""
    if found.task.labelled:
        return things(found.task)
    return "conversations" if getattr(found, "shape", Shape.TEXT) is Shape.CHAT else "passages"


def word(name: str) -> str:
    """The glossary sentence for a word, for `help=`."""
    return WORDS[name]


def glossary() -> None:
    """All words, folded away."""
    with st.expander("What the words mean", icon=":material/menu_book:"):
        st.markdown("\n".join(f"- **{name}**: {text}" for name, text in WORDS.items()))
