"""``beespace top``: a server seen live, on a screen or once as text."""
