"""A study on disk: its only readers and writers. One folder an arm, every file written whole or not at all.

    STUDY/mirrored.json              what W&B has of it (see `pglab.tracking`)
          tuning.json                of a search: what is tuned, in which ranges; Optuna's journal is beside it
          cluster/                   while commands train on a cluster: their keys, addresses and workers
          logs/                      of workers on other machines, a file for each
          report/index.html          of `python -m pglab.report`
          ARM/arm.json               settings, provenance, and of each seed how far it is: what counts is here
              config.yaml            the resolved configuration
              updates.parquet        a row for each (seed, update) of the runs that have come to an end
              evaluation.parquet     a row for each (seed, episode)
              policies.npz           final policy parameters, `seed/name`
              states.bin             what a run with more updates goes on from
              checkpoint.bin         the same of unfinished runs, and their rows so far
              checkpoint.previous.bin   the one before
              videos/                films of episodes, as `seed=0,update=000050.gif`
              lock                   held by the process that trains the arm

A file that is cut off, changed, gone or foreign is refused by everyone with the same `DamagedError`.
"""
