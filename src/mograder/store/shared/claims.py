"""The end of a claimed job, in either store: renewed, failed or finished."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from mograder.domain.grading_jobs import Result
from mograder.domain.regrade_jobs import RegradeJob

J = TypeVar("J")


class Claims(ABC, Generic[J]):
    """Renews claimed jobs and gives them back."""

    @abstractmethod
    def _change(self, job: J, **values: object) -> bool:
        """Set these columns of a job. Returns False and changes nothing when the job has left this claim."""

    def renew(self, job: J, lease: int) -> bool:
        return self._change(job, lease=lease)

    def fail(self, job: J, error: str, not_before: int) -> bool:
        return self._change(job, claim="", lease=0, error=error, not_before=not_before)


class RegradeClaims(Claims[RegradeJob]):
    """Also finishes the jobs of regrades."""

    def finish(self, job: RegradeJob, result: Result, notebook: bytes = b"") -> bool:
        made = {"tests": result.tests, "graded": result.graded, "signed": result.signed, "notebook": notebook}
        return self._change(job, claim="", lease=0, tries=0, error="", **made)
