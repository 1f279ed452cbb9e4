"""An exam rehearsed with a copy of a course."""
