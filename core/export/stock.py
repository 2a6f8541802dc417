"""Which stock classes of transformers compute body, pooling and head as Thaw does; no torch."""

from __future__ import annotations

LIKE_BERT = ("BertModel", "DistilBertModel", "RobertaModel", "XLMRobertaModel", "CamembertModel")
"""Bodies that are an `XLMModel` weight by weight: embeddings and places summed, blocks that normalise behind sums."""
SHIFTED = ("GPT2Model", "OPTModel", "GPTNeoXModel", "BloomModel", "FalconModel", "PhiModel")
"""Decoders that end in a norm with a bias, which takes up the head's, as their classifiers have none."""
ONE_BY_ONE = ("It reads texts one at a time: its class would count filled-up places into the mean, so its tokenizer "
              "has no padding token and transformers refuses batches.")


def refusal(architecture: str, pooling: str) -> str | None:
    """Why no stock class is a classifier with this body and pooling, as a sentence; None where one is."""
    if architecture in LIKE_BERT and pooling in ("mean", "cls"):
        return None
    if architecture in SHIFTED and pooling == "last":
        return None
    if architecture in SHIFTED:
        return (f"The classifiers of transformers with a {architecture} read the last token, and this run pools by "
                f"{pooling}. Thaw's own folder (merged) keeps the pooling.")
    return (f"No classifier of transformers computes a linear head on the {pooling} of a {architecture}, or Thaw knows "
            "of none that does exactly. Its own folder (merged) keeps both.")
