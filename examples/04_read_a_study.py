"""Spans out of a finished study, without torch: python examples/04_read_a_study.py [STUDY]"""

import sys
from pathlib import Path

from digitspan.study.reading import read_study
from digitspan.study.summary import summarise

study = read_study(Path(sys.argv[1] if len(sys.argv) > 1 else "results/quick"))
for row in summarise(study.config, study.rows).spans:
    print(row.condition.cell, row.condition.rate, row.span.s50, row.end_states)
