"""Archives: finds the words in thousands of hours, exactly as the daemon would, on one machine or many.

A recording is found (`inputs`), cut into chunks of clips (`chunks`) that are scored anywhere (`score`, `work`), and its
scores go once, in order, through the recogniser (`words`). `scan` distributes the work to a pool: processes on this
machine (`local`) or a Dask cluster (`cluster`). `results`, `clips` and `parquet` write what was found, and `report`
shows it.
"""
