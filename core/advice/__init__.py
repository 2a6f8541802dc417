"""Which method to train with, on what evidence, and how often such advice is right.

Data, base model and use go in (`situation`); the user's own runs (`own`), Thaw's stored results (`results`, `rule`) and
papers (`literature`) speak in this order; `advise` says which of them decided. No torch.
"""

from core.advice.advise import Advice, Candidate, Ground, advise
from core.advice.own import Own, Ranking, ranked
from core.advice.results import STORED, Arm, Setting, document, stored
from core.advice.rule import ADVISOR, Expected, Tried, expected, leave_one_out, summary
from core.advice.situation import MANY, ONE, SERVED, Situation, of

__all__ = ["ADVISOR", "MANY", "ONE", "SERVED", "STORED", "Advice", "Arm", "Candidate", "Expected", "Ground", "Own",
           "Ranking", "Setting", "Situation", "Tried", "advise", "document", "expected", "leave_one_out", "of",
           "ranked", "stored", "summary"]
