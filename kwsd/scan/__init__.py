"""Archives: the words in thousands of hours, heard as the daemon hears them, on one machine or many.

A recording is found (`inputs`), cut into chunks of clips (`chunks`) that are scored anywhere (`score`, `work`), and its
scores go once, in order, through the recogniser (`words`). Work is handed out by `scan` to a pool: processes on this
machine (`local`) or a Dask cluster (`cluster`). What was found is written by `results`, `clips` and `parquet`, and told
by `report`.
"""
