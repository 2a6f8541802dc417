"""What finished runs say, as the web process sees it: features compared, runs side by side, curves, damage. No torch.

Two sides (`core.domain.side`) on the way to the Features page:

    feature_paths, feature_files    where the features of a run lie, and one such file
    sample, row_facts               the rows that are looked at; their labels, texts, predictions
    availability                    what is there, and the payload of a job that extracts the rest
    aligned                         both sides at the same rows
    shift_report, report_cache      the numbers and maps of two aligned sides, and how they are kept
    feature_comparison              all that the page opens with
    rows_map                        the map of one side's rows, on which new inputs are placed
    lens, lens_files                what each block of a language model says, in words
    row_looks                       how its rows and blocks are drawn
    over_training, seed_similarity  one block over recorded steps; two seeds of one arm
    breaks, downloads               numbers broken on purpose; what can be taken away

A run's change turned up and down: strength_files (curves, saved settings), strength_words (what they support saying).

Runs without their features: comparison (side by side), predictions, curves, progress (what a page polls), damage (files
that cannot be read), contact_sheet (small pictures for hovering).
"""

from __future__ import annotations

from core.analysis.availability import ROWS_OFFERED, Availability
from core.analysis.feature_comparison import FeatureComparison
from core.analysis.lens import LeftBlock, Lens, LensRow, Moved, OtherSeed
from core.analysis.over_training import BlockOverTraining
from core.analysis.sample import NOTHING, SECOND_ROWS, SHIFT_SET
from core.shift.breakit import BREAKS
from core.shift.permutation import Null
from core.shift.projection import View
from core.shift.words import CARDS

__all__ = ["BREAKS", "CARDS", "NOTHING", "ROWS_OFFERED", "SECOND_ROWS", "SHIFT_SET", "Availability",
           "BlockOverTraining", "FeatureComparison", "LeftBlock", "Lens", "LensRow", "Moved", "Null", "OtherSeed",
           "View"]
