"""Train and home choose by task: what a picture set is offered, and what it is not."""

import pytest

from core.api import Thaw
from core.domain import codec
from core.domain.dataset import Task
from core.domain.model import Block, LinearLayer, ModelFacts
from core.models import catalogue
from core.models import facts as model_facts
from tests.conftest import WORKSPACE, write_dataset, write_picture_dataset
from tests.ui.conftest import put_facts, put_runs, shown

KEY = "train_model_image-classification"


@pytest.fixture
def network(settings):
    """EfficientNet-Lite0 as if it had been fetched and inspected."""
    layers = (LinearLayer(name="stage.conv", kind="other", in_features=64, out_features=64, quantisable=False),)
    body = tuple(Block(index=i + 1, name=f"block {i}", parameters=480_000, linear_layers=layers) for i in range(7))
    found = ModelFacts(id="efficientnet-lite0", revision="test", architecture="EfficientNet",
                       tasks=(Task.IMAGE_CLASSIFICATION,),
                       blocks=(Block(index=0, name="embeddings", parameters=900), *body), hidden_size=1280,
                       intermediate_size=0, attention_heads=0, max_length=0, image_size=224, pooling="model",
                       has_batch_norm=True, activation_bytes_per_block={b.name: 4_000_000 for b in body},
                       forward_flops_per_token=8e8)
    model_facts.write(found, settings)
    return found


@pytest.fixture
def shapes(settings):
    return write_picture_dataset(settings, n_rows=90)


def test_a_picture_set_is_offered_picture_models_and_says_why_not_others(app, shapes, network):
    at = app("train", dataset=shapes.id)
    assert not at.exception and not at.error
    assert at.selectbox(key=KEY).value == "efficientnet-lite0"
    assert [o for o in at.selectbox(key=KEY).options if "MiniLM" in o] == []
    others = [f"{m.name} (it is for texts)" for m in catalogue.MODELS if Task.TEXT_CLASSIFICATION in m.tasks]
    assert f"Not offered, as this dataset holds pictures: {', '.join(others)}." in shown(at)


def labels(at):
    return {w.label for w in at.selectbox} | {w.label for w in at.number_input}


def test_augmentation_is_a_knob_of_pictures_and_text_length_one_of_texts(app, settings, shapes, network):
    found = labels(app("train", dataset=shapes.id))
    assert "Augmentation" in found and "Text length" not in found and "Pooling" not in found
    put_facts(settings)
    found = labels(app("train", dataset=write_dataset(settings, n_rows=90).id))
    assert "Augmentation" not in found and "Text length" in found


def test_augmentation_is_shown_on_the_pictures_of_the_dataset(app, settings, shapes, network):
    at = app("train", dataset=shapes.id)
    assert any(e.label.startswith("Augmentation: off.") for e in at.expander)
    assert "cannot be cached" not in shown(at)
    assert not [d for d in at.dataframe if "Epoch 1" in d.value]
    at.selectbox(key="set_augmentation").set_value("strong").run()
    assert any(e.label.startswith("Augmentation: strong.") for e in at.expander)
    assert "their outputs cannot be cached" in shown(at)
    at.session_state["augmentation_drawer"] = True
    at.run()
    assert not at.exception and not at.error
    rows = next(d.value for d in at.dataframe if "Epoch 1" in d.value)
    assert list(rows["Class"])[:3] == sorted(shapes.classes)
    assert rows[["Original", "Epoch 1", "Epoch 2",
                 "Epoch 3"]].apply(lambda c: c.str.startswith("data:image/png")).all(axis=None)
    assert all(len(set(row)) == 4 for row in rows[["Original", "Epoch 1", "Epoch 2", "Epoch 3"]].to_numpy().tolist())


def test_texts_have_no_augmentation(app, settings):
    put_facts(settings)
    at = app("train", dataset=write_dataset(settings, n_rows=90).id)
    assert not [e for e in at.expander if e.label.startswith("Augmentation")]


def test_runs_on_pictures_start_with_the_task_of_the_dataset(app, settings, shapes, network):
    at = app("train", dataset=shapes.id)
    at.selectbox(key="set_augmentation").set_value("strong").run()
    at.button(key="start").click().run()
    assert not at.exception and not at.error
    recipes = [r.recipe for r in Thaw(settings).runs.all(WORKSPACE)]
    assert {(r.task, r.base_model) for r in recipes} == {(Task.IMAGE_CLASSIFICATION, "efficientnet-lite0")}
    assert "strong" in {r.augmentation for r in recipes}


def test_a_model_of_another_task_is_refused_in_words(app, settings, shapes):
    folder = settings.home / "a-text-model"
    folder.mkdir(parents=True)
    facts = put_facts(settings)
    model_facts.write(codec.from_json(ModelFacts, {**codec.to_json(facts), "id": "owner/text-model"}), settings)
    at = app("train", dataset=shapes.id)
    at.selectbox(key=KEY).set_value("another model").run()
    at.text_input(key=f"{KEY}_other").set_value("owner/text-model").run()
    assert not at.exception
    assert "cannot learn from this dataset" in at.error[0].value
    assert "for texts; the dataset holds pictures" in at.error[0].value


def test_the_second_home_button_compares_on_pictures(app, settings):
    at = app()
    assert at.button(key="first_pictures").label == "Compare on OpenMoji with EfficientNet-Lite0"
    assert "OpenMoji: 31 MB" in shown(at) and "CC BY-SA 4.0" in shown(at)
    at.button(key="first_pictures").click().run()
    assert not at.exception and not at.error
    runs = Thaw(settings).runs.all(WORKSPACE)
    assert [r.recipe.method for r in reversed(runs)] == ["probe", "partial", "lora", "full", "scratch"]
    assert {(r.recipe.task, r.recipe.effort) for r in runs} == {(Task.IMAGE_CLASSIFICATION, "quick")}


def test_the_home_comparisons_run_at_the_effort_chosen(app, settings):
    at = app()
    at.segmented_control(key="home_effort").set_value("normal").run()
    assert "at normal effort" in shown(at)
    at.button(key="first_pictures").click().run()
    assert not at.exception and not at.error
    runs = Thaw(settings).runs.all(WORKSPACE)
    assert {r.recipe.effort for r in runs} == {"normal"}
    assert {r.recipe.epochs for r in runs if r.recipe.method != "probe"} == {3.0}


def test_rows_behind_a_number_are_shown_as_small_pictures(app, settings, shapes):
    ended = put_runs(settings, shapes)
    at = app("compare")
    at.selectbox(key=f"cell_{ended.done[1]}").select_index(0).run()
    assert not at.exception and not at.error
    rows = next(d.value for d in at.dataframe if len(d.value) == 1 and "picture" in d.value)
    first = rows.iloc[0]
    assert first["picture"].startswith("data:image/png") and first["True"] != first["Predicted"]
    lines = Thaw(settings).take_home.predictions(WORKSPACE, ended.done[1]).decode().splitlines()
    assert lines[0].startswith("split,row_id,true,predicted") and len(lines) == 19
