"""Background runs: the run-directory protocol and its launcher. Standard library only."""

from leaml.jobs.launch import Jobs
from leaml.jobs.rundir import RunDir, RunState

__all__ = ["Jobs", "RunDir", "RunState"]
