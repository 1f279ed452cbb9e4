"""Zips of files with any modification times."""

from __future__ import annotations

import io
import zipfile

import pytest

from mograder.domain.files import StoredFile
from mograder.web.zips import zipped


@pytest.mark.parametrize(
    ("modified", "year"), [(-1e9, 1980), (0, 1980), (1.9e9, 2030), (4417977600, 2107), (1e11, 2107), (1e300, 2107)]
)
def test_a_file_with_any_modification_time_can_be_zipped(modified: float, year: int) -> None:
    made = b"".join(zipped([("a.py", StoredFile("a.py", 1, modified, "t", data=b"x"))]))
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.testzip() is None
        assert archive.infolist()[0].date_time[0] == year
