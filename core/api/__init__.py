"""The façade that pages and the command line call: everything Thaw can do, by workspace, without torch.

Training happens in worker processes (`core.jobs`); here it is only asked for and looked at. Every call that takes a
workspace refuses ids of other workspaces with NotFoundError. One file a subject; each stands on the ones before it: workspace, data, runs,
features.
"""

from __future__ import annotations

from core.analysis.comparison import Comparison, ComparisonRow, SeedGroup
from core.analysis.curves import Curves
from core.analysis.progress import Progress
from core.api.features import Features
from core.data.browse import SHOWN_COLUMNS, AugmentedRow, TablePreview
from core.planning.recipes import MethodChoice

__all__ = ["SHOWN_COLUMNS", "AugmentedRow", "Comparison", "ComparisonRow", "Curves", "MethodChoice", "Progress", "SeedGroup",
           "TablePreview", "Thaw"]


class Thaw(Features):
    """One data folder. Cheap to make: connections and parsed files are shared within the process."""
