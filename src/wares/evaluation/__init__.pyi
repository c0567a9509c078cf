from .comparison.experiment import compare
from .evaluator import Evaluation, evaluate
from .measures import measure, read_qrels
from .significance import paired_tests
from .supervision_report import write_report
from .systems import shop_runs

__all__ = [
    "Evaluation",
    "compare",
    "evaluate",
    "measure",
    "paired_tests",
    "read_qrels",
    "shop_runs",
    "write_report",
]
