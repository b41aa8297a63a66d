"""Spans out of a finished study, without torch: python examples/04_read_a_study.py [STUDY]"""

import json
import sys
from pathlib import Path

from digitspan.study.config import StudyConfig
from digitspan.study.store import Store
from digitspan.study.summary import summarise

study = Path(sys.argv[1] if len(sys.argv) > 1 else "results/quick")
with Store.open(study) as store:
    config = StudyConfig.from_words(json.loads(store.value("config")))
    rows = store.rows()
for row in summarise(config, rows).spans:
    print(row.condition.cell, row.condition.rate, row.span.s50, row.end_states)
