"""The workspace's store: one DuckDB file with every decision, who may sign in, and which pair comes next for whom.

`store` opens the file through `database` and answers for its tables; `events` and `log` keep people's decisions as one
hash chain; `queue` and what stands beside it choose the next pair; `answered` and `held_out` say which answers count.
Nothing else of the project opens the file. What a person may do on a page is not decided here (`app.person`).
"""

from leaml.store.store import Store

__all__ = ["Store"]
