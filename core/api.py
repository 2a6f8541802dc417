"""The façade that pages and the command line call: everything Thaw can do, by workspace, without torch.

Training happens in worker processes (`core.jobs`); here it is only asked for and looked at. Every call that takes a
workspace refuses ids of other workspaces with NotFoundError.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import browse, feature_space, planning
from core import comparison as comparisons
from core import curves as curve_points
from core.browse import AugmentedRow, TablePreview
from core.comparison import Comparison, ComparisonRow, SeedGroup
from core.curves import Curves
from core.domain.dataset import BundledDataset, Dataset
from core.domain.device import Device
from core.domain.estimate import Estimate
from core.domain.model import BundledModel, ModelFacts
from core.domain.recipe import Recipe
from core.domain.run import JobKind, Result, Run, Status
from core.errors import NotFoundError, RecipeError, ThawError
from core.feature_space import Asked, Space, Story, ask, space
from core.features.sample import DEFAULT_ROWS, SHIFT_SET
from core.jobs import launch
from core.planning import MethodChoice
from core.progress import Progress
from core.settings import Settings
from core.store import Store, files, values
from core.store.experiments import Experiment
from core.store.jobs import NewJob

if TYPE_CHECKING:
    from core.data.check import Options
    from core.data.report import ImportReport
    from core.metrics.paired import PairedTest

__all__ = ["AugmentedRow", "Comparison", "ComparisonRow", "Curves", "MethodChoice", "Progress", "SeedGroup", "TablePreview",
           "Thaw"]

WORKSPACE_CHARACTERS = 12
"""Shortest workspace id that is opened: the id is the key to the workspace, and a short one would be easy to guess."""
LOG_BYTES = 1_000_000
"""The end of a log that is shown."""


class Thaw:
    """One data folder. Cheap to make: connections and parsed files are shared within the process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._store = _store(settings)

    # -- workspace and device ------------------------------------------------------------------------------------------------------

    def new_workspace(self) -> str:
        """Make a workspace; its id cannot be guessed (128 random bits)."""
        workspace = secrets.token_urlsafe(16)
        self.touch_workspace(workspace)
        return workspace

    def touch_workspace(self, ws: str) -> None:
        """Make sure the folders of a workspace exist; ThawError when the id is none that Thaw makes."""
        folder = self.settings.workspace(ws)
        if len(ws) < WORKSPACE_CHARACTERS:
            raise ThawError("This workspace address is not valid.", why="It is too short to be one that Thaw made.",
                            remedy="Open the app's home page to get a new workspace.")
        for name in ("datasets", "runs"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def device(self) -> Device | None:
        """The measured device; None until the supervisor has measured it at its first start."""
        return values.read(self.settings.home / "device.json", Device)

    def ensure_supervisor(self) -> None:
        """Start a detached supervisor unless one is alive. It measures the device at its first start."""
        launch.ensure_supervisor(self.settings, self._store)

    def supervisor_alive(self) -> bool:
        return launch.any_alive(self._store)

    def disk_use(self, ws: str) -> dict[str, int]:
        """Bytes of this workspace's `datasets`, `runs`, `uploads`, and of the shared `assets`, `cache`, `database`."""
        own, home = self.settings.workspace(ws), self.settings.home
        places = {"datasets": own / "datasets", "runs": own / "runs", "uploads": own / "uploads", "assets": self.settings.assets,
                  "cache": self.settings.cache}
        database = sum(file.stat().st_size for file in home.glob(f"{self.settings.database.name}*"))
        return {name: files.size_bytes(place) for name, place in places.items()} | {"database": database}

    # -- datasets and models -------------------------------------------------------------------------------------------------------

    def bundled_datasets(self) -> tuple[BundledDataset, ...]:
        from core.data.catalogue import DATASETS

        return DATASETS

    def bundled_models(self) -> tuple[BundledModel, ...]:
        from core.models.catalogue import MODELS

        return MODELS

    def datasets(self, ws: str) -> list[Dataset]:
        """Datasets of the workspace, newest first."""
        from core.data import library

        return library.list_datasets(settings=self.settings, workspace=ws)

    def dataset(self, ws: str, ref: str) -> Dataset | None:
        """A dataset by its id, or by the catalogue id it came from; None when the workspace has none."""
        from core.data import library

        return library.find(ref, settings=self.settings, workspace=ws)

    def import_report(self, ws: str, ref: str) -> ImportReport | None:
        """What the import of a dataset found; None when its report is gone."""
        from core.data import library

        try:
            return library.read_report(self._dataset(ws, ref), settings=self.settings, workspace=ws)
        except NotFoundError:
            return None

    def dataset_users(self, ws: str, ref: str) -> list[Run]:
        """Runs whose recipe names the dataset, newest first."""
        dataset = self._dataset(ws, ref)
        names = {dataset.id, *(entry.id for entry in self.bundled_datasets() if entry.id == dataset.source)}
        return [run for run in self.runs(ws, kind=JobKind.TRAIN) if run.recipe and run.recipe.dataset in names]

    def delete_dataset(self, ws: str, ref: str) -> None:
        """Delete a dataset that no run is waiting for or working on."""
        from core.data import library

        dataset = self._dataset(ws, ref)
        busy = [run for run in self.dataset_users(ws, dataset.id) if not run.status.final]
        if busy:
            raise ThawError(f"{dataset.name} cannot be deleted yet.", why=f"These runs need it: {', '.join(run.name for run in busy[:5])}.",
                            remedy="Stop them first, or wait until they are done.")
        library.delete(dataset.id, settings=self.settings, workspace=ws)

    def sample_rows(self, ws: str, ref: str, *, n: int = 5, split: str = "train", label: str | None = None,
                    search: str = "", ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Rows of a dataset: `row_id`, `text` or `image`, `label` (class name); see `core.browse.sample_rows`."""
        return browse.sample_rows(self._dataset(ws, ref), settings=self.settings, workspace=ws, n=n, split=split, label=label,
                                  search=search, ids=ids)

    def thumbnails(self, ws: str, ref: str, images: Sequence[str]) -> dict[str, bytes]:
        """Small PNGs of pictures of a dataset, by the `image` that `sample_rows` gives."""
        return browse.thumbnails(self._dataset(ws, ref), images, settings=self.settings, workspace=ws)

    def augmented(self, ws: str, ref: str, *, level: str, side: int, n: int = 4) -> list[AugmentedRow]:
        """A few training pictures before and after augmentation; see `core.browse.augmented`."""
        return browse.augmented(self._dataset(ws, ref), level=level, side=side, settings=self.settings, workspace=ws, n=n)

    def preview_table(self, path: Path) -> TablePreview:
        """A file's first rows and proposed column roles."""
        from core.data import uploads

        return browse.preview(path, settings=uploads.limits(path, self.settings))

    def look_at_upload(self, path: Path) -> None:
        """Note that somebody works with an upload that was not imported yet; those left alone for a day are removed."""
        from core.data import uploads

        uploads.look_at(path)

    def import_table(self, ws: str, path: Path, *, name: str, roles: dict[str, str], options: Options | None = None) -> Dataset:
        """Check and ingest a file; `roles` maps columns to roles. Raises DataError when nothing usable is left."""
        from core.data import ingest, tables

        self.touch_workspace(ws)
        table = tables.read(path, settings=self.settings)
        return ingest.ingest(table, name=name, roles=roles, settings=self.settings, workspace=ws, options=options)[0]

    def import_options(self, *, fix_leaks: bool = False, merge_labels: bool = False, template: str | None = None) -> Options:
        """What may be chosen for an import; see `core.data.check.Options`."""
        from core.data.check import Options

        return Options(fix_leaks=fix_leaks, merge_labels=merge_labels, template=template or None)

    def submit_import(self, ws: str, path: Path, *, name: str, roles: dict[str, str] | None = None, options: Options | None = None,
                      shift_of: str | None = None, keep: bool = True, discard: bool = False) -> str:
        """Read, check and keep a file (or folder) in a worker; returns the job's id.

        roles: column -> role, proposed when None. shift_of: a dataset that these rows become the shift set of. keep: False makes the
        report only. discard: remove the upload once its rows are kept. The job's result names the new dataset; see `import_job_report`.
        """
        from core.data import import_job

        return self._submit_import(ws, name, import_job.payload(path=Path(path).absolute(), name=name, roles=roles, options=options,
                                                                shift_of=shift_of, keep=keep, discard=discard))

    def fetch_hub_set(self, ws: str, hub_id: str, *, configuration: str | None = None, split: str | None = None) -> str:
        """Fetch a dataset of the Hugging Face hub as an upload, in a worker; returns the job's id. See `hub_reason`, `fetched_upload`."""
        from core.data import hub, import_job

        hub.check_id(hub_id, configuration=configuration or None)
        hub_set = {"id": hub_id, "configuration": configuration or None, "split": split or None}
        return self._submit_import(ws, hub_id, import_job.payload(hub_set=hub_set, name=hub_id))

    def fetched_upload(self, ws: str, id: str) -> Path | None:
        """The upload that a hub set was fetched as; None while it is under way, or when it is gone."""
        self.run(ws, id)
        result = self._store.events.after(id, 0, kinds=("result",))
        path = Path(result[-1].data.get("path") or "") if result else Path()
        return path if path.name and path.exists() else None

    def hub_reason(self) -> str | None:
        """Why nothing can be had from the hub now; None when it answers. Takes at most `hub_timeout_s`, once a process."""
        from core.data import hub

        return hub.unavailable(self.settings)

    def keep_paste(self, ws: str, text: str, *, name: str = "pasted") -> Path:
        """Pasted text as an uploaded file, which goes the same way as any other."""
        from core.data import paste

        self.touch_workspace(ws)
        return paste.to_file(text, settings=self.settings, workspace=ws, name=name)

    def import_job_report(self, ws: str, id: str) -> ImportReport | None:
        """The report of an import job, whether its rows were kept or refused; None while there is none."""
        from core.data import import_job
        from core.data.report import ImportReport as Report

        return values.read(Path(self.run(ws, id).folder) / import_job.REPORT, Report)

    def import_job_dataset(self, ws: str, id: str) -> Dataset | None:
        """The dataset that an import job made; None while it is not done, when it refused the rows, or kept none."""
        self.run(ws, id)
        result = self._store.events.after(id, 0, kinds=("result",))
        ref = result[-1].data.get("dataset") if result else None
        return self.dataset(ws, ref) if ref else None

    def _submit_import(self, ws: str, name: str, payload: dict[str, Any]) -> str:
        self.touch_workspace(ws)
        return self._submit(ws, [NewJob(workspace=ws, kind=JobKind.IMPORT, name=f"Import {name}"[:200], payload=payload,
                                        runs_folder=self._runs_folder(ws))])[0]

    def model_facts(self, model: str) -> ModelFacts | None:
        """What inspecting a base model found; None until it was fetched and inspected."""
        from core.models import facts

        return values.read(facts.facts_path(model, self.settings), ModelFacts)

    def prepare(self, ws: str, *, model: str | None = None, dataset: str | None = None) -> str:
        """Fetch and inspect a base model and/or a bundled dataset in a worker; returns the job's id (of an equal one under way)."""
        payload = {key: value for key, value in (("model", model), ("dataset", dataset)) if value}
        if not payload:
            raise RecipeError("There is nothing to prepare.", remedy="Name a base model, a bundled dataset, or both.")
        for run in self.runs(ws, kind=JobKind.PREPARE):
            if run.payload == payload and not run.status.final:
                return run.id
        return self._submit(ws, [NewJob(workspace=ws, kind=JobKind.PREPARE, name=f"Fetch {' and '.join(payload.values())}", payload=payload,
                                        runs_folder=self._runs_folder(ws))])[0]

    # -- methods and recipes -------------------------------------------------------------------------------------------------------

    def methods(self, facts: ModelFacts) -> list[MethodChoice]:
        """All methods, each with the reason where it does not apply to this model on this device."""
        return planning.choices(facts, self.device())

    def default_recipe(self, ws: str, *, dataset: str, model: str, method: str, effort: str = "normal", seed: int = 0,
                       label_budget: int | None = None) -> Recipe:
        """The recipe that the effort dial gives; works before a bundled dataset or model is here."""
        return planning.default_recipe(ref=dataset, dataset=self._any_dataset(ws, dataset), model=model, facts=self.model_facts(model),
                                       method=method, level=effort, seed=seed, budget=label_budget, device=self.device())

    def estimate(self, ws: str, recipe: Recipe) -> Estimate | None:
        """Memory and time of a recipe; None until its model is inspected and its dataset is here."""
        facts, dataset = self.model_facts(recipe.base_model), self.dataset(ws, recipe.dataset)
        if facts is None or dataset is None:
            return None
        return planning.estimate(recipe, facts=facts, device=self.device(), dataset=dataset)

    # -- experiments and runs ------------------------------------------------------------------------------------------------------

    def submit(self, ws: str, recipes: Sequence[Recipe], *, name: str) -> list[str]:
        """Queue one run a recipe as one experiment, in this order; all are checked first, then all are queued or none."""
        if not recipes:
            raise RecipeError("There is nothing to run.", remedy="Choose at least one method.")
        for recipe in recipes:
            self._check(ws, recipe)
        experiment = self._store.experiments.create(ws, name)
        return self._submit(ws, [
            NewJob(workspace=ws, kind=JobKind.TRAIN, name=title, recipe=recipe, experiment=experiment, runs_folder=self._runs_folder(ws))
            for title, recipe in zip(planning.names(name, recipes), recipes, strict=True)])

    def compare_bundled(self, ws: str, *, dataset: str, model: str, methods: Sequence[str], effort: str = "quick", seeds: int = 1,
                        budgets: Sequence[int | None] = (None,)) -> list[str]:
        """Methods x seeds x label budgets on a bundled set, from an empty data folder: the first run fetches what is missing."""
        facts = self.model_facts(model)
        if facts is not None:
            reasons = {choice.name: choice.reason for choice in self.methods(facts)}
            methods = [method for method in methods if not reasons.get(method)]
        recipes = [self.default_recipe(ws, dataset=dataset, model=model, method=method, effort=effort, seed=seed, label_budget=budget)
                   for budget in budgets for seed in range(seeds) for method in methods]
        titles = {entry.id: entry.name for entry in self.bundled_datasets()} | {entry.id: entry.name for entry in self.bundled_models()}
        title = f"{titles.get(dataset, dataset)}, {titles.get(model, model).split(' (')[0]}"
        return self.submit(ws, recipes, name=title)

    def experiments(self, ws: str) -> list[Experiment]:
        """Experiments that still have runs, newest first."""
        return self._store.experiments.list(ws)

    def runs(self, ws: str, *, kind: JobKind | None = None) -> list[Run]:
        """Runs and other jobs of the workspace, newest first."""
        return self._store.jobs.list(ws, kind=kind)

    def run(self, ws: str, id: str) -> Run:
        return self._store.jobs.get(ws, id)

    def progress(self, ws: str, id: str, *, after: int = 0) -> Progress:
        """The run as it is now and its events numbered above `after`. A few milliseconds: made for polling."""
        run = self.run(ws, id)  # read before the events: when it says "done", all of them are there
        events = self._store.events.after(id, after)
        return Progress(run=run, events=events, last_seq=events[-1].seq if events else after)

    def curves(self, ws: str, id: str) -> Curves:
        """Learning curves of the whole run, at most 1000 points each."""
        self.run(ws, id)
        return curve_points.from_events(self._store.events.after(id, 0, kinds=("step", "eval")))

    def result(self, ws: str, id: str) -> Result | None:
        """What a run measured; None while it has not ended or when it ended without a result."""
        return self._result(self.run(ws, id))

    def stop(self, ws: str, id: str) -> Status:
        """Ask a run to stop: its best checkpoint is kept and judged. Asking again ends it without waiting. Returns its state."""
        return self._store.queue.ask_stop(ws, id)

    def resume(self, ws: str, id: str) -> None:
        """Queue a run again that was stopped, failed or interrupted; its recipe stays, it goes on from its last checkpoint."""
        run = self.run(ws, id)
        if run.recipe is not None:
            self._check(ws, run.recipe)
        if not self._store.queue.resume(ws, id):
            raise ThawError(f"{run.name} cannot be resumed.", why=f"Its state is {self.run(ws, id).status}.",
                            remedy="Fork it to run its recipe once more.")

    def fork(self, ws: str, id: str, recipe: Recipe) -> str:
        """A new run from an edited recipe, in the same experiment, with the old run as its parent. Returns its id."""
        parent = self.run(ws, id)
        self._check(ws, recipe)
        name = planning.names(parent.name.split(" · ")[0], [recipe])[0]
        return self._submit(ws, [NewJob(workspace=ws, kind=JobKind.TRAIN, name=f"{name} (fork)", recipe=recipe, parent=parent.id,
                                        experiment=parent.experiment, runs_folder=self._runs_folder(ws))])[0]

    def rename(self, ws: str, id: str, name: str) -> None:
        if not name.strip():
            raise RecipeError("A run needs a name.", remedy="Type at least one character.")
        self._store.jobs.rename(ws, id, name.strip()[:200])

    def delete(self, ws: str, id: str) -> None:
        """Delete a run that is not being worked on: row, events and folder."""
        files.remove_folder(self._store.jobs.delete(ws, id))

    def log(self, ws: str, id: str) -> str:
        """The end of the run's log (up to 1 MB), tracebacks included; empty when there is none."""
        path = Path(self.run(ws, id).folder) / "log.txt"
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            return file.read().decode("utf-8", errors="replace")

    # -- comparison ----------------------------------------------------------------------------------------------------------------

    def comparison(self, ws: str, ids: Sequence[str]) -> Comparison:
        """Runs side by side, in this order."""
        runs = [self.run(ws, id) for id in dict.fromkeys(ids)]
        return comparisons.build(runs, results={run.id: self._result(run) for run in runs},
                                 curves={run.id: self.curves(ws, run.id) for run in runs})

    def paired(self, ws: str, a: str, b: str, *, split: str = "test") -> PairedTest:
        """Two runs on the same rows; ThawError saying why when the rows are not the same."""
        first, second = self.run(ws, a), self.run(ws, b)
        return comparisons.paired(first, second, results=(self._result(first), self._result(second)), split=split)

    def seed_groups(self, ws: str, ids: Sequence[str]) -> tuple[SeedGroup, ...]:
        """Arms among these runs with several seeds, each as one measurement; empty when every arm has one seed."""
        runs = [self.run(ws, id) for id in ids]
        return comparisons.seed_groups(runs, results={run.id: self._result(run) for run in runs})

    # -- feature space -------------------------------------------------------------------------------------------------------------

    def features_state(self, ws: str, id: str, *, rows: int = DEFAULT_ROWS, beside: str = "") -> feature_space.State:
        """Whether the features of a run are there (at rows of a second dataset), why not, what they take on disk, which job is at it."""
        return ask.state(self.run(ws, id), settings=self.settings, rows=rows, jobs=self.runs(ws, kind=JobKind.FEATURES), beside=beside)

    def features_states(self, ws: str, *, rows: int = DEFAULT_ROWS) -> dict[str, tuple[Run, feature_space.State]]:
        """The same for every training run of the workspace, newest first."""
        jobs = self.runs(ws, kind=JobKind.FEATURES)
        return {run.id: (run, ask.state(run, settings=self.settings, rows=rows, jobs=jobs)) for run in self.runs(ws, kind=JobKind.TRAIN)}

    def beside_choices(self, ws: str, id: str) -> list[Dataset]:
        """Other datasets of the workspace whose rows can be compared beside those of a run."""
        own = self._dataset_of(ws, id)
        return [other for other in self.datasets(ws) if ask.may_stand_beside(other, own)]

    def request_features(self, ws: str, ids: Sequence[str], *, rows: int = DEFAULT_ROWS, beside: str = "") -> str:
        """Extract and compare the features of these runs (beside a second dataset) in a worker; returns the id of the job, or its equal."""
        runs, second = [self.run(ws, id) for id in ids], self._dataset(ws, beside) if beside else None
        for run in runs:
            ask.check_beside(second, self._dataset_of(ws, run.id))
        payload = ask.payload(runs, settings=self.settings, rows=rows, second=second)
        if equal := next((job for job in self.runs(ws, kind=JobKind.FEATURES) if job.payload == payload and not job.status.final), None):
            return equal.id
        name = f"Features of {runs[0].name}" if len(runs) == 1 else f"Features of {len(runs)} runs"
        name += f" beside {second.name}" if second else ""
        return self._submit(ws, [NewJob(workspace=ws, kind=JobKind.FEATURES, name=name, payload=payload,
                                        runs_folder=self._runs_folder(ws))])[0]

    def shift(self, ws: str, a: Asked, b: Asked, *, names: tuple[str, str], rows: int = DEFAULT_ROWS, beside: str = SHIFT_SET) -> Space:
        """Two sides compared, beside the own shift set (`shift`), no rows (`none`) or a second dataset: from the cache, else measured now.
        Raises NotFoundError where features are missing."""
        refs = [ask.ref(side, self.run(ws, side.run).folder) for side in (a, b)]
        return space.build(*refs, names=names, dataset=self._dataset_of(ws, b.run), settings=self.settings, workspace=ws, rows=rows,
                           beside=beside)

    def feature_story(self, ws: str, id: str, block: str, *, rows: int = DEFAULT_ROWS) -> Story | None:
        """One block over the steps that a run recorded; None when it recorded none."""
        return space.story(Path(self.run(ws, id).folder), block, dataset=self._dataset_of(ws, id), settings=self.settings, workspace=ws,
                           rows=rows)

    def yardstick(self, ws: str, id: str, *, rows: int = DEFAULT_ROWS) -> tuple[str, tuple[float | None, ...]] | None:
        """Another seed of the same arm whose features are there: its id, and its CKA to this run a block. None when there is none."""
        run = self.run(ws, id)
        other = ask.other_seed(run, self.features_states(ws, rows=rows).values())
        if other is None:
            return None
        refs = [ask.ref(Asked(run=r.id), r.folder) for r in (run, other)]
        return other.id, space.yardstick(*refs, dataset=self._dataset_of(ws, id), settings=self.settings, workspace=ws, rows=rows)

    def weight_changes(self, ws: str, id: str) -> dict[str, Any] | None:
        """What training did to the weights of a run; None until its features were extracted."""
        return space.weight_changes(Path(self.run(ws, id).folder))

    # -- inside --------------------------------------------------------------------------------------------------------------------

    def _submit(self, ws: str, jobs: Sequence[NewJob]) -> list[str]:
        self.touch_workspace(ws)
        return self._store.jobs.submit(jobs)

    def _runs_folder(self, ws: str) -> Path:
        return self.settings.workspace(ws) / "runs"

    def _result(self, run: Run) -> Result | None:
        return values.read(Path(run.folder) / "result.json", Result) if run.status.final else None

    def _dataset(self, ws: str, ref: str) -> Dataset:
        from core.data import library

        return library.load(ref, settings=self.settings, workspace=ws)

    def _dataset_of(self, ws: str, id: str) -> Dataset:
        return self._dataset(ws, comparisons.recipe_of(self.run(ws, id)).dataset)

    def _any_dataset(self, ws: str, ref: str) -> Dataset | BundledDataset:
        """A dataset of the workspace, or the catalogue entry of one that can be fetched."""
        entry = next((entry for entry in self.bundled_datasets() if entry.id == ref), None)
        found = self.dataset(ws, ref) or entry
        if found is None:
            raise NotFoundError(f"There is no dataset {ref!r} here.", why="It was deleted, or it belongs to another workspace.",
                                remedy="Choose one on the Data page.")
        return found

    def _check(self, ws: str, recipe: Recipe) -> None:
        planning.check(recipe, facts=self.model_facts(recipe.base_model), device=self.device(),
                       task=self._any_dataset(ws, recipe.dataset).task)


@functools.lru_cache(maxsize=16)
def _store(settings: Settings) -> Store:
    """One store a data folder and process; it keeps one connection a thread."""
    return Store(settings)
