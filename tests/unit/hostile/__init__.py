"""Bodies that no reader should stumble over, and what may be claimed of each."""
