"""Small pictures of dataset rows."""

import io

from PIL import Image

from core.api import Thaw
from core.settings import Settings
from tests.conftest import WORKSPACE, write_language_dataset, write_picture_dataset


def test_thumbnails_are_small_pngs_of_the_rows_asked_for(settings: Settings) -> None:
    dataset = write_picture_dataset(settings, n_rows=45)
    api = Thaw(settings)
    names = [row["image"] for row in api.data.rows(WORKSPACE, dataset.id, n=3)]
    small = api.data.thumbnails(WORKSPACE, dataset.id, names)
    assert list(small) == names
    for png in small.values():
        with Image.open(io.BytesIO(png)) as picture:
            assert picture.format == "PNG" and max(picture.size) <= 96


def test_thumbnails_stay_inside_the_dataset(settings: Settings) -> None:
    dataset = write_picture_dataset(settings, n_rows=45)
    outside = settings.home / "secret.png"
    Image.new("RGB", (4, 4)).save(outside)
    asked = ["../../../../secret.png", str(outside), "images/none.png"]
    assert Thaw(settings).data.thumbnails(WORKSPACE, dataset.id, asked) == {}


def test_conversations_are_searched_as_they_are_read(settings: Settings) -> None:
    """What their JSON alone holds is no hit, and neither hides what stands across its marks."""
    dataset, data = write_language_dataset(settings, chat=True), Thaw(settings).data
    first = data.rows(WORKSPACE, dataset.id, n=1)[0]
    assert data.rows(WORKSPACE, dataset.id, search='"role"') == []
    assert [row["row_id"] for row in data.rows(WORKSPACE, dataset.id, n=20, search="user: " + first["text"][6:30])]
    page = Thaw(settings).mending.rows(WORKSPACE, dataset.id, search='"role"')
    assert page is not None and page.total == 0
