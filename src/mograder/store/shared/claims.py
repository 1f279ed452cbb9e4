"""What a worker does with a job that it has claimed, in either store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from mograder.domain.grading_jobs import Result
from mograder.domain.regrade_jobs import RegradeJob

J = TypeVar("J")


class Claims(ABC, Generic[J]):
    """Renews jobs and gives them back."""

    @abstractmethod
    def _change(self, job: J, **values: object) -> bool:
        """Set these columns of a job. False, and nothing is changed, when it is not in this claim any more."""

    def renew(self, job: J, lease: int) -> bool:
        return self._change(job, lease=lease)

    def fail(self, job: J, error: str, not_before: int) -> bool:
        return self._change(job, claim="", lease=0, error=error, not_before=not_before)


class RegradeClaims(Claims[RegradeJob]):
    """Finishes the jobs of regrades, too."""

    def finish(self, job: RegradeJob, result: Result, notebook: bytes = b"") -> bool:
        made = {"tests": result.tests, "graded": result.graded, "signed": result.signed, "notebook": notebook}
        return self._change(job, claim="", lease=0, tries=0, error="", **made)
