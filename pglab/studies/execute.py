"""Carrying out a plan: workers of a pool train, the recorder stores, the console shows."""

from pglab.studies.console import Console
from pglab.studies.messages import Checkpoint, Done, Failed, Film, Lost, Updated
from pglab.studies.plan import Plan, Shard
from pglab.studies.pool import Pool
from pglab.studies.recorder import Outcome, Recorder

TICK = 0.1  # seconds between two looks at the clock while no worker reports


def execute(plan: Plan, pool: Pool, console: Console) -> Outcome:
    """Trains what is missing on the workers of a pool and stores what comes of it; the arms' locks are held.

    Ctrl-C ends the workers at once and keeps the rows that there are, with status `stopped`. A shard
    that raises is tried again in halves, down to the runs that raise alone: these end with status
    `failed`, all others go on. A shard whose worker is gone goes on from its last checkpoint with another
    one; only where that happens again and again, and it comes no further, is it taken to have raised.
    """
    recorder = Recorder(plan, console)
    waiting, training = list(reversed(plan.shards)), list[Shard]()
    try:
        _train(plan, pool, recorder, console, waiting, training)
    except KeyboardInterrupt:
        recorder.outcome.interrupted = True
    finally:
        console.stop()
        if recorder.outcome.interrupted or training:
            pool.stop()
    recorder.close((*training, *waiting))
    return recorder.outcome


def _train(
    plan: Plan, pool: Pool, recorder: Recorder, console: Console, waiting: list[Shard], training: list[Shard]
) -> None:
    recorder.begin()
    console.start(plan)
    while waiting or training:
        while waiting and pool.idle:
            training.append(shard := waiting.pop())
            pool.send(shard, recorder.job(shard))
        for shard, event in pool.events(TICK):
            match event:
                case Updated():
                    recorder.updated(event)
                case Checkpoint():
                    recorder.checkpoint(event, shard)
                case Film():
                    recorder.film(event)
                case Done():
                    recorder.done(event)
                    training.remove(shard)
                case Lost():
                    waiting += reversed(recorder.lost(shard, event))
                    training.remove(shard)
                case Failed():
                    waiting += reversed(recorder.failed(shard, event))
                    training.remove(shard)
        if recorder.outcome.failures and plan.settings["fail_fast"]:
            return
        recorder.store_results()
        recorder.write_checkpoints()
        console.tick()
