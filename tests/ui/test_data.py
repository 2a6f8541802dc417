"""The Data page: texts and pictures from upload to dataset through a worker, and what is said when they do not fit."""

from __future__ import annotations

import dataclasses
import io
import itertools
import time
import tracemalloc
import zipfile

import pytest

from core import files
from core.api import Thaw
from core.data import catalogue, hub
from core.domain.dataset import Role, Split, Task
from core.domain.run import JobKind
from core.jobs import observer, worker
from core.store import Store
from tests import tiny
from tests.conftest import WORKSPACE, write_dataset, write_picture_dataset
from tests.ui.conftest import shown


def table(n=60):
    return ("text,label\n" + "".join(f"row number {i} says something of its own,{'ab'[i % 2]}\n"
                                     for i in range(n))).encode()


def pictures(n=36, *, folders=True):
    """A zip with one folder a class, or without any."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as bundle:
        for i in range(n):
            name = sorted(tiny.SHAPES)[i % 3]
            data = io.BytesIO()
            tiny.make_picture(name, seed=i).save(data, "PNG")
            bundle.writestr(f"{name}/{i}.png" if folders else f"{i}.png", data.getvalue())
    return out.getvalue()


def work(settings):
    """Do the next job as a worker does."""
    claim = Store(settings).queue.claim(supervisor="test", host="test", slots=1)
    assert claim is not None
    worker.run_job(claim.run.id, fence=claim.fence, settings=settings)
    return claim.run.id


def upload(at, *files):
    at.file_uploader(key="upload_0").set_value([(name, data, "application/octet-stream") for name, data in files])
    return at.run()


def drawn(at):
    return "\n".join(str(element.value) for element in at.get("code"))


def opened(at, settings):
    """The job that a click on Import made, done, and its page drawn again."""
    job = "".join(at.query_params["import"])
    assert work(settings) == job
    return followed(at)


def followed(at):
    """AppTest answers a click on the page it was sent to, not on the one that the script went on to."""
    address = dict(at.query_params)
    at.switch_page("pages/dataset.py")
    for name, value in address.items():
        at.query_params[name] = value
    return at.run()


def test_the_limits_stand_before_the_upload(app):
    assert "At most 200 MB, 200,000 rows, 50,000 files" in shown(app("data"))


def test_a_table_goes_through_a_worker_to_a_dataset_and_its_upload_is_removed(app, settings):
    at = upload(app("data"), ("mine.csv", table()))
    assert not at.exception and not at.error
    assert [s.value for s in at.selectbox if s.label in ("text", "label")] == ["text", "label"]
    at.button(key="import").click().run()
    assert not Thaw(settings).data.all(WORKSPACE)
    assert "queued" in shown(at) or at.get("progress")
    at = opened(at, settings)
    assert not at.exception and not at.error
    assert "60 rows read, **60 kept**" in shown(at)
    at.button(key="open_dataset").click().run()
    assert "60 rows read, **60 kept**" in shown(at)
    assert not list(settings.workspace(WORKSPACE).joinpath("uploads").iterdir())


def test_an_archive_of_pictures_shows_them_and_becomes_a_picture_set(app, settings):
    at = upload(app("data"), ("shapes.zip", pictures()))
    assert not at.exception and not at.error
    assert at.dataframe[0].value["picture"][0].startswith("data:image/png;base64,")
    assert "image" in [s.value for s in at.selectbox]
    at.button(key="import").click().run()
    at = opened(at, settings)
    assert not at.error
    (dataset,) = Thaw(settings).data.all(WORKSPACE)
    assert (dataset.task, dataset.rows_kept, dataset.name) == (Task.IMAGE_CLASSIFICATION, 36, "shapes")


def test_one_domain_can_be_the_shift_set(app, settings):
    rows = "".join(f"a text of its own {i},{'ab'[i % 2]},{('web', 'mail')[i // 30]}\n" for i in range(60))
    at = upload(app("data"), ("mine.csv", f"text,label,domain\n{rows}".encode()))
    box = next(box for box in at.selectbox if box.label == "Shift set")
    assert box.value is None and box.options == ["none: all domains together", "mail", "web"]
    box.set_value("mail").run()
    at.button(key="import").click().run()
    opened(at, settings)
    (dataset,) = Thaw(settings).data.all(WORKSPACE)
    assert dataset.rows(Split.SHIFT) == 30 and dataset.rows_kept == 60
    at = upload(app("data"), ("mine.csv", table()))
    assert "Shift set" not in [box.label for box in at.selectbox], "without a column of domains there is no choice"


def test_several_files_are_one_set_whatever_they_are_called(app, settings):
    with zipfile.ZipFile(io.BytesIO(pictures(folders=False))) as bundle:
        files = [(f"cafe\u0301 & co ({name}).png", bundle.read(name)) for name in bundle.namelist()]
    labels = "file,label\n" + "".join(f"caf\u00e9 & co ({i}.png).png,{'ab'[i % 2]}\n" for i in range(len(files)))
    at = upload(app("data"), *files, ("labels.csv", labels.encode()))
    assert not at.error
    at.button(key="import").click().run()
    opened(at, settings)
    (dataset,) = Thaw(settings).data.all(WORKSPACE)
    assert dataset.classes == ("a", "b") and dataset.rows_kept == 36


def test_an_upload_is_written_without_a_second_copy_of_it(app, settings):
    at = app("data")
    upload(at, ("small.csv", table())).button(key="discard").click().run()           # everything is imported
    at.file_uploader(key="upload_1").set_value([("mine.csv", table(400_000), "text/csv")])
    tracemalloc.start()
    try:
        at.run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    (kept,) = settings.workspace(WORKSPACE).joinpath("uploads").glob("*/mine.csv")
    assert not at.error and kept.stat().st_size == len(table(400_000))
    assert peak < 0.8 * kept.stat().st_size


def test_files_that_are_too_large_together_are_refused(app, settings, monkeypatch):
    monkeypatch.setenv("THAW_MAX_UPLOAD_MB", "1")
    at = upload(app("data"), ("a.csv", table(14_000)), ("b.csv", table(14_000)))
    assert not at.exception
    assert "2 files have 1.2 MB, more than the limit of 1 MB" in at.error[0].value
    assert "or raise THAW" in at.error[0].value
    assert not settings.workspace(WORKSPACE).joinpath("uploads").exists()
    assert not at.run().error


def test_an_upload_that_cannot_be_written_says_so(app, settings):
    at = app("data")
    settings.workspace(WORKSPACE).joinpath("uploads").write_text("in the way")
    at = upload(at, ("a.csv", table()))
    assert not at.exception
    assert "could not be kept" in at.error[0].value and "Make room" in at.error[0].value


def test_a_wrong_layout_draws_the_tree_that_is_expected(app, settings):
    at = upload(app("data"), ("flat.zip", pictures(folders=False)))
    assert not at.exception
    assert "no folder of pictures for each class" in at.error[0].value
    assert "my-pictures.zip\n  cat/\n    1.jpg" in drawn(at)
    assert not list(settings.workspace(WORKSPACE).joinpath("uploads").iterdir())


def test_a_refused_import_says_why_and_leads_back_to_the_columns(app, settings):
    at = upload(app("data"), ("one.csv", b"text,label\n" + b"".join(b"row %d is here,a\n" % i for i in range(40))))
    at.button(key="import").click().run()
    at = opened(at, settings)
    assert not at.exception
    assert "same label" in at.error[0].value
    assert "40 rows read" in shown(at)
    at.button(key="back_to_columns").click().run()
    assert at.button(key="import") is not None


def test_findings_name_their_rows_and_keep_markup_literal(app, settings):
    odd = b"".join(b",a\n" for _ in range(7)) + b"<b>x</b> **y** $z$,a\n<b>x</b> **y** $z$,b\n"
    at = upload(app("data"), ("mine.csv", table() + odd))
    at.button(key="import").click().run()
    text = shown(opened(at, settings))
    assert "69 rows read, **62 kept**, 7 left out" in text
    assert "\nRows 61, 62, 63, 64, 65 …" in text
    assert r"For example: *\<b\>x\</b\> \*\*y\*\* \$z\$* (rows 68, 69)" in text


def test_a_paste_is_looked_at_like_a_file(app, settings):
    at = app("data")
    at.segmented_control(key="import_from").set_value("Paste").run()
    at.text_area(key="paste_text").set_value(table(30).decode())
    at.button(key="paste_look").click().run()
    assert not at.exception and not at.error
    at.button(key="import").click().run()
    assert Thaw(settings).runs.all(WORKSPACE, kind=JobKind.IMPORT)


def test_an_empty_paste_is_refused_in_words(app):
    at = app("data")
    at.segmented_control(key="import_from").set_value("Paste").run()
    at.button(key="paste_look").click().run()
    assert "pasted text is empty" in at.error[0].value


def test_the_hub_is_disabled_with_its_reason(app):
    at = app("data")
    at.segmented_control(key="import_from").set_value("Hugging Face hub").run()
    assert "turned off" in shown(at)
    assert at.button(key="hub_fetch").disabled


def drawing(code):
    """A picture of its own for each code point."""
    x, y = code * 7 % 60, code * 13 % 60
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 72"><rect x="{x}" y="{y}" '
            f'width="{9 + code % 11}" height="{9 + code % 7}" fill="#{code * 2654435761 % 0xffffff:06x}"/></svg>')


@pytest.fixture
def drawn_set(monkeypatch, tmp_path):
    """OpenMoji with 120 drawings, in a wheel that a local folder serves."""
    codes = [*range(0x1F400, 0x1F43C), *range(0x1F910, 0x1F918), *range(0x1F920, 0x1F926), *range(0x1F600, 0x1F62E)]
    wheel = tmp_path / "index" / "tinymoji-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as bundle:
        for code in codes:
            bundle.writestr(f"tinymoji/svg/{code:X}.svg", drawing(code))
        bundle.writestr("tinymoji-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinymoji\nVersion: 1.0\n")
        bundle.writestr("tinymoji-1.0.dist-info/WHEEL",
                        "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        bundle.writestr("tinymoji-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    entry = dataclasses.replace(catalogue.find("openmoji"), id="tiny-moji", package="tinymoji==1.0", shift=None,
                                sha256=files.sha256(wheel), size_bytes=wheel.stat().st_size,
                                members=("tinymoji/svg/*.svg",), split_sizes=(84, 18, 18), rows=120)
    monkeypatch.setattr(catalogue, "DATASETS", (*catalogue.DATASETS, entry))
    return entry


def test_a_bundled_picture_set_shows_how_many_are_drawn(app, settings, drawn_set, monkeypatch):
    """The worker waits with its 75th picture (or a neighbour: several threads draw) until the fiftieth is written down
    (which the heartbeat does where another writes at that moment, or the database is locked) and the page was seen."""
    import resvg_py

    draw, count, bars = resvg_py.svg_to_bytes, itertools.count(1), []
    at = app("data")
    at.button(key="add_tiny-moji").click().run()
    (job,) = Thaw(settings).runs.all(WORKSPACE)

    def written():
        events = Thaw(settings).runs.progress(WORKSPACE, job.id).events
        return any(event.kind == "progress" and event.data["done"] == 50 for event in events)

    def patiently(**options):
        if next(count) == 75:
            until = time.monotonic() + 120
            while not written() and time.monotonic() < until:
                time.sleep(0.05)
            bars.extend(bar.proto.text for bar in at.run(timeout=120).get("progress"))
        return draw(**options)

    monkeypatch.setattr(resvg_py, "svg_to_bytes", patiently)
    monkeypatch.setattr(observer, "WRITE_EVERY_S", 0.0)
    work(settings)
    assert len(bars) == 1 and "50 of 120 pictures" in bars[0]
    (dataset,) = Thaw(settings).data.all(WORKSPACE)
    assert (dataset.rows_kept, dataset.source) == (120, "tiny-moji")
    assert "In this workspace" in shown(at.run())


@pytest.fixture
def hub_set(monkeypatch):
    """A hub that answers, and what `datasets` would load from it: replaced at its boundary, as no hub can be asked
    here."""
    import datasets

    features = datasets.Features({"title": datasets.Value("string"), "body": datasets.Value("string"),
                                  "grade": datasets.ClassLabel(names=["bad", "good"])})
    part = datasets.Dataset.from_dict({"title": [f"title {i}" for i in range(60)], "grade": [i % 2 for i in range(60)],
                                       "body": [f"row number {i} says something of its own" for i in range(60)]},
                                      features=features)
    asked = []
    monkeypatch.setattr(hub, "unavailable", lambda settings: None)
    monkeypatch.setattr(hub, "_load_dataset", lambda *wanted: asked.append(wanted[:3]) or part)
    return asked


def test_a_hub_set_is_fetched_looked_at_and_imported_with_chosen_roles(app, settings, hub_set):
    base = write_dataset(settings, n_rows=90)
    at = app("data")
    at.segmented_control(key="import_from").set_value("Hugging Face hub").run()
    at.text_input(key="hub_id").set_value("owner/grades")
    at.text_input(key="hub_split").set_value("train")
    at.button(key="hub_fetch").click().run()
    assert not at.exception and not at.error
    work(settings)
    followed(at)                                                      # the page follows by itself to the columns
    at.switch_page("pages/data.py").run()
    assert hub_set == [("owner/grades", None, "train")]
    assert not at.exception and not at.error and not Thaw(settings).data.all(WORKSPACE)[1:]
    roles = {s.label: s.value for s in at.selectbox}
    assert (roles["grade"], roles["body"]) == ("label", "text")
    assert base.name in "".join(next(s for s in at.selectbox if s.label == "Use it as").options)
    next(s for s in at.selectbox if s.label == "title").set_value(Role.IGNORE)
    at.button(key="import").click().run()
    at = opened(at, settings)
    assert not at.error
    dataset = next(d for d in Thaw(settings).data.all(WORKSPACE) if d.id != base.id)
    assert (dataset.source, dataset.name, dataset.classes,
            dataset.rows_kept) == ("owner/grades", "owner/grades", ("bad", "good"), 60)
    assert dataset.columns["title"] == "ignore"


def test_a_fetched_hub_set_waits_for_its_columns(app, settings, hub_set):
    job = Thaw(settings).data.fetch_hub_set(WORKSPACE, "owner/grades")
    work(settings)
    at = app("dataset", **{"import": job})
    assert "Nothing is kept yet" in shown(at)
    at.button(key="hub_columns").click().run()
    assert not at.exception and not at.error
    at.switch_page("pages/data.py").run().button(key="discard").click().run()
    at = app("dataset", **{"import": job})
    assert "not here any more" in shown(at)
    at.button(key="hub_again").click().run()
    assert not at.exception and len(Thaw(settings).runs.all(WORKSPACE, kind=JobKind.IMPORT)) == 2


def test_two_text_columns_are_joined_as_previewed(app, settings):
    rows = "".join(f"Title {i},the body of row {i} says more,{'ab'[i % 2]}\n" for i in range(60))
    at = upload(app("data"), ("two.csv", f"title,text,label\n{rows}".encode()))
    assert "Title 0\nthe body of row 0 says more" in drawn(at)
    template = next(t for t in at.text_input if t.label == "How the texts are joined")
    template.set_value("{title} // {nothing}").run()
    assert "is no column that can be used" in at.error[0].value
    next(t for t in at.text_input if t.label == "How the texts are joined").set_value("{title} // {text}").run()
    assert not at.error and "Title 0 // the body of row 0 says more" in drawn(at)
    at.button(key="import").click().run()
    opened(at, settings)
    (dataset,) = Thaw(settings).data.all(WORKSPACE)
    texts = [row["text"] for row in Thaw(settings).data.rows(WORKSPACE, dataset.id, n=100)]
    assert all(" // the body of row" in text for text in texts)


def brought(app, settings, name, data):
    """The page of the dataset that a file became."""
    at = upload(app("data"), (name, data))
    at.button(key="import").click().run()
    opened(at, settings)
    (dataset,) = Thaw(settings).data.all(WORKSPACE)
    return app("dataset", dataset=dataset.id), dataset


def show_rows(at, dataset, code):
    """All rows of a finding, as the page shows them."""
    at.toggle(key=f"show_{dataset.id}_{code}").set_value(True).run()
    assert not at.exception and not at.error
    return next(table.value for table in at.dataframe if "Split" in table.value)


def test_findings_on_pictures_show_them(app, settings):
    out = io.BytesIO(pictures(60))
    with zipfile.ZipFile(out, "a") as bundle:
        again = bundle.read("bar/0.png")
        bundle.writestr("disc/again.png", again)
    at, dataset = brought(app, settings, "shapes.zip", out.getvalue())
    assert "same picture as another row but a different label" in shown(at)
    rows = show_rows(at, dataset, "contradicting-labels")
    assert set(rows["Class"]) == {"bar", "disc"} and rows["Picture"].str.startswith("data:image/png;base64,").all()


def leaky():
    """90 rows of two classes, and five more that leak from training into test."""
    rows = [(f"row number {i} says something of its own", "ab"[i % 2], ("train", "train", "test")[i % 3])
            for i in range(90)]
    rows += [(text, label, "test") for text, label, split in rows if split == "train"][:5]
    return ("text,label,split\n" + "".join(",".join(r) + "\n" for r in rows)).encode()


def test_findings_are_mended_in_place_and_undone(app, settings):
    api = Thaw(settings)
    at, old = brought(app, settings, "leaky.csv", leaky())
    rows = show_rows(at, old, "leakage")
    assert list(rows["Row"]) == [91, 92, 93, 94, 95] and set(rows["Split"]) == {"test"}
    assert rows["Like"].iloc[0] == "row 1 (train, a)"
    assert "mend_apply" not in {button.key for button in at.button}, "nothing is chosen yet"
    at.selectbox(key=f"do_{old.id}_0_leakage").set_value("drop-leaks").run()
    assert "**95 rows → 90 rows**: 5 dropped (a twin of it is on an earlier side of the split)." in shown(at)
    assert [d.id for d in api.data.all(WORKSPACE)] == [old.id], "nothing is changed before it is applied"
    at.button(key="mend_apply").click().run()
    work(settings)
    at.run()
    (new,) = api.data.all(WORKSPACE)
    assert (new.name, new.rows_kept, new.rows_read) == ("leaky", 90, 95)
    at = app("dataset", dataset=new.id)
    text = shown(at)
    assert not at.exception and not at.error
    assert "**95 rows → 90 rows**" in text and "95 rows read, **90 kept**, 5 left out" in text
    assert "on another side of the split" not in text
    assert "An earlier state of this data" in shown(app("dataset", dataset=old.id))
    at.button(key="mend_undo").click().run()
    assert not at.exception and not at.error
    assert api.data.all(WORKSPACE) == [old] and api.data.find(WORKSPACE, new.id) is None


def test_rows_left_out_are_shown_and_a_file_that_is_imported_again_is_back_in_the_list(app, settings):
    api, data = Thaw(settings), table() + b"".join(b",a\n" for _ in range(60))
    at, old = brought(app, settings, "gaps.csv", data)
    at.toggle(key=f"show_{old.id}_left_out_the text is empty").set_value(True).run()
    assert not at.exception and not at.error
    assert "60 rows; rows 1 to 50 are shown." in shown(at)
    at.number_input(key=f"left_{old.id}_the text is empty_page").set_value(2).run()
    assert list(next(t.value for t in at.dataframe if "Reason" in t.value)["Row"]) == list(range(111, 121))
    at.multiselect(key=f"classes_{old.id}_0").set_value(["a"]).run()
    at.text_input(key="classes_name_" + f"{old.id}_['a']").set_value("first").run()
    at.button(key="classes_merge").click().run()
    at.button(key="mend_apply").click().run()
    work(settings)
    (new,) = api.data.all(WORKSPACE)
    assert new.classes == ("b", "first")
    at = upload(app("data"), ("gaps.csv", data))
    at.button(key="import").click().run()
    opened(at, settings)
    assert {d.id for d in api.data.all(WORKSPACE)} == {old.id, new.id}


def test_classes_are_merged_by_hand(app, settings):
    at, old = brought(app, settings, "mine.csv", table())
    at.multiselect(key=f"classes_{old.id}_0").set_value(["a", "b"]).run()
    at.text_input(key="classes_name_" + f"{old.id}_['a', 'b']").set_value("all").run()
    at.button(key="classes_merge").click().run()
    assert "60 with another class" in shown(at)
    at.button(key="mend_apply").click().run()
    work(settings)
    at.run()
    assert "same label" in at.error[0].value, "one class cannot be learned: it says so, and all stays"
    assert Thaw(settings).data.all(WORKSPACE) == [old]


def test_rows_of_an_earlier_version_are_found_again(app, settings):
    at, dataset = brought(app, settings, "leaky.csv", leaky())
    for name in ("found.parquet", "groups.parquet"):
        (settings.workspace(WORKSPACE) / "datasets" / dataset.id / name).unlink()
    at = app("dataset", dataset=dataset.id)
    assert not [toggle for toggle in at.toggle if toggle.key.startswith("show_")]
    at.button(key="recheck").click().run()
    work(settings)
    at.run()
    assert len(show_rows(at, dataset, "leakage")) == 5


def test_a_shift_set_is_looked_at_before_it_is_attached(app, settings):
    api = Thaw(settings)
    at, base = brought(app, settings, "base.csv", table() + b",a\n")
    train = api.data.rows(WORKSPACE, base.id, n=3)
    other = (table(20).replace(b"says", b"mentions") + b"a row of another kind,c\n"
             + "".join(f"{row['text']},{row['label']}\n" for row in train).encode())
    at = upload(app("data"), ("other.csv", other))
    next(s for s in at.selectbox if s.label == "Use it as").set_value(base.id)
    at = at.run()
    at.button(key="import").click().run()
    work(settings)
    at = app("dataset", dataset=base.id)
    text = shown(at)
    assert not at.exception and not at.error
    assert "24 rows read, **23 can be attached**, 1 left out. Nothing is attached yet." in text
    assert "3 shift rows have the content of a training row" in text and "1 row of other left out" in text
    assert api.data.all(WORKSPACE) == [base], "a look makes no dataset"
    at.toggle(key="show_shift-leakage").set_value(True).run()
    assert not at.exception and not at.error
    leaking = next(found.value for found in at.dataframe if "Like" in found.value)
    assert list(leaking["Like"]) == [f"row {row['row_id']} (train, {row['label']})" for row in train]
    at.selectbox(key="match_c").set_value("a").run()
    at.button(key="shift_again").click().run()
    work(settings)
    at = app("dataset", dataset=base.id)
    assert "24 rows read, **24 can be attached**" in shown(at)
    at.button(key="shift_attach").click().run()
    work(settings)
    at.run()
    (joined,) = api.data.all(WORKSPACE)
    assert (joined.name, joined.rows("shift"), joined.counts["train"]) == ("base", 21, base.counts["train"])
    assert api.mending.leaks(WORKSPACE, joined.id) == {}
    at = app("dataset", dataset=joined.id)
    assert "21 added as its shift set" in shown(at) and "85 rows read, **81 kept**, 4 left out" in shown(at)
    at.button(key="shift_off").click().run()
    work(settings)
    at.run()
    assert [d.id for d in api.data.all(WORKSPACE)] == [base.id], "the rows of before are the dataset of before"


def test_a_shift_set_is_made_from_the_test_rows_and_called_so(app, settings):
    api = Thaw(settings)
    dataset = write_dataset(settings, n_rows=90)
    at = app("dataset", dataset=dataset.id)
    assert at.selectbox(key=f"made_kind_{dataset.id}").options == ["typos", "case", "truncation"]
    at.selectbox(key=f"made_kind_{dataset.id}").set_value("truncation").run()
    at.button(key="shift_make").click().run()
    work(settings)
    at.run()
    assert not at.exception and not at.error
    (made,) = api.data.all(WORKSPACE)
    assert made.shift_called == "made: truncation, severity 3" and made.rows("shift") == dataset.rows("test")
    at = app("dataset", dataset=made.id)
    assert "shift set 18 (made: truncation, severity 3)" in shown(at)
    assert "18 rows, **made: truncation, severity 3**: its own test rows, changed, no second domain" in shown(at)
    assert "18 added as its shift set" in shown(at)
    assert "shift set 18 (made: truncation, severity 3)" in shown(app("data"))


def test_a_search_highlights_what_it_finds(app, settings):
    dataset = write_dataset(settings, n_rows=90)
    word = Thaw(settings).data.rows(WORKSPACE, dataset.id, n=1)[0]["text"].split()[0]
    at = app("dataset", dataset=dataset.id)
    at.text_input(key="rows_search").set_value(word.upper()).run()
    assert not at.exception and f":orange-background[{word}]" in shown(at)
    at.text_input(key="rows_search").set_value("nothing like it").run()
    assert "orange-background" not in shown(at)


def test_rows_of_pictures_show_them_and_follow_the_class(app, settings):
    dataset = write_picture_dataset(settings, n_rows=45)
    at = app("dataset", dataset=dataset.id)
    assert not at.exception and not at.error
    rows = at.dataframe[-1].value
    assert rows["picture"].str.startswith("data:image/png;base64,").all()
    at.selectbox(key="rows_label").set_value(dataset.classes[0]).run()
    assert set(at.dataframe[-1].value["Class"]) == {dataset.classes[0]}


@pytest.mark.parametrize("job", ["nope", "../../etc"])
def test_an_unknown_import_is_refused(app, job):
    at = app("dataset", **{"import": job})
    assert not at.exception
    assert len(at.error) == 1


def test_an_import_under_way_is_listed_and_can_be_stopped(app, settings):
    at = upload(app("data"), ("mine.csv", table()))
    at.button(key="import").click().run()
    assert "**Import mine**" in shown(app("data"))
    followed(at).button(key="stop_import").click().run()
    at.run()
    assert not at.exception
    assert "Nothing was kept" in shown(at)
    assert not Thaw(settings).data.all(WORKSPACE)


def test_a_wide_table_is_shown_and_asked_about_in_part(app, settings):
    names = [f"c{i}" for i in range(400)]
    rows = [",".join(["text", *names, "label"]), *(",".join([f"a text of its own {i}", *(["7"] * 400), "ab"[i % 2]])
                                                   for i in range(40))]
    at = upload(app("data"), ("wide.csv", "\n".join(rows).encode()))
    assert not at.exception and len(at.dataframe[0].value.columns) <= 31
    asked = [box.key for box in at.selectbox if str(box.key).startswith("role_")]
    assert len(asked) <= 31 and any(key.endswith("_text")
                                    for key in asked) and any(key.endswith("_label") for key in asked)
    more = next(box for box in at.multiselect if str(box.key).startswith("more_columns"))
    more.set_value(["c399"]).run()
    assert any(str(box.key).endswith("_c399") for box in at.selectbox)
    at.button(key="import").click().run()
    work(settings)
    (made,) = Thaw(settings).data.all(WORKSPACE)
    assert (made.rows_kept, made.columns["text"], made.columns["label"]) == (40, "text", "label")
