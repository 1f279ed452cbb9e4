"""Tables that grades and rosters travel in: pure functions from bytes to values and back; nothing here does I/O."""
