"""Background runs: the run-directory protocol and its launcher. Standard library only."""

from leaml.jobs.launch import Jobs, highest_number
from leaml.jobs.rundir import RunDir, RunState

__all__ = ["Jobs", "RunDir", "RunState", "highest_number"]
