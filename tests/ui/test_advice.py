"""The page *Advice*: what it names, what that rests on, and the experiment that it starts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core import advice
from core.api import Thaw
from core.domain.dataset import Dataset
from core.domain.model import ModelFacts
from core.models.methods import REGISTRY
from core.settings import Settings
from tests.conftest import WORKSPACE
from tests.ui.conftest import shown
from tests.unit.advice.test_rule import FEW, setting
from tests.unit.api.test_advice import put_run


@pytest.fixture(autouse=True)
def nothing_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice, "stored", lambda: ())


@pytest.fixture
def advised(app: Callable[..., AppTest], dataset: Dataset, facts: ModelFacts) -> AppTest:
    return app("advice", dataset=dataset.id)


def test_what_is_known_is_marked_as_what_it_is(app: Callable[..., AppTest], dataset: Dataset, facts: ModelFacts,
                                               settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice, "stored", lambda: (setting("Few", FEW), setting("Also few", FEW, labels=120)))
    page = app("advice", dataset=dataset.id)
    text = shown(page)
    assert not page.exception and "Train with: Linear probe" in text
    assert "Rests on what Thaw measured" in text and "Also few and Few" in text
    assert "within noise of the best" in text and REGISTRY["probe"].card.summary in text
    rows = page.dataframe[0].value.set_index("Method")
    expected = rows["Expected behind the best"]
    assert expected["Linear probe"] == "0.0 points" and expected["Full fine-tuning"] == "10.0 points", "a distance"
    ranges = rows["On the sets most like yours"]
    assert (ranges["Linear probe"], ranges["Full fine-tuning"]) == ("0.0 points", "10.0 points")
    for method, right in (("lora", 0.6), ("full", 0.95)):
        put_run(settings, dataset, method, right=right)
    again = app("advice", dataset=dataset.id)
    assert "Train with: Full fine-tuning" in shown(again) and "Rests on your own runs" in shown(again)


def test_a_shared_base_model_has_to_stay_as_it_is(advised: AppTest) -> None:
    assert "changes the base model itself" not in shown(advised)
    advised.radio(key="advice_served").set_value("many").run()
    assert not advised.exception and "changes the base model itself" in shown(advised)


def test_the_experiment_is_started_as_it_is_laid_out(advised: AppTest, settings: Settings) -> None:
    advised.select_slider(key="advice_minutes").set_value(5).run()
    few = advised.button(key="advice_start").label
    advised.select_slider(key="advice_minutes").set_value(480).run()
    assert int(advised.button(key="advice_start").label.split()[1]) > int(few.split()[1])
    advised.button(key="advice_start").click().run()
    [experiment] = Thaw(settings).experiments.all(WORKSPACE)
    assert experiment.asked is not None and experiment.asked.design == "methods"
    assert len(experiment.asked.seeds) == 5


def test_the_train_page_is_filled_with_the_recommended_method(advised: AppTest) -> None:
    advised.button(key="advice_train").click().run()
    state = advised.session_state
    assert not advised.exception
    assert [name for name in REGISTRY if state[f"method_{name}"]] == ["probe"]
