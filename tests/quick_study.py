"""`digitspan study` as a script that draws no figures, and whose training is made up.

See quick_worker; with QUICK_TRAINING=real in the environment the training is the real one.
"""

import os
import sys

if __name__ == "__main__":
    import quick_worker

    from digitspan.cli import main
    from digitspan.commands import study
    from digitspan.study.crew import cluster, pool

    if os.environ.get("QUICK_TRAINING") != "real":
        cluster.CONNECT_SECONDS = 90  # the machine may have other things to do
        pool.work, cluster.carry = quick_worker.work, quick_worker.carry
    study.write_figures = lambda summary, folder: None
    study._require_in_torch = lambda config, device: None
    sys.exit(main(["study", *sys.argv[1:]]))
