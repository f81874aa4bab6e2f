"""From a plan to signed-off pages: jobs, kernels, our own HTML, provenance.

Everything here is imported where it is used: a run in which nothing changed loads neither papermill nor pandas.

    pipeline    plan → jobs → what must run → results, index.html and run.json
    pool        worker processes, deadlines          worker      one notebook after another: execute, check, write
    execute     papermill with our own kernel        kernel/host how a kernel comes to life
    guard       what may leave the room              page        executed notebook → one self-contained HTML file
"""
