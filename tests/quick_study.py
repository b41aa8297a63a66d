"""`digitspan study` as a script that draws no figures, and whose training is made up.

See quick_worker; with QUICK_TRAINING=real in the environment the training is the real one.
"""

import os
import sys

if __name__ == "__main__":
    from digitspan.cli import main
    from digitspan.commands.interrupts import interruptible_import

    with interruptible_import("numpy"):  # as the command line does it
        import quick_worker

        from digitspan.commands import study
        from digitspan.study.crew import cluster, pool

    if os.environ.get("QUICK_TRAINING") != "real":
        cluster.CONNECT_SECONDS = 90  # the machine may have other things to do
        pool.work, cluster.drive = quick_worker.work, quick_worker.drive
    study.write_figures = lambda summary, folder: None
    study.require_trainable = study.try_apart = lambda configs, device: None
    sys.exit(main(["study", *sys.argv[1:]]))
