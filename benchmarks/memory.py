#!/usr/bin/env python3
"""What a server holds in memory after a class's mixed requests: one in seven is a submission, the others read.

    python3 benchmarks/memory.py                      24,000 requests, in eight parts
    python3 benchmarks/memory.py --requests 96000     does it stay flat?

Memory is the resident size of the server and its children, after each part.
"""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
from servers import OURS, Server, _family, make_course, serving

SUBMISSION_BYTES = 4_000
READS = (
    "/assignments", "/assignments/{hw}/files/notebook.py", "/receipts/{user}", "/events",
    "/assignments/{hw}/receipts?user={user}", "/assignments/{hw}/submissions",
    "/assignments/{hw}/status?user={user}", "/",
)  # fmt: skip


def resident(server: Server) -> int:
    """Bytes."""
    sizes = 0
    for pid in _family(server.process.pid):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        sizes += next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))
    return sizes


def ask(server: Server, clients: list[httpx2.Client], number: int, students: int) -> int:
    """Send the request of this number; the status of its answer."""
    user, hw = f"s{number % students}", f"hw{number // students % 8 + 1}"
    client = clients[number % len(clients)]
    if number % 7 == 0:
        content = f"x = {number}\n".encode().ljust(SUBMISSION_BYTES, b"#")
        path = f"/assignments/{hw}/submit?user={user}"
        return client.post(path, content=content, headers=_bearer(server, user)).status_code
    path = READS[number % len(READS)].format(user=user, hw=hw)
    whose = "__instructor__" if path.endswith(("/submissions", "/events")) else user
    return client.get(path, headers=_bearer(server, whose)).status_code


def _bearer(server: Server, user: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.token(user)}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=24_000)
    parser.add_argument("--students", type=int, default=300)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(OURS, make_course(Path(folder), 8)) as server:
        clients = [httpx2.Client(base_url=server.url, timeout=60) for _ in range(4)]
        ask(server, clients, 1, wanted.students)
        print(f"{'requests':>9} {'MiB':>6}  answers")
        print(f"{0:9} {resident(server) / 2**20:6.1f}")
        part = wanted.requests // 8
        with ThreadPoolExecutor(4) as threads:
            for start in range(0, wanted.requests, part):
                seen: dict[int, int] = {}
                for status in threads.map(
                    lambda number: ask(server, clients, number, wanted.students), range(start, start + part)
                ):
                    seen[status] = seen.get(status, 0) + 1
                print(f"{start + part:9} {resident(server) / 2**20:6.1f}  {seen}", flush=True)


if __name__ == "__main__":
    main()
