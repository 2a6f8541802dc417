"""What each number is called, means, and reads when nothing happened: the page's "?" cards, one entry a key of the
report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Card:
    """One number in words."""

    label: str
    meaning: str
    baseline: str
    """What it reads if nothing had happened, or by chance."""
    trap: str = ""
    """How it can mislead."""


CARDS: dict[str, Card] = {
    "cka": Card(
        label="CKA",
        meaning="How alike the two models arrange the same rows, whatever the rotation and scale: 1 = alike, "
                "0 = unrelated.",
        baseline="1 when nothing changed, about 0 for unrelated features: the limit that they stay under in 95 of 100 "
                 "shuffles of the rows, over all blocks, and the share of shuffles that reach this value (p) stand "
                 "beside it.",
        trap="One far-away row or one huge shared dimension can fool it, so read it beside the neighbours kept.",
    ),
    "knn_overlap": Card(
        label="Neighbours kept",
        meaning="Of a row's 10 nearest neighbours in A, the share that are still among its 10 in B.",
        baseline="1 when nothing changed; by chance 10 / (rows − 1), with the limit and p of shuffled rows beside it.",
        trap="It sees only the neighbourhood: groups may drift apart without it.",
    ),
    "displacement": Card(
        label="Typical move",
        meaning="How far the typical row moved from A to B, in units of the typical distance between two rows in A.",
        baseline="0 when nothing moved.",
        trap="A pure rotation looks large: read it beside Procrustes.",
    ),
    "displacement_cosine": Card(
        label="Direction kept", meaning="Cosine between a row in A and in B, typical row.",
        baseline="1 when nothing moved."
    ),
    "procrustes_residual": Card(
        label="Left after rotation",
        meaning="What remains of the change once the best rotation and scale are undone, on rows that the rotation was "
                "not fitted on.",
        baseline="0 for a pure rotation, 2 for unrelated features.",
        trap="With fewer rows than dimensions it reads too large.",
    ),
    "procrustes_angle": Card(
        label="Rotation", meaning="Degrees that the best rotation turns the rows.",
        baseline="0 when not rotated, 90 for a random one."
    ),
    "procrustes_scale": Card(
        label="Scale", meaning="Spread of the features in B ÷ spread in A.",
        baseline="1 when unchanged."
    ),
    "probe_accuracy": Card(
        label="Linear probe",
        meaning="Accuracy of a linear head on this block's features, on held-out folds.",
        baseline="The most frequent class, and the same probe on shuffled labels.",
    ),
    "probe_shuffled": Card(
        label="Linear probe, shuffled labels",
        meaning="The probe's accuracy when labels are dealt out at random.",
        baseline="About the share of the classes.",
    ),
    "knn_accuracy": Card(
        label="k-NN accuracy",
        meaning="How often the 20 nearest other rows vote for a row's own class: do classes lie together?",
        baseline="The most frequent class.",
        trap="It cannot see whether rows are the same rows: shuffling changes nothing.",
    ),
    "silhouette": Card(
        label="Silhouette",
        meaning="How much nearer a row is to its own class than to the next one, −1 to 1 (cosine).",
        baseline="0 = no separation.",
        trap="Measured in the full space, never on the picture.",
    ),
    "nc1": Card(
        label="NC1",
        meaning="Spread inside classes relative to the spread between class means: neural collapse drives it to 0.",
        baseline="0 = every row sits on its class mean.",
        trap="On training rows it falls even when test rows do not improve.",
    ),
    "effective_rank": Card(
        label="Effective rank",
        meaning="How many directions the features use.",
        baseline="Ceiling: min(rows − 1, dimensions).",
        trap="Compare only at the same number of rows.",
    ),
    "participation_ratio": Card(
        label="Participation ratio",
        meaning="How many directions hold most of the variance.",
        baseline="Ceiling: min(rows − 1, dimensions).",
    ),
    "mmd": Card(
        label="Domain gap (MMD²)",
        meaning="How far target rows and shift rows (or those of a second dataset) lie apart, with a permutation test.",
        baseline="About 0 when both are alike; p tells whether chance would do.",
    ),
    "frechet": Card(
        label="Domain gap (Fréchet)",
        meaning="Distance of the two domains as clouds of mean and spread, in the 64 main directions.",
        baseline="The split-half value: the same between two halves of the target rows.",
        trap="Badly biased when rows are few: judge it only against the split-half value.",
    ),
    "relative": Card(label="‖ΔW‖ / ‖W‖", meaning="How much a weight changed relative to its size.",
                     baseline="0 when untouched."),
    "rank90": Card(
        label="Rank of the change",
        meaning="How many directions hold 90 % of a weight's change.",
        baseline="0 when untouched; LoRA: at most its rank.",
    ),
    "intruders": Card(
        label="Intruder dimensions",
        meaning="Of the 10 strongest directions of the trained weight, those unlike any that was published.",
        baseline="0 for small dense noise; one planted strong direction gives 1.",
    ),
    "movement_captured": Card(
        label="Movement captured",
        meaning="Share of the real movement that the map's arrows can show.",
        baseline="1 = all of it.",
        trap="Below 20 % most of the movement is out of the picture.",
    ),
    "variance_shown": Card(
        label="Variance shown", meaning="Share of the features' spread that the map's two axes hold.",
        baseline="1 = all of it."
    ),
    "trustworthiness": Card(
        label="Trustworthiness",
        meaning="Are neighbours on the map also neighbours in the features?",
        baseline="1 = yes, about 0.5 = as in a random layout.",
    ),
    "continuity": Card(
        label="Continuity",
        meaning="Are neighbours in the features also neighbours on the map?",
        baseline="1 = yes, about 0.5 = as in a random layout.",
    ),
    "separation": Card(
        label="Classes apart",
        meaning="Share of the rows whose own class has the nearest centre on this map, in B.",
        baseline="The same with shuffled labels, the axes fitted to those: what this view makes of noise."
    ),
    "null_step": Card(
        label="Null step", meaning="The step this view draws when A is compared with itself.",
        baseline="0 for linear views."
    ),
}
