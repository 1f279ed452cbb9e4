"""Tables of grades and rosters: pure functions from bytes to values and back; nothing here does I/O."""
