"""Which part of a published model is the body that Thaw trains, told from its configuration alone."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForTextEncoding

from core.errors import ModelError

READ = {"input_ids": "texts", "pixel_values": "pictures"}
"""First input of a body -> what it reads."""
SOUND = ("input_values", "input_features", "audio_values")
OTHER_MODEL = ("Choose an encoder (BERT family) or a decoder (GPT family) for texts, or an encoder for pictures (ViT, "
               "ResNet, ConvNeXt …).")


@dataclass(frozen=True)
class Architecture:
    """config: of the body. auto: the class of transformers that builds it from that. options: arguments for it."""

    config: Any
    auto: Any
    options: dict[str, Any]


def read(folder: Path) -> Architecture:
    """The body in a folder: the whole model, the vision tower of a model of texts and pictures, or a saved encoder of
    T5's family.

    Raises ModelError for a model that transformers does not know, has no such body, or reads neither texts nor
    pictures.
    """
    config = _config(folder)
    auto: Any = AutoModel
    if _encoder_alone(config):
        auto = AutoModelForTextEncoding
    elif getattr(config, "is_encoder_decoder", False):
        raise _two_stacks(config, folder)
    elif _class_of(getattr(config, "vision_config", None)) is not None:
        config = config.vision_config
    elif hasattr(config, "vision_config") and hasattr(config, "text_config"):
        raise ModelError(f"The base model {folder.name} reads texts and pictures together.",
                         why=f"Thaw trains models that read one of the two; of a {config.model_type} neither part can "
                             "be loaded alone.",
                         remedy=OTHER_MODEL)
    body = _class_of(config, auto)
    if body is None:
        raise ModelError(f"The base model {folder.name} has no body that reads texts or pictures.",
                         why=f"transformers has no plain model for the type {config.model_type}.", remedy=OTHER_MODEL)
    if body.main_input_name not in READ:
        kind = "sound" if body.main_input_name in SOUND else f"{body.main_input_name!r}"
        raise ModelError(f"The base model {folder.name} reads {kind}, not texts or pictures.",
                         why=f"It is a {body.__name__}.", remedy=OTHER_MODEL)
    without_pooler = "add_pooling_layer" in inspect.signature(body.__init__).parameters and not _pools_well(config)
    return Architecture(config, auto, {"add_pooling_layer": False} if without_pooler else {})


def read_language(folder: Path) -> Architecture:
    """The whole causal language model in a folder, its output layer included.

    Raises ModelError for a model that is none, or reads more than texts.
    """
    config = _config(folder)
    several = getattr(config, "is_encoder_decoder", False) or hasattr(config, "vision_config")
    if several or _class_of(config, AutoModelForCausalLM) is None:
        raise ModelError(f"The base model {folder.name} is no causal language model.",
                         why=f"transformers knows none of the type {config.model_type} that reads and writes texts "
                             "alone.",
                         remedy="Choose a decoder (Llama, Qwen, Gemma, GPT-2 …), or another task.")
    return Architecture(config, AutoModelForCausalLM, {})


def _config(folder: Path) -> Any:
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except MemoryError:
        raise
    except Exception as error:
        raise ModelError(f"The base model in {folder.name} cannot be loaded.", why=_first_line(error),
                         remedy="Choose a model whose architecture transformers knows; code from models is "
                                "never executed.") from error


def _class_of(config: Any, auto: Any = AutoModel) -> Any:
    """The class of the body that a configuration describes; None where there is none."""
    if type(config) not in auto._model_mapping:
        return None
    found = auto._model_mapping[type(config)]
    return found[0] if isinstance(found, (list, tuple)) else found


def _encoder_alone(config: Any) -> bool:
    """Whether a folder holds only the encoder of a model with two stacks, as T5EncoderModel saves it."""
    encoder = _class_of(config, AutoModelForTextEncoding)
    return (encoder is not None and encoder is not _class_of(config)
            and encoder.__name__ in (getattr(config, "architectures", None) or []))


def _two_stacks(config: Any, folder: Path) -> ModelError:
    encoder = _class_of(config, AutoModelForTextEncoding)
    remedy = "Choose an encoder (BERT family) or a decoder (GPT family)."
    if encoder is not None and encoder is not _class_of(config):
        remedy = (f"Save its encoder: from transformers import {encoder.__name__}; "
                  f"{encoder.__name__}.from_pretrained({str(folder)!r}).save_pretrained(new_folder), with the "
                  "tokenizer beside it. Or choose an encoder (BERT family) or a decoder (GPT family).")
    return ModelError("Encoder-decoder models are not supported.", why=f"{config.model_type} has two stacks of blocks.",
                      remedy=remedy)


def incomplete(folder: Path, body: nn.Module, missing: list[str]) -> ModelError:
    """For weights that the architecture has and the files lack: they would be random numbers."""
    name = type(body).__name__
    whole = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures") or [name]
    remedy = "Fetch or save the model again; files were cut or renamed."
    if callable(can := getattr(body, "can_generate", None)) and can():
        remedy = ("It was saved without its output layer: save the whole model, in Python: AutoModelForCausalLM."
                  "from_pretrained(source).save_pretrained(folder), its tokenizer beside it; or use it for "
                  "classification.")
    elif whole[0] != name:
        remedy = (f"Load it with {whole[0]} and save the part that reads your data with save_pretrained(new_folder), "
                  "its tokenizer or processor beside it; if files were cut or renamed, fetch them again.")
    return ModelError(f"The files of the base model {folder.name} do not hold a whole {name}.",
                      why=f"{len(missing)} of its tensors are missing, such as {missing[0]}.",
                      remedy=remedy)


def _pools_well(config: Any) -> bool:
    """Whether the model's pooled output is to be kept: not the dense layer of a BERT or ViT, which classifiers do
    without."""
    if not hasattr(config, "image_size"):
        return False
    with torch.device("meta"):
        pooler = getattr(AutoModel.from_config(config), "pooler", None)
    return pooler is not None and not any(isinstance(module, nn.Linear) for module in pooler.modules())


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip().split("\n")[0][:300]
